import type { ColumnTypes } from '../dialect.ts'

/** Approvals, what each device was shown, and the evidence. `schema/approvals.ts` explains the columns. */
export function approvals(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'approval',
      `
      tenant_id ${text} not null, id ${text} not null, reference ${text}, kind ${text} not null,
      evidence ${text} not null, user_id ${text} not null, status ${text} not null, text ${text},
      template_key ${text}, data ${text}, retrieval_seconds ${integer}, decision_seconds ${integer},
      total_seconds ${integer}, factor ${text}, explicit_scope ${text}, max_age_seconds ${integer},
      device_filter ${text}, push ${text}, external_user_id ${text}, surface ${text} not null, created_by ${text} not null,
      created_at ${integer} not null, retrieved_at ${integer}, expires_at ${integer}, completed_at ${integer},
      erase_at ${integer}, device_id ${text}, decided_factor ${text}, failure_reason ${text},
      failure_message ${text},
      primary key (tenant_id, id)`,
      types.largeRowOptions,
    ),
    'create index approval_user on approval (tenant_id, user_id, id)',
    `create index approval_open on approval (tenant_id, user_id, id) where completed_at is null`,
    `create index approval_message on approval (tenant_id, user_id, created_at) where kind = 'MESSAGE' and status = 'RETRIEVED'`,
    `create index approval_deadline on approval (expires_at) where expires_at is not null and completed_at is null`,
    'create index approval_erasure on approval (erase_at) where erase_at is not null',
    table(
      'approval_reference',
      `
      tenant_id ${text} not null, reference ${text} not null, approval_id ${text} not null,
      primary key (tenant_id, reference)`,
    ),
    table(
      'approval_delivery',
      `
      tenant_id ${text} not null, approval_id ${text} not null, device_id ${text} not null,
      challenge ${text} not null, media_type ${text} not null, content ${bytes} not null, locale ${text},
      retrieved_at ${integer} not null,
      primary key (tenant_id, approval_id, device_id)`,
      types.largeRowOptions,
    ),
    table(
      'approval_evidence',
      `
      tenant_id ${text} not null, approval_id ${text} not null, device_id ${text} not null,
      media_type ${text} not null, content ${bytes} not null, signatures ${text} not null,
      transaction_data ${text}, key_statement ${text}, journal_id ${text} not null,
      created_at ${integer} not null,
      primary key (tenant_id, approval_id)`,
      types.largeRowOptions,
    ),
  ]
}
