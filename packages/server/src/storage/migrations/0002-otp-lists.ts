import type { ColumnTypes } from '../dialect.ts'

/** Printed lists of one-time passwords. `schema/otp-lists.ts` explains the columns. */
export function otpLists(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'otp_list_method',
      `
      tenant_id ${text} not null, name ${text} not null, id ${text} not null, description ${text} not null,
      otp_window_size ${integer} not null, otp_length ${integer} not null, otp_alphabet ${text} not null,
      list_size ${integer} not null, ask_order ${text} not null, index_format ${text} not null,
      index_block_size ${integer} not null, free_list_max_age_seconds ${integer} not null,
      associated_list_max_age_seconds ${integer} not null, max_age_limit_seconds ${integer} not null,
      renew_threshold ${integer} not null, max_failures ${integer} not null, lock_seconds ${integer} not null,
      sealed_key ${bytes} not null, created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, name)`,
    ),
    'create unique index otp_list_method_id on otp_list_method (tenant_id, id)',
    table(
      'otp_list',
      `
      tenant_id ${text} not null, id ${text} not null, method ${text} not null, status ${text} not null,
      user_id ${text}, size ${integer} not null, otp_length ${integer} not null, otp_alphabet ${text} not null,
      ask_order ${text} not null, index_format ${text} not null, index_block_size ${integer} not null,
      remaining ${integer} not null, next_position ${integer}, expires_at ${integer}, last_used_at ${integer},
      created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create index otp_list_created on otp_list (tenant_id, created_at, id)',
    'create index otp_list_method_created on otp_list (tenant_id, method, created_at, id)',
    // Each in the order in which lists are told, so that none of them leads a query away from it.
    "create index otp_list_free on otp_list (tenant_id, method, created_at, id) where status = 'FREE'",
    "create index otp_list_active on otp_list (tenant_id, method, created_at, id) where status = 'ACTIVE'",
    'create index otp_list_user on otp_list (tenant_id, user_id, method) where user_id is not null',
    "create unique index otp_list_waiting on otp_list (tenant_id, user_id, method) where status = 'ASSOCIATED'",
    'create index otp_list_expiry on otp_list (expires_at) where expires_at is not null',
    table(
      'otp_list_code',
      `
      tenant_id ${text} not null, list_id ${text} not null, code_tags ${bytes} not null, positions ${bytes},
      primary key (tenant_id, list_id)`,
      types.largeRowOptions,
    ),
    table(
      'otp_list_lockout',
      `
      tenant_id ${text} not null, user_id ${text} not null, method_id ${text} not null,
      failure_count ${integer} not null, locked_until ${integer},
      primary key (tenant_id, user_id, method_id)`,
    ),
    'create index otp_list_lockout_method on otp_list_lockout (tenant_id, method_id)',
  ]
}
