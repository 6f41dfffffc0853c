import type { ColumnTypes } from '../dialect.ts'

/** Key cabinets, access lists, firmware, audit uploads. `schema/cabinets.ts` explains the columns. */
export function cabinets(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'cabinet',
      `
      tenant_id ${text} not null, id ${text} not null, ulid ${text} not null, serial ${text} not null,
      folded_serial ${text} not null, config ${text} not null, active ${integer} not null,
      online ${integer} not null, user_data ${text} not null, subscribe_urls ${text} not null,
      created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
      types.largeRowOptions,
    ),
    'create unique index cabinet_serial on cabinet (folded_serial)',
    table(
      'cabinet_contact',
      `
      tenant_id ${text} not null, cabinet_id ${text} not null, last_sync_at ${integer}, last_ip ${text},
      firmware_version ${text}, install_code ${text}, answered ${text}, told_locks ${text},
      told_users ${text}, told_pin_mode ${integer}, told_audit_enabled ${integer},
      primary key (tenant_id, cabinet_id)`,
    ),
    table(
      'cabinet_rights',
      `
      tenant_id ${text} not null, cabinet_id ${text} not null, version ${integer} not null,
      digest_version ${integer} not null, lock_digest ${text} not null, user_digest_mac ${text} not null,
      primary key (tenant_id, cabinet_id)`,
    ),
    table(
      'cabinet_acl',
      `
      tenant_id ${text} not null, id ${text} not null, ulid ${text} not null, version ${integer} not null,
      user_count ${integer} not null, lock_count ${integer} not null, lock_digest ${text} not null,
      user_digest_mac ${text} not null, written_at ${integer} not null, created_at ${integer} not null,
      user_data ${text} not null, sealed_content ${bytes} not null,
      primary key (tenant_id, id)`,
      types.largeRowOptions,
    ),
    table(
      'cabinet_acl_link',
      `
      tenant_id ${text} not null, acl_id ${text} not null, cabinet_id ${text} not null,
      ulid ${text} not null, created_at ${integer} not null,
      primary key (tenant_id, acl_id, cabinet_id)`,
    ),
    'create unique index cabinet_acl_link_ulid on cabinet_acl_link (tenant_id, ulid)',
    'create unique index cabinet_acl_link_cabinet on cabinet_acl_link (tenant_id, cabinet_id, acl_id)',
    table(
      'cabinet_firmware',
      `
      tenant_id ${text} not null, id ${text} not null, type ${text} not null, version ${text} not null,
      version_rank ${text} not null, url ${text} not null, created_at ${integer} not null,
      updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index cabinet_firmware_version on cabinet_firmware (tenant_id, type, version_rank desc)',
    table(
      'cabinet_upload',
      `
      tenant_id ${text} not null, last_seq ${integer} not null, first_seq ${integer} not null,
      id ${text} not null, cabinet_id ${text}, serial ${text}, content_type ${text} not null,
      event_count ${integer}, header_ip ${text}, body_hash ${text} not null,
      received_at ${integer} not null, body_bytes ${integer} not null, body ${bytes} not null,
      primary key (tenant_id, last_seq)`,
      types.largeRowOptions,
    ),
    'create unique index cabinet_upload_id on cabinet_upload (tenant_id, id)',
    'create index cabinet_upload_received on cabinet_upload (tenant_id, received_at)',
    table(
      'cabinet_upload_seen',
      `
      tenant_id ${text} not null, serial ${text} not null, body_hash ${text} not null,
      expires_at ${integer} not null,
      primary key (tenant_id, serial, body_hash)`,
    ),
    'create index cabinet_upload_seen_expiry on cabinet_upload_seen (expires_at)',
    table(
      'cabinet_subscription',
      `
      tenant_id ${text} not null, id ${integer} not null, endpoint_url ${text} not null,
      fetch_limit ${integer} not null, read_interval ${integer} not null, status ${text} not null,
      start_at ${integer} not null, position ${integer}, next_read_at ${integer} not null,
      last_read_at ${integer}, batch_end ${integer}, created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index cabinet_subscription_tenant on cabinet_subscription (tenant_id)',
    `create index cabinet_subscription_due on cabinet_subscription (next_read_at) where status = 'ACTIVE'`,
    table(
      'cabinet_tally',
      `
      tenant_id ${text} not null, name ${text} not null, count ${integer} not null,
      primary key (tenant_id, name)`,
    ),
  ]
}
