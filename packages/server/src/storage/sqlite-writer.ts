import { setTimeout as sleep } from 'node:timers/promises'
import { type Queries, StorageError, type StorageObserver } from './queries.ts'
import { isBusy, isFatal, type SqliteConnection, translateSqlite } from './sqlite-connection.ts'
import type { Statement } from './statement.ts'

/** A group ends at whichever comes first; what is left over goes into the next one. */
const groupUnitsMax = 512
const groupMsMax = 20
/** Waiting for another process (a command, a backup) that holds the write lock. */
const lockWaitMsMax = 5_000
const lockPollMs = 5
/** A unit does nothing but run statements; one that waits for anything else is a fault. */
const unitMsMax = 10_000

interface Unit {
  readonly work: (queries: Queries) => Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

interface Finished {
  readonly unit: Unit
  readonly value: unknown
}

/** A unit's view of the connection; closed when the unit has ended, so that nothing is written late. */
class UnitQueries implements Queries {
  readonly #connection: Queries
  #ended = false

  constructor(connection: Queries) {
    this.#connection = connection
  }

  end(): void {
    this.#ended = true
  }

  all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    return this.#open().all(statement, parameters)
  }

  first<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R | undefined> {
    return this.#open().first(statement, parameters)
  }

  run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    return this.#open().run(statement, parameters)
  }

  #open(): Queries {
    if (this.#ended) throw new Error('A statement came after the end of its transaction.')
    return this.#connection
  }
}

/**
 * The one writer of an SQLite database. Everything that is queued within a turn of the event loop runs in one durable
 * commit, each unit inside a savepoint of its own, and nobody is answered before the commit is on disk.
 */
export class SqliteWriter {
  readonly #connection: SqliteConnection
  readonly #observer: StorageObserver | undefined
  readonly #afterCommit: () => void
  #queue: Unit[] = []
  #scheduled = false
  #running: Promise<void> = Promise.resolve()
  #giveUpOnUnit: (reason: unknown) => void = () => {}

  constructor(
    connection: SqliteConnection,
    observer: StorageObserver | undefined,
    afterCommit: () => void,
  ) {
    this.#connection = connection
    this.#observer = observer
    this.#afterCommit = afterCommit
  }

  get depth(): number {
    return this.#queue.length
  }

  submit<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as (value: unknown) => void, reject })
      this.#schedule()
    })
  }

  /** Resolves when everything submitted so far has been answered. */
  async drain(): Promise<void> {
    while (this.#scheduled || this.#queue.length > 0) await this.#running.then(() => sleep(1))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#running = this.#runGroup().finally(() => {
        this.#scheduled = false
        if (this.#queue.length > 0) this.#schedule()
      })
    })
  }

  async #runGroup(): Promise<void> {
    const startedAt = performance.now()
    const finished: Finished[] = []
    let current: Unit | undefined
    const watch = setTimeout(
      () => this.#giveUpOnUnit(new Error('A transaction took too long.')),
      unitMsMax,
    )
    try {
      await this.#begin()
      while (finished.length < groupUnitsMax && performance.now() - startedAt < groupMsMax) {
        current = this.#queue.shift()
        if (current === undefined) break
        await this.#runUnit(current, finished)
        current = undefined
      }
      this.#connection.exec('commit')
    } catch (error) {
      this.#abandon(error, current, finished)
      return
    } finally {
      clearTimeout(watch)
    }
    this.#observer?.observeDatabase('commit', (performance.now() - startedAt) / 1000)
    for (const { unit, value } of finished) unit.resolve(value)
    this.#afterCommit()
  }

  async #begin(): Promise<void> {
    const deadline = performance.now() + lockWaitMsMax
    for (;;) {
      try {
        this.#connection.exec('begin immediate')
        return
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) throw error
        await sleep(lockPollMs)
      }
    }
  }

  async #runUnit(unit: Unit, finished: Finished[]): Promise<void> {
    const queries = new UnitQueries(this.#connection)
    this.#connection.exec('savepoint unit')
    try {
      const value = await this.#watched(unit.work(queries))
      this.#connection.exec('release unit')
      finished.push({ unit, value })
    } catch (error) {
      if (isFatal(error) || !this.#connection.inTransaction) throw error
      this.#connection.exec('rollback to unit; release unit')
      unit.reject(error)
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
  #abandon(error: unknown, current: Unit | undefined, finished: readonly Finished[]): void {
    try {
      if (this.#connection.inTransaction) this.#connection.exec('rollback')
    } catch {
      // The engine has already rolled back by itself.
    }
    const failure = unavailable(error)
    for (const { unit } of finished) unit.reject(failure)
    if (current !== undefined) current.reject(failure)
    if (current === undefined && finished.length === 0) {
      for (const unit of this.#queue.splice(0)) unit.reject(failure)
    }
  }
}

function unavailable(error: unknown): StorageError {
  const translated = translateSqlite(error)
  if (translated instanceof StorageError && translated.failure === 'unavailable') return translated
  return new StorageError('unavailable', 'The database cannot be written now.', '', error)
}
