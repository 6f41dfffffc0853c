import { setTimeout as sleep } from 'node:timers/promises'
import { TookTooLongError } from './deadline.ts'
import { type CommitEnd, type Queries, StorageError, type StorageObserver } from './queries.ts'
import { isBusy, isFatal, type SqliteConnection, translateSqlite } from './sqlite-connection.ts'
import { type Left, SqliteUnit } from './sqlite-unit.ts'

export interface SqliteWriterLimits {
  /** A group ends at whichever comes first; what is left over goes into the next one. */
  readonly groupUnitsMax: number
  readonly groupMsMax: number
  /** Waiting for another process (a command, a backup) that holds the write lock. */
  readonly lockWaitMsMax: number
  /** A unit does nothing but run statements; one that waits for anything else is a fault. */
  readonly unitMsMax: number
  /** More than this may not wait: the next one is refused at once. */
  readonly queuedUnitsMax: number
}

export const sqliteWriterLimits: SqliteWriterLimits = {
  groupUnitsMax: 512,
  groupMsMax: 20,
  lockWaitMsMax: 5_000,
  unitMsMax: 10_000,
  queuedUnitsMax: 10_000,
}

const lockPollMs = 5

/** Turns of the event loop in which a group may still grow before it starts. */
const turnsMax = 8

interface Unit {
  readonly work: (queries: Queries) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** How a unit ended, before its group's commit. `spoilsGroup`: what it wrote is undone with the group, or not at all. */
type Outcome =
  | { readonly value: unknown }
  | { readonly error: unknown; readonly spoilsGroup?: boolean }

interface Ended {
  readonly unit: Unit
  readonly outcome: Outcome
}

/** Units that share a commit. */
interface Group {
  ended: Ended[]
  left: Left[]
  /** The one that runs. */
  current: Unit | undefined
  withSavepoints: boolean
}

/**
 * The one writer of an SQLite database. Everything that is queued within a turn of the event loop runs in one durable
 * commit, and nobody is answered before the commit is on disk: neither those who wrote nor those who failed, perhaps over
 * what a neighbour wrote. When a unit fails after it wrote, its group is undone and begun again, now with a savepoint for
 * each unit: that is rare, and savepoints for all cost every unit a copy of each page that it changes.
 */
export class SqliteWriter {
  readonly #connection: SqliteConnection
  readonly #observer: StorageObserver | undefined
  readonly #afterCommit: () => void
  readonly #limits: SqliteWriterLimits
  #queue: Unit[] = []
  #scheduled = false
  #running: Promise<void> = Promise.resolve()
  #pause: Promise<unknown> | undefined
  #giveUpOnUnit: (reason: unknown) => void = () => {}

