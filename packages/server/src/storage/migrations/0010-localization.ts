import type { ColumnTypes } from '../dialect.ts'

/** Templates. `schema/localization.ts` explains the columns. */
export function localization({ text, integer, largeRowOptions }: ColumnTypes): string[] {
  return [
    `create table template_text (
      tenant_id ${text} not null, key ${text} not null, locale ${text} not null, content ${text} not null,
      updated_at ${integer} not null,
      primary key (tenant_id, key, locale))${largeRowOptions}`,
  ]
}
