import type { ColumnTypes } from '../dialect.ts'

/** Whose a token is, over all tenants, and the last good keys of issuers. `schema.ts` explains the columns. */
export function trustedIssuers({ text, integer, largeRowOptions }: ColumnTypes): string[] {
  return [
    'create index trusted_issuer_name on trusted_issuer (issuer, tenant_id)',
    `create table trusted_issuer_keys (
      tenant_id ${text} not null, issuer_id ${text} not null, jwks_uri ${text} not null, document ${text} not null,
      fetched_at ${integer} not null,
      primary key (tenant_id, issuer_id))${largeRowOptions}`,
  ]
}
