import type { ColumnTypes } from '../dialect.ts'

/** Nonces that portals show, and who tried how many. `schema/nonces.ts` explains the columns. */
export function nonces({ text, integer, tableOptions, largeRowOptions }: ColumnTypes): string[] {
  return [
    `create table portal_nonce (
      tenant_id ${text} not null, nonce_hash ${text} not null, id ${text} not null, action ${text} not null,
      portal_session_id ${text} not null, callback_url ${text} not null, tms ${text},
      created_by ${text} not null, created_at ${integer} not null, expires_at ${integer} not null,
      redeemed_at ${integer}, device_id ${text}, user_id ${text},
      primary key (tenant_id, nonce_hash))${largeRowOptions}`,
    'create index portal_nonce_expiry on portal_nonce (expires_at)',
    `create table nonce_attempts (
      tenant_id ${text} not null, subject ${text} not null, failures ${integer} not null,
      until_ms ${integer} not null,
      primary key (tenant_id, subject))${tableOptions}`,
    'create index nonce_attempts_end on nonce_attempts (until_ms)',
  ]
}
