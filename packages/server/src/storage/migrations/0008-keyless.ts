import type { ColumnTypes } from '../dialect.ts'

/** Numbers of approvals, and since when users have their Keyless external id. `schema.ts` explains the columns. */
export function keyless({ integer }: ColumnTypes): string[] {
  return [
    `alter table approval add column number ${integer}`,
    'create unique index approval_number on approval (tenant_id, number) where number is not null',
    `alter table app_user add column keyless_external_created_at ${integer}`,
    `alter table app_user add column keyless_external_updated_at ${integer}`,
    `update app_user set keyless_external_created_at = created_at, keyless_external_updated_at = updated_at
      where keyless_external_id is not null`,
    `create index app_user_keyless_since on app_user (tenant_id, keyless_external_id, keyless_external_updated_at, ulid)
      where keyless_external_id is not null`,
  ]
}
