import type { ColumnTypes } from '../dialect.ts'

/** Properties of users and of users on one device. `schema/properties.ts` explains the columns. */
export function properties(types: ColumnTypes): string[] {
  const { text, integer, bytes, largeRowOptions, including } = types
  return [
    `create table property (
      tenant_id ${text} not null, id ${text} not null, user_id ${text} not null,
      device_id ${text} not null, name ${text} not null, type ${text} not null,
      visibility ${integer} not null, read_only ${integer} not null, notify ${integer} not null,
      in_keystorage ${integer} not null, cp_flags ${integer} not null, version ${integer} not null,
      created_at ${integer} not null, updated_at ${integer} not null, order_key ${text},
      value ${text}, sealed_value ${bytes},
      primary key (tenant_id, id))${largeRowOptions}`,
    `create unique index property_name on property (tenant_id, user_id, device_id, name)${including('id, visibility')}`,
    `create index property_device on property (tenant_id, device_id) where device_id <> ''`,
  ]
}
