import { type Compilable, type RawBuilder, sql } from 'kysely'
import { dynamicStatement, type Statement } from './statement.ts'

/** A piece of SQL with its values in it, for queries whose very shape the request decides. */
export type Fragment = RawBuilder<unknown>

/**
 * Writes a fragment. Fragments inside become part of the text, every other value a parameter:
 *
 *     fragment`${column('t', 'serial')} = ${serial}`
 */
export function fragment(texts: TemplateStringsArray, ...parts: readonly unknown[]): Fragment {
  return sql(texts, ...parts)
}

/** A column as the engine quotes it. */
export function column(table: string, name: string): Fragment {
  return sql.ref(`${table}.${name}`)
}

/** A table under a name of its own. */
export function tableAs(table: string, alias: string): Fragment {
  return sql`${sql.table(table)} as ${sql.ref(alias)}`
}

/** A name for a column of the result. */
export function named(expression: Fragment, name: string): Fragment {
  return sql`${expression} as ${sql.ref(name)}`
}

/** Fragments or values, one after the other. */
export function joined(parts: readonly unknown[], separator: Fragment = sql`, `): Fragment {
  return sql.join(parts, separator)
}

/** Both engines fold ASCII letters only: what is stored compares by bytes. */
export function lowerAscii(text: Fragment): Fragment {
  return sql`lower(${text})`
}

/** @param pattern `%` any run, `_` one character, backslash makes the next one itself. */
export function isLike(text: Fragment, pattern: string): Fragment {
  return sql`${text} like ${pattern} escape ${sql.lit('\\')}`
}

/** A `select` in brackets that was put together from fragments. */
export function fragmentStatement<R>(query: Fragment): Statement<object, R> {
  const rows = query as RawBuilder<R>
  return dynamicStatement((db) => db.selectFrom(rows.as('q')).selectAll() as Compilable<R>)
}
