import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import type { Engine } from '#storage/dialect.ts'
import { clientConfig } from '#storage/postgres-connection.ts'

/** How one statement finds its rows. */
export interface QueryPlan {
  readonly sql: string
  /** One for each access to a table, in the engine's words. */
  readonly accesses: readonly string[]
  /** Those that read more rows than they name: a scan, a search by tenant alone, a sort. */
  readonly faults: readonly string[]
}

/**
 * Asks the engine how it would run a statement as the storage sends it. Every access must be a search of an index by
 * more than the tenant, and rows must come in the order asked for.
 *
 * @param url of a database with the schema; PostgreSQL plans by the statistics that it has.
 */
export async function explain(engine: Engine, url: string, sql: string): Promise<QueryPlan> {
  const steps = engine === 'sqlite' ? explainSqlite(url, sql) : await explainPostgres(url, sql)
  return {
    sql,
    accesses: steps.map(({ text }) => text),
    faults: steps.filter(({ isFault }) => isFault).map(({ text }) => text),
  }
}

interface Step {
  readonly text: string
  readonly isFault: boolean
}

/** sqlite.org/eqp.html: SEARCH uses an index or key, SCAN reads everything; what stands in brackets is what is searched. */
function explainSqlite(url: string, sql: string): Step[] {
  const db = new DatabaseSync(url.slice('sqlite:'.length), { readOnly: true })
  try {
    const rows = db.prepare(`explain query plan ${sql}`).all()
    return rows
      .map(({ detail }) => String(detail))
      .filter((detail) => /^(SEARCH|SCAN|USE TEMP)/.test(detail))
      .map((text) => ({
        text,
        isFault: !text.startsWith('SEARCH') || / \(tenant_id=\?\)/.test(text),
      }))
  } finally {
    db.close()
  }
}

/** A node of `explain (format json)`, as far as it is looked at. */
interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Index Cond'?: string
  readonly Plans?: readonly PlanNode[]
}

async function explainPostgres(url: string, sql: string): Promise<Step[]> {
  const client = new Client(clientConfig(url))
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, string>>(
      `explain (generic_plan, format json) ${sql}`,
    )
    const [root] = JSON.parse(rows[0]?.['QUERY PLAN'] ?? '[]') as { Plan: PlanNode }[]
    return root === undefined ? [] : stepsOf(root.Plan)
  } finally {
    await client.end()
  }
}

function stepsOf(node: PlanNode): Step[] {
  const below = (node.Plans ?? []).flatMap(stepsOf)
  const type = node['Node Type']
  const condition = node['Index Cond'] ?? ''
  const text = [type, node['Relation Name'] ?? node['Index Name'], condition]
    .filter(Boolean)
    .join(' ')
  if (/^(Seq Scan|Sort|Incremental Sort|Hash|Hash Join|Merge Join|Materialize)$/.test(type)) {
    return [{ text, isFault: true }, ...below]
  }
  if (!/Index.* Scan$/.test(type)) return below
  const columns = [
    ...condition.matchAll(/\((?:ROW)?\(?(\w+)(?:, \w+)*\)?(?:::\w+)? (?:=|<|>)/g),
  ].map(([, name]) => name)
  return [{ text, isFault: columns.every((name) => name === 'tenant_id') }, ...below]
}
