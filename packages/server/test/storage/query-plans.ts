import { DatabaseSync } from 'node:sqlite'
import { Client } from 'pg'
import { clientConfig } from '#storage/postgres-connection.ts'
import type { StorageObserver } from '#storage/queries.ts'

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
export async function explain(url: string, sql: string): Promise<QueryPlan> {
  const steps = isSqlite(url) ? explainSqlite(url, sql) : await explainPostgres(url, sql)
  return {
    sql,
    accesses: steps.map(({ text }) => text),
    faults: steps.filter(({ isFault }) => isFault).map(({ text }) => text),
  }
}

/** Brings up to date what PostgreSQL knows of its tables, by which it plans. SQLite plans by the schema. */
export async function analyse(url: string): Promise<void> {
  if (isSqlite(url)) return
  const client = new Client(clientConfig(url))
  await client.connect()
  await client.query('analyze')
  await client.end()
}

/** What a database is asked; to be its observer. */
export class StatementWatch implements StorageObserver {
  /** In order, and as often as they were asked. */
  readonly statements: string[] = []

  /** Each once. */
  get distinct(): string[] {
    return [...new Set(this.statements)]
  }

  observeDatabase(): void {}

  statementRun(sql: string): void {
    this.statements.push(sql)
  }

  clear(): void {
    this.statements.length = 0
  }

  /** How the statements of `work` find their rows: one plan for each time that one was asked. */
  async plansOf(url: string, work: () => Promise<unknown>): Promise<QueryPlan[]> {
    this.clear()
    await work()
    const plans = new Map<string, Promise<QueryPlan>>()
    return Promise.all(
      this.statements.map((sql) => {
        const plan = plans.get(sql) ?? explain(url, sql)
        plans.set(sql, plan)
        return plan
      }),
    )
  }
}

function isSqlite(url: string): boolean {
  return url.startsWith('sqlite:')
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
        isFault:
          // What a statement says by itself is one row.
          text !== 'SCAN CONSTANT ROW' &&
          (!text.startsWith('SEARCH') || / \(tenant_id=\?\)/.test(text)),
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
