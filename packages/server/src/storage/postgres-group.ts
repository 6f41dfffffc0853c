import { Client } from 'pg'
import {
  clientConfig,
  isRepeatable,
  PostgresConnection,
  translatePostgres,
} from './postgres-connection.ts'
import type { Queries, StorageObserver } from './queries.ts'

const groupUnitsMax = 128

interface Unit {
  readonly work: (queries: Queries) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** How a unit of a group ended, before its group's commit. */
type Outcome = { readonly value: unknown } | { readonly error: unknown; readonly spoilt: boolean }

/**
 * Commits many small transactions as one. The units of a group share a connection in pipeline mode and run at the same
 * time, so a group costs as many round trips as its longest unit. If one fails after it wrote, the group is undone and
 * every unit is run again by itself, so that nobody pays for another's failure with more than time.
 */
export class PostgresGroupWriter {
  readonly #url: string
  readonly #observer: StorageObserver | undefined
  readonly #alone: (work: (queries: Queries) => Promise<unknown>) => Promise<unknown>
  #client: Promise<Client> | undefined
  #queue: Unit[] = []
  #running: Promise<void> | undefined

  constructor(
    url: string,
    observer: StorageObserver | undefined,
    alone: (work: (queries: Queries) => Promise<unknown>) => Promise<unknown>,
  ) {
    this.#url = url
    this.#observer = observer
    this.#alone = alone
  }

  get depth(): number {
    return this.#queue.length
  }

  submit<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#running ??= this.#runGroups()
    })
  }

  async close(): Promise<void> {
    await this.#running
    const client = await this.#client?.catch(() => undefined)
    await client?.end()
  }

  async #runGroups(): Promise<void> {
    // One turn of the event loop collects what arrives together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) await this.#runGroup(this.#queue.splice(0, groupUnitsMax))
    this.#running = undefined
  }

  async #runGroup(units: readonly Unit[]): Promise<void> {
    const startedAt = performance.now()
    let client: Client
    try {
      client = await this.#connect()
    } catch (error) {
      for (const unit of units) unit.reject(translatePostgres(error))
      return
    }
    let committing = false
    try {
      const begun = client.query('begin')
      const outcomes = await Promise.all(units.map((unit) => this.#runUnit(client, unit)))
      await begun
      if (outcomes.some((outcome) => 'error' in outcome && outcome.spoilt)) {
        await client.query('rollback')
        await this.#runEachAlone(units)
        return
      }
      committing = true
      await client.query('commit')
      this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
      units.forEach((unit, index) => {
        const outcome = outcomes[index]
        if (outcome !== undefined && 'value' in outcome) unit.resolve(outcome.value)
        else unit.reject(outcome?.error)
      })
    } catch (error) {
      this.#disconnect(client)
      if (!committing && isRepeatable(error)) return this.#runEachAlone(units)
      // After a commit that was not confirmed nobody knows; repeating it could spend twice.
      for (const unit of units) unit.reject(translatePostgres(error))
    }
  }

  async #runUnit(client: Client, unit: Unit): Promise<Outcome> {
    const queries = new PostgresConnection(client, this.#observer)
    try {
      return { value: await unit.work(queries) }
    } catch (error) {
      return { error, spoilt: queries.hasWritten || queries.hasFailed }
    }
  }

  async #runEachAlone(units: readonly Unit[]): Promise<void> {
    for (const unit of units) {
      await this.#alone(unit.work).then(unit.resolve, unit.reject)
    }
  }

  #connect(): Promise<Client> {
    this.#client ??= this.#open()
    return this.#client
  }

  async #open(): Promise<Client> {
    const client = new Client({ ...clientConfig(this.#url), pipeline: true })
    client.on('error', () => this.#disconnect(client))
    try {
      await client.connect()
      return client
    } catch (error) {
      this.#client = undefined
      throw error
    }
  }

  #disconnect(client: Client): void {
    this.#client = undefined
    client.end().catch(() => {})
  }
}
