import type { Statement } from './statement.ts'

/** Writes what the transactions of a commit left for its end, in the order in which they ended, as a part of it. */
export type CommitEnd<T> = (queries: Queries, left: readonly T[]) => Promise<void>

/**
 * Runs statements: on the reader each by itself, inside a transaction together. A write that names rows by condition
 * answers how many it changed, which is how single-use questions are decided.
 */
export interface Queries {
  all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]>
  first<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R | undefined>
  /** @returns the number of rows changed. */
  run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number>
  /**
   * Leaves something to be written at the end of this transaction's commit, together with what others left for the same
   * `end`. If it cannot be written, nothing of the commit is. Only where one writer runs transactions one after another,
   * so that `end` sees everything that was ever committed: absent elsewhere, and on readers.
   */
  leaveForCommit?<T>(end: CommitEnd<T>, item: T): void
  /**
   * Waits until no other transaction holds this name, and holds it until this one has ended: what is read or counted
   * afterwards contains everything that earlier holders committed. Absent on readers.
   */
  hold?(name: string): Promise<void>
  /**
   * Stands for the state that reads see now: as long as it is the same object, every read finds what it found before.
   * Only readers that can tell have it.
   */
  moment?(): object
}

/**
 * `taken`: a unique key is in use. `unavailable`: nothing can be said or done now. Nothing was changed then, unless the
 * connection or the disk failed at the very moment of a commit: such a commit may or may not have taken place.
 */
export type StorageFailure = 'taken' | 'unavailable'

/** The database refuses or cannot. Drivers' errors become one of these; `cause` has the original. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly failure: StorageFailure
  /** The table or index of a key that is taken, as far as the engine tells. */
  readonly place: string

  constructor(failure: StorageFailure, message: string, place: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.failure = failure
    this.place = place
  }
}

/** What a database tells of itself while it works. */
export interface StorageObserver {
  observeDatabase(operation: 'read' | 'commit', seconds: number): void
  /** Called once for every statement that is run; used by tests that count and explain them. */
  statementRun?(sql: string): void
}

export interface TransactionOptions {
  /**
   * True for units whose every write is decided by a condition in the statement itself. On PostgreSQL they may share one
   * transaction and its commit with others of the same moment and interleave with them, statement by statement.
   */
  readonly grouped?: boolean
}

/** Hears what other processes of a database say. */
export interface NotificationListener {
  received(line: string): void
  /** Lines may be lost from now on; `isOver`: may have been lost until now. */
  missed(state: { isOver: boolean }): void
}

/** A database of either engine. */
export interface Database {
  readonly engine: 'sqlite' | 'postgres'
  /** Reads what is committed; never waits for a writer. */
  readonly reader: Queries
  /**
   * The only way to write. Resolves when the work's writes are on disk; a throw of the work undoes them, and so does a
   * statement that fails, even if the work catches its error. The work may be run again until its commit is asked for,
   * never after, so it must change nothing outside the database; it is given up when it waits for anything else.
   *
   * @throws StorageError `unavailable` when the outcome is not known to be committed, or the work took too long.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>, options?: TransactionOptions): Promise<T>
  /** Brings the schema up to date under a lock. */
  migrate(): Promise<void>
  /** @throws StorageError when the database does not answer. */
  check(): Promise<void>
  /**
   * Says something to the processes that `listen` on the same database, this one excepted: soon, and if nothing goes wrong.
   * On SQLite there are no others.
   *
   * @param line without line breaks, at most 1,000 characters.
   */
  notify(line: string): void
  /** Hears the others from now on, until the database is closed. */
  listen(listener: NotificationListener): void
  /** Transactions waiting for the writer. */
  queueDepth(): number
  close(): Promise<void>
}
