import type { ColumnTypes } from '../dialect.ts'

/** Roots, signers, certificates and what was revoked. `schema/certificates.ts` explains the columns. */
export function certificates(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'certificate_issuer',
      `
      tenant_id ${text} not null, id ${text} not null, name ${text} not null, generation ${integer} not null,
      state ${text} not null, subject ${bytes} not null, is_used ${integer} not null,
      issued_count ${integer} not null, kid ${text}, key_sha1 ${text}, key_sha256 ${text},
      certificate ${bytes}, not_before ${integer}, not_after ${integer},
      created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
      types.largeRowOptions,
    ),
    "create unique index certificate_issuer_active on certificate_issuer (tenant_id) where state = 'ACTIVE'",
    'create unique index certificate_issuer_generation on certificate_issuer (tenant_id, generation)',
    'create index certificate_issuer_sha1 on certificate_issuer (tenant_id, key_sha1) where key_sha1 is not null',
    'create index certificate_issuer_sha256 on certificate_issuer (tenant_id, key_sha256) where key_sha256 is not null',
    table(
      'certificate',
      `
      tenant_id ${text} not null, id ${text} not null, profile ${text} not null, status ${text} not null,
      issuer_id ${text} not null, user_id ${text}, device_id ${text}, public_key ${bytes},
      requested_at ${integer} not null, issued_at ${integer}, serial ${text}, not_after ${integer},
      revoked_at ${integer}, revocation_reason ${text}, failure ${text}, due_at ${integer} not null,
      claim ${text}, updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create index certificate_user on certificate (tenant_id, user_id, id) where user_id is not null',
    'create index certificate_device on certificate (tenant_id, device_id, id) where device_id is not null',
    'create index certificate_status on certificate (tenant_id, status, id)',
    'create index certificate_issued_by on certificate (tenant_id, issuer_id, id)',
    'create index certificate_issuer_status on certificate (tenant_id, issuer_id, status, id)',
    'create index certificate_expiry on certificate (tenant_id, not_after, id) where not_after is not null',
    "create index certificate_due on certificate (status, due_at) where status = 'REQUESTED'",
    table(
      'certified_key',
      `
      tenant_id ${text} not null, thumbprint ${text} not null, device_id ${text} not null, user_id ${text} not null,
      primary key (tenant_id, thumbprint)`,
    ),
    table(
      'issued_certificate',
      `
      tenant_id ${text} not null, serial ${text} not null, certificate_id ${text} not null,
      issuer_id ${text} not null, shard ${integer} not null, der ${bytes} not null,
      not_before ${integer} not null, not_after ${integer} not null, issued_at ${integer} not null,
      revoked_at ${integer}, revocation_reason ${text}, revocation_number ${integer},
      primary key (tenant_id, serial)`,
      types.largeRowOptions,
    ),
    'create index issued_certificate_of on issued_certificate (tenant_id, certificate_id)',
    'create unique index issued_certificate_revoked on issued_certificate (tenant_id, issuer_id, shard, revocation_number) where revocation_number is not null',
    table(
      'crl_shard',
      `
      tenant_id ${text} not null, issuer_id ${text} not null, shard ${integer} not null,
      revoked_count ${integer} not null, listed_count ${integer} not null, crl_number ${integer} not null,
      entries ${bytes} not null, der ${bytes}, is_partial ${integer} not null, this_update ${integer} not null,
      primary key (tenant_id, issuer_id, shard)`,
      types.largeRowOptions,
    ),
    "create unique index signing_key_customer on signing_key (tenant_id) where purpose = 'keyless' and retired_at is null",
  ]
}
