import type { ColumnTypes } from '../dialect.ts'

/**
 * The records of each user in a table of their own, which is written behind the journal and sorted, instead of an index
 * of the journal that every record would change at a place of its own. It begins with what the journal has.
 */
export function journalUsers({ text, integer, tableOptions }: ColumnTypes): string[] {
  return [
    `create table journal_user (
      tenant_id ${text} not null, user_id ${text} not null, seq ${integer} not null,
      primary key (tenant_id, user_id, seq))${tableOptions}`,
    `insert into journal_user (tenant_id, user_id, seq)
      select tenant_id, user_id, seq from journal_record where user_id is not null
      order by tenant_id, user_id, seq`,
    `insert into platform_value (tenant_id, name, value)
      select tenant_id, 'journal-users', cast(max(seq) as text) from journal_record group by tenant_id`,
    'drop index journal_record_user',
  ]
}
