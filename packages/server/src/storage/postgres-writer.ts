import { setTimeout as sleep } from 'node:timers/promises'
import { Pool, type PoolClient } from 'pg'
import { within } from './deadline.ts'
import {
  asUnavailable,
  isRepeatable,
  isUnavailable,
  PostgresConnection,
  runCommand,
  sendDirectly,
  writerConfig,
} from './postgres-connection.ts'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'

export interface PostgresWriterLimits {
  readonly poolSize: number
  /** How often a transaction is begun again after a deadlock or a serialization failure. */
  readonly attemptsMax: number
  /** One attempt of a transaction, its statements included. */
  readonly transactionMsMax: number
  /** More than this may not be under way or wait for a connection: the next one is refused at once. */
  readonly transactionsMax: number
}

export const postgresWriterLimits: PostgresWriterLimits = {
  poolSize: 10,
  attemptsMax: 6,
  transactionMsMax: 30_000,
  transactionsMax: 2_000,
}

const backoffMs = 10
const closeMsMax = 5_000

/** Runs transactions by themselves on pooled connections, repeated when the server asks for it. */
export class PostgresWriter {
  readonly #pool: Pool
  readonly #observer: StorageObserver | undefined
  readonly #limits: PostgresWriterLimits
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(
    url: string,
    observer: StorageObserver | undefined,
    limits: Partial<PostgresWriterLimits> = {},
  ) {
    this.#observer = observer
    this.#limits = { ...postgresWriterLimits, ...limits }
    this.#pool = new Pool({
      ...writerConfig(url),
      pipeline: true,
      max: this.#limits.poolSize,
    })
    // An idle connection that breaks is simply gone; the next use opens another.
    this.#pool.on('error', () => {})
    // One that breaks between two statements of a transaction fails the next of them; without a listener it would end
    // the process.
    this.#pool.on('connect', (client) => {
      client.on('error', () => {})
    })
  }

  get depth(): number {
    return this.#underWay.size
  }

  async run<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    if (this.#underWay.size >= this.#limits.transactionsMax) {
      throw new StorageError('unavailable', 'Too many transactions wait.', '')
    }
    const running = this.#repeat(work)
    this.#underWay.add(running)
    try {
      return await running
    } finally {
      this.#underWay.delete(running)
    }
  }

  /** @throws StorageError `unavailable` */
  async check(): Promise<void> {
    try {
      await this.#pool.query('select 1')
    } catch (error) {
      throw asUnavailable(error)
    }
  }

  /** Waits for what is under way, then ends the connections. */
  async close(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
    await Promise.race([this.#pool.end(), sleep(closeMsMax, undefined, { ref: false })])
  }

  async #repeat<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(work)
      } catch (error) {
        if (!isRepeatable(error) || attempt === this.#limits.attemptsMax) throw error
        await sleep(backoffMs * 2 ** attempt * (0.5 + Math.random()))
      }
    }
  }

  async #attempt<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    const client = await this.#connect()
    const queries = new PostgresConnection(sendDirectly(client), this.#observer)
    let isSound = true
    try {
      await runCommand(client, 'begin read write')
      const value = await within(this.#limits.transactionMsMax, work(queries))
      queries.end()
      throwFailure(queries)
      // A statement that nobody waited for may fail too: the server then undoes, and says so in no other way.
      if ((await runCommand(client, 'commit')) !== 'COMMIT') {
        throwFailure(queries)
        throw new Error('The transaction was undone.')
      }
      this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
      return value
    } catch (error) {
      queries.end()
      isSound = !isUnavailable(error) && (await isRolledBack(client))
      throw error
    } finally {
      client.release(!isSound)
    }
  }

  async #connect(): Promise<PoolClient> {
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw asUnavailable(error)
    }
  }
}

/** A transaction in which a statement failed is lost, whatever its work made of the failure. */
function throwFailure({ failure }: PostgresConnection): void {
  if (failure !== undefined) throw failure.error
}

async function isRolledBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query('rollback')
    return true
  } catch {
    return false
  }
}
