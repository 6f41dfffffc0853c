import type { Queries } from '#storage/queries.ts'
import type { Schema } from '#storage/schema.ts'
import { type Statement, statement } from '#storage/statement.ts'

/** Every table with rows of tenants but the one of the tenants themselves; a table that is missing does not compile. */
type PurgedTable = Exclude<keyof Schema, 'tenant'>

/** What follows `tenant_id` in each table's primary key. Accounts go first, then what they could still reach. */
export const purgedTables: {
  readonly [Table in PurgedTable]: readonly (keyof Schema[Table] & string)[]
} = {
  service_account: ['id'],
  service_account_certificate: ['account_id', 'thumbprint'],
  trusted_issuer: ['id'],
  trusted_issuer_keys: ['issuer_id'],
  webhook_subscription: ['event_type', 'endpoint_id'],
  webhook_endpoint: ['id'],
  outbox: ['target', 'id'],
  device_token: ['token_hash'],
  device_proof: ['key_thumbprint', 'jti'],
  device_event: ['device_id', 'id'],
  enrolment_code: ['id'],
  portal_nonce: ['nonce_hash'],
  nonce_attempts: ['subject'],
  approval_evidence: ['approval_id'],
  approval_delivery: ['approval_id', 'device_id'],
  approval_reference: ['reference'],
  approval: ['id'],
  template_text: ['key', 'locale'],
  property: ['id'],
  app_vote: ['device_id', 'version_id'],
  app_registration: ['version_id', 'architecture'],
  app_version: ['id'],
  device_pin: ['user_id'],
  device_link: ['device_id', 'user_id'],
  device: ['id'],
  enrolled_key: ['thumbprint'],
  crl_shard: ['issuer_id', 'shard'],
  issued_certificate: ['serial'],
  certified_key: ['thumbprint'],
  certificate: ['id'],
  certificate_issuer: ['id'],
  tenant_key: ['version', 'master_key_id'],
  signing_key: ['kid'],
  download_ticket: ['token_id', 'user_id'],
  otp_assignment: ['token_id', 'user_id'],
  otp_factor: ['token_id'],
  otp_token: ['id'],
  token_repository: ['id'],
  otp_product: ['id'],
  otp_list_code: ['list_id'],
  otp_list: ['id'],
  otp_list_lockout: ['user_id', 'method_id'],
  otp_list_method: ['name'],
  app: ['name'],
  registration_policy: ['name'],
  policy_assignment: ['id'],
  user_identifier: ['scheme', 'value'],
  user_lockout: ['user_id'],
  app_user: ['id'],
  user_domain: ['folded_name'],
  cabinet_subscription: ['id'],
  cabinet_upload: ['last_seq'],
  cabinet_upload_seen: ['serial', 'body_hash'],
  cabinet_acl_link: ['acl_id', 'cabinet_id'],
  cabinet_acl: ['id'],
  cabinet_rights: ['cabinet_id'],
  cabinet_contact: ['cabinet_id'],
  cabinet: ['id'],
  cabinet_firmware: ['id'],
  cabinet_tally: ['name'],
  journal_queue: ['id'],
  journal_checkpoint: ['id'],
  journal_user: ['user_id', 'seq'],
  journal_record: ['seq'],
  idempotent_reply: ['request_key'],
  lease: ['name'],
  platform_value: ['name'],
}

interface Batch {
  readonly tenantId: string
  readonly limit: number
}

/** One statement a table. The names come from the table above; one table's types stand for all. */
function deleteBatch(
  table: string,
  [first = '', second]: readonly string[],
): Statement<Batch, unknown> {
  const from = table as 'user_identifier'
  const one = first as 'scheme'
  return statement((db, p: Batch) => {
    const rows = db.deleteFrom(from).where('tenant_id', '=', p.tenantId)
    const some = db.selectFrom(from).where('tenant_id', '=', p.tenantId).limit(p.limit)
    if (second === undefined) return rows.where(one, 'in', some.select(one))
    const other = second as 'value'
    return rows.where(({ eb, refTuple }) =>
      eb(refTuple(one, other), 'in', some.select([one, other]).$asTuple(one, other)),
    )
  })
}

const batches = Object.entries(purgedTables).map(([table, key]) => deleteBatch(table, key))

/** Removes what a deleted tenant leaves behind. */
export class TenantPurgeStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * Removes some of the tenant's rows.
   *
   * @returns how many; fewer than `limit` means that nothing is left.
   */
  async removeSome(tenantId: string, limit: number): Promise<number> {
    let removed = 0
    for (const batch of batches) {
      removed += await this.#queries.run(batch, { tenantId, limit: limit - removed })
      if (removed >= limit) break
    }
    return removed
  }
}
