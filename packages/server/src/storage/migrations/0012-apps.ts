import type { ColumnTypes } from '../dialect.ts'

/** Apps, policies of registration and what these are assigned to. `schema/apps.ts` explains the columns. */
export function apps(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'app',
      `
      tenant_id ${text} not null, name ${text} not null, revision ${text} not null, categories ${text} not null,
      services ${text} not null, unusable_services ${text} not null, configuration ${text} not null,
      sealed_credentials ${bytes}, created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, name)`,
      types.largeRowOptions,
    ),
    table(
      'registration_policy',
      `
      tenant_id ${text} not null, name ${text} not null, type ${text} not null, quorum ${integer}, user_id ${text},
      created_at ${integer} not null, updated_at ${integer} not null,
      primary key (tenant_id, name)`,
    ),
    table(
      'policy_assignment',
      `
      tenant_id ${text} not null, id ${text} not null, app ${text} not null, platform ${text} not null,
      architecture ${text} not null, policy ${text} not null, created_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    'create unique index policy_assignment_target on policy_assignment (tenant_id, app, platform, architecture)',
    'create index policy_assignment_policy on policy_assignment (tenant_id, policy, id)',
  ]
}