  constructor(
    connection: SqliteConnection,
    observer: StorageObserver | undefined,
    afterCommit: () => void,
    limits: Partial<SqliteWriterLimits> = {},
  ) {
    this.#connection = connection
    this.#observer = observer
    this.#afterCommit = afterCommit
    this.#limits = { ...sqliteWriterLimits, ...limits }
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
      this.#schedule()
    })
  }

  /** Begins no further group before something is over; called between two groups. */
  waitFor(pause: Promise<unknown>): void {
    this.#pause = pause
  }

  /** Resolves when everything submitted so far has been answered. */
  async drain(): Promise<void> {
    while (this.#scheduled || this.#queue.length > 0) await this.#running.then(() => sleep(1))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const seenCount = this.#queue.length
    setImmediate(() => this.#collect(seenCount, turnsMax))
  }

  /** Starts a group when a turn of the event loop has brought nothing more: what comes together shares one sync. */
  #collect(seenCount: number, turnsLeft: number): void {
    const count = this.#queue.length
    if (count > seenCount && turnsLeft > 0 && count < this.#limits.groupUnitsMax) {
      setImmediate(() => this.#collect(count, turnsLeft - 1))
      return
    }
    this.#running = this.#runGroup().finally(() => {
      this.#scheduled = false
      if (this.#queue.length > 0) this.#schedule()
    })
  }

  async #runGroup(): Promise<void> {
    if (this.#pause !== undefined) {
      await this.#pause
      this.#pause = undefined
    }
    const startedAt = performance.now()
    const group: Group = { ended: [], left: [], current: undefined, withSavepoints: false }
    const watch = setTimeout(
      () => this.#giveUpOnUnit(new TookTooLongError()),
      this.#limits.unitMsMax,
    )
    try {
      await this.#begin()
      while (!(await this.#runUnits(group, watch))) await this.#beginAgain(group)
      watch.refresh()
      await this.#writeLeft(group.left)
      this.#connection.command('commit')
    } catch (error) {
      this.#abandon(error, group)
      return
    } finally {
      clearTimeout(watch)
    }
    this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
    for (const { unit, outcome } of group.ended) {
      if ('error' in outcome) unit.reject(outcome.error)
      else unit.resolve(outcome.value)
    }
    this.#afterCommit()
  }

  async #begin(): Promise<void> {
    const deadline = performance.now() + this.#limits.lockWaitMsMax
    if (this.#connection.inTransaction) this.#connection.exec('rollback')
    for (;;) {
      try {
        this.#connection.command('begin immediate')
        return
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw error
        await sleep(lockPollMs)
      }
    }
  }

  /** @returns false when one failed after it wrote: the group must be begun again. */
  async #runUnits(group: Group, watch: NodeJS.Timeout): Promise<boolean> {
    // The wait for the lock is not the group's time: it would leave none for the units.
    const endsAt = performance.now() + this.#limits.groupMsMax
    do {
      group.current = this.#queue.shift()
      if (group.current === undefined) break
      watch.refresh()
      const outcome = await this.#runUnit(group.current, group)
      group.ended.push({ unit: group.current, outcome })
      group.current = undefined
      if ('error' in outcome && outcome.spoilsGroup === true) return false
    } while (group.ended.length < this.#limits.groupUnitsMax && performance.now() < endsAt)
    return true
  }

  /** Undoes everything and puts the units back to the head of the queue, but for one that hung: it would hang again. */
  async #beginAgain(group: Group): Promise<void> {
    const { ended } = group
    const hung = ended.filter(
      ({ outcome }) => 'error' in outcome && outcome.error instanceof TookTooLongError,
    )
    this.#queue.unshift(...ended.filter((each) => !hung.includes(each)).map(({ unit }) => unit))
    group.ended = hung
    group.left = []
    group.withSavepoints = true
    await this.#begin()
  }

  /** @throws when the whole group is lost with the unit. */
  async #runUnit({ work }: Unit, { withSavepoints, left }: Group): Promise<Outcome> {
    const queries = new SqliteUnit(this.#connection)
    const writesBefore = this.#connection.writesCount
    if (withSavepoints) this.#connection.command('savepoint unit')
    try {
      const value = await this.#watched(work(queries))
      if (queries.failure !== undefined) throw queries.failure.error
      if (withSavepoints) this.#connection.command('release unit')
      left.push(...queries.left)
      return { value }
    } catch (error) {
      const fault = queries.failure?.error
      if (isFatal(fault) || isFatal(error) || !this.#connection.inTransaction) throw fault ?? error
      if (!withSavepoints) {
        return { error, spoilsGroup: this.#connection.writesCount > writesBefore }
      }
      this.#connection.exec('rollback to unit; release unit')
      return { error }
    } finally {
      queries.end()
    }
  }

  /** What the units of a group that were not undone left for its commit, a call for each kind. */
  async #writeLeft(left: readonly Left[]): Promise<void> {
    if (left.length === 0) return
    const kinds = new Map<CommitEnd<never>, unknown[]>()
    for (const { end, item } of left) {
      const items = kinds.get(end)
      if (items === undefined) kinds.set(end, [item])
      else items.push(item)
    }
    const queries = new SqliteUnit(this.#connection)
    try {
      for (const [end, items] of kinds) await this.#watched(end(queries, items as never[]))
      if (queries.failure !== undefined) throw queries.failure.error
    } finally {
      queries.end()
    }
  }

  /** One timer watches a whole group: the statements of a unit answer at once, so it fires for none but a faulty one. */
  #watched<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#giveUpOnUnit = reject
      work.then(resolve, reject)
    })
  }

  /** The group is lost: whoever was in it learns that nothing happened; whoever could not even begin, too. */
  #abandon(error: unknown, { current, ended }: Group): void {
    try {
      if (this.#connection.inTransaction) this.#connection.exec('rollback')
    } catch {
      // The engine has already rolled back by itself.
    }
    const failure = unavailable(error)
    for (const { unit } of ended) unit.reject(failure)
    if (current !== undefined) current.reject(failure)
    if (current === undefined && ended.length === 0) {
      for (const unit of this.#queue.splice(0)) unit.reject(failure)
    }
  }
}

function unavailable(error: unknown): StorageError {
  const translated = translateSqlite(error)
  if (translated instanceof StorageError && translated.failure === 'unavailable') return translated
  return new StorageError('unavailable', 'The database cannot be written now.', '', error)
}
