import { Client } from 'pg'
import { clientConfig } from './postgres-connection.ts'

const intervalMs = 2_000
/** Larger tables have statistics already; autovacuum keeps those. */
const rowsMax = 200_000

/**
 * Lets the planner see tables grow. A new table counts as empty until autovacuum has looked at it, up to a minute later;
 * until then one index seems as good as the next, and a statement planned at that time may read a tenant's every row.
 * So small tables that have changed much are analysed within seconds, which also makes kept plans be made anew.
 */
export class PostgresStatistics {
  readonly #url: string
  readonly #timer: NodeJS.Timeout
  #running: Promise<void> | undefined

  constructor(url: string) {
    this.#url = url
    this.#timer = setInterval(() => {
      this.#running ??= this.analyse()
        // Statistics are a help, not a need: a server that is away is reported by everything else.
        .catch(() => {})
        .finally(() => {
          this.#running = undefined
        })
    }, intervalMs)
    this.#timer.unref()
  }

  /** Analyses what has changed much since it was last looked at. */
  async analyse(): Promise<void> {
    const client = new Client(clientConfig(this.#url))
    client.on('error', () => {})
    try {
      await client.connect()
      const { rows } = await client.query<{ name: string }>(
        `select quote_ident(relname) as name from pg_stat_user_tables
         where schemaname = current_schema() and relname <> 'journal_queue' and n_live_tup < $1
           and n_mod_since_analyze > 50 + n_live_tup / 2`,
        [rowsMax],
      )
      for (const { name } of rows) await client.query(`analyze (skip_locked) ${name}`)
    } finally {
      await client.end().catch(() => {})
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#running
  }
}
