import type { ColumnTypes } from '../dialect.ts'

/** Versions of apps, the integrity values that are registered for them, and votes for these. `schema/app-versions.ts` explains the columns. */
export function appVersions({ text, integer, tableOptions }: ColumnTypes): string[] {
  const table = (name: string, columns: string): string =>
    `create table ${name} (${columns})${tableOptions}`

  return [
    table(
      'app_version',
      `
      tenant_id ${text} not null, id ${text} not null, app_name ${text} not null, platform ${text} not null,
      number ${text} not null, version_str ${text} not null, register_user_id ${text} not null,
      is_locked ${integer} not null, checks_integrity ${integer} not null, created_at ${integer} not null,
      updated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index app_version_number on app_version (tenant_id, app_name, platform, number)',
    table(
      'app_registration',
      `
      tenant_id ${text} not null, version_id ${text} not null, architecture ${text} not null,
      integrity ${text} not null, registered_by ${text} not null, sdk_version ${text} not null,
      registered_at ${integer} not null,
      primary key (tenant_id, version_id, architecture)`,
    ),
    table(
      'app_vote',
      `
      tenant_id ${text} not null, device_id ${text} not null, version_id ${text} not null,
      architecture ${text} not null, integrity ${text} not null, voted_at ${integer} not null,
      primary key (tenant_id, device_id, version_id)`,
    ),
    'create index app_vote_value on app_vote (tenant_id, version_id, architecture, integrity)',
  ]
}
