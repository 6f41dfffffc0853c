import { TookTooLongError, within } from './deadline.ts'
import { sendInBatches } from './postgres-batch.ts'
import { PostgresConnection, runCommand, type Send, writerConfig } from './postgres-connection.ts'
import { PostgresLink } from './postgres-link.ts'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'

export interface PostgresGroupLimits {
  /** Groups that may be under way at the same time: while the server works for one, this process does for another. */
  readonly lanesCount: number
  readonly groupUnitsMax: number
  /** A unit does nothing but run statements; one that waits for anything else is a fault. */
  readonly unitMsMax: number
  /** More than this may not wait: the next one is refused at once. */
  readonly queuedUnitsMax: number
}

export const postgresGroupLimits: PostgresGroupLimits = {
  lanesCount: 2,
  groupUnitsMax: 128,
  unitMsMax: 10_000,
  queuedUnitsMax: 10_000,
}

/** How many units of an undone group run at the same time, each in a transaction of its own. */
const aloneMax = 4

/** Turns of the event loop in which a group may still grow before it starts. */
const turnsMax = 8

/** A connection, and the groups that run on it one after another. */
interface Lane {
  readonly link: PostgresLink
  running: Promise<void> | undefined
}

interface Unit {
  readonly work: (queries: Queries) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** How a unit of a group ended, before its group's commit. `spoilt`: the group cannot be committed with it. */
type Outcome = { readonly value: unknown } | { readonly error: unknown; readonly spoilt: boolean }

/**
 * Commits many small transactions as one. The units of a group share a connection in pipeline mode and run at the same
 * time, so a group costs as many round trips as its longest unit. If one fails after it wrote, the group is undone and
 * every unit is run again by itself, so that nobody pays for another's failure with more than time.
 */
export class PostgresGroupWriter {
  readonly #lanes: readonly Lane[]
  readonly #observer: StorageObserver | undefined
  readonly #alone: (work: (queries: Queries) => Promise<unknown>) => Promise<unknown>
  readonly #limits: PostgresGroupLimits
  #queue: Unit[] = []
  #isCollecting = false

  constructor(
    url: string,
    observer: StorageObserver | undefined,
    alone: (work: (queries: Queries) => Promise<unknown>) => Promise<unknown>,
    limits: Partial<PostgresGroupLimits> = {},
  ) {
    this.#limits = { ...postgresGroupLimits, ...limits }
    this.#lanes = Array.from({ length: this.#limits.lanesCount }, () => ({
      link: new PostgresLink(writerConfig(url)),
      running: undefined,
    }))
    this.#observer = observer
    this.#alone = alone
  }

  get depth(): number {
    return this.#queue.length
  }

  submit<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    if (this.#queue.length >= this.#limits.queuedUnitsMax) {
      return Promise.reject(new StorageError('unavailable', 'Too many transactions wait.', ''))
    }
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#startLane()
    })
  }

  /** Resolves when everything submitted has been answered and the connections are closed. */
  async close(): Promise<void> {
    for (const { link, running } of this.#lanes) {
      await running
      await link.close()
    }
  }

  #startLane(): void {
    if (this.#isCollecting) return
    const lane = this.#lanes.find(({ running }) => running === undefined)
    if (lane !== undefined) lane.running = this.#runGroups(lane)
  }

  /** Ends when a turn of the event loop has brought nothing more: what comes together shares one commit. */
  async #collect(): Promise<void> {
    this.#isCollecting = true
    let seenCount = 0
    for (let turns = 0; turns < turnsMax && this.#queue.length > seenCount; turns++) {
      seenCount = this.#queue.length
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#isCollecting = false
  }

  async #runGroups(lane: Lane): Promise<void> {
    await this.#collect()
    while (this.#queue.length > 0) {
      const units = this.#queue.splice(0, this.#limits.groupUnitsMax)
      try {
        const outcomes = await this.#runTogether(lane.link, units)
        if (outcomes !== undefined) settle(units, outcomes)
      } catch (error) {
        // Nobody knows what became of a commit that was not confirmed; repeating it could spend twice.
        for (const unit of units) unit.reject(error)
      }
    }
    lane.running = undefined
  }

  /** @returns undefined when the group was undone and each of its units has been answered. */
  async #runTogether(link: PostgresLink, units: readonly Unit[]): Promise<Outcome[] | undefined> {
    const startedAt = performance.now()
    const client = await link.connect()
    try {
      const begun = runCommand(client, 'begin read write')
      // Awaited below; until then its failure is no unhandled one.
      begun.catch(() => {})
      const send = sendInBatches(client)
      const outcomes = await Promise.all(units.map((unit) => this.#runUnit(send, unit)))
      await begun
      const isSpoilt = outcomes.some((outcome) => 'error' in outcome && outcome.spoilt)
      // A statement that nobody waited for may fail too: the server then undoes, and says so in no other way.
      if ((await runCommand(client, isSpoilt ? 'rollback' : 'commit')) === 'COMMIT') {
        this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
        return outcomes
      }
      await this.#runEachAlone(units, outcomes)
      return undefined
    } catch (error) {
      link.drop(client)
      throw error
    }
  }

  async #runUnit(send: Send, unit: Unit): Promise<Outcome> {
    const queries = new PostgresConnection(send, this.#observer)
    try {
      const value = await within(this.#limits.unitMsMax, unit.work(queries))
      return queries.failure === undefined
        ? { value }
        : { error: queries.failure.error, spoilt: true }
    } catch (error) {
      const mayStillWrite = error instanceof TookTooLongError
      return {
        error,
        spoilt: mayStillWrite || queries.hasWritten || queries.failure !== undefined,
      }
    } finally {
      queries.end()
    }
  }

  /** A unit that hung is not tried again: it would hang again. */
  async #runEachAlone(units: readonly Unit[], outcomes: readonly Outcome[]): Promise<void> {
    const waiting = units.filter((unit, index) => {
      const outcome = outcomes[index]
      if (outcome === undefined || !('error' in outcome)) return true
      if (!(outcome.error instanceof TookTooLongError)) return true
      unit.reject(outcome.error)
      return false
    })
    const runner = async (): Promise<void> => {
      for (let unit = waiting.shift(); unit !== undefined; unit = waiting.shift()) {
        await this.#alone(unit.work).then(unit.resolve, unit.reject)
      }
    }
    await Promise.all(Array.from({ length: aloneMax }, runner))
  }
}

function settle(units: readonly Unit[], outcomes: readonly Outcome[]): void {
  units.forEach((unit, index) => {
    const outcome = outcomes[index]
    if (outcome !== undefined && 'value' in outcome) unit.resolve(outcome.value)
    else unit.reject(outcome?.error)
  })
}
