import type { CommitEnd, Queries } from './queries.ts'
import type { SqliteConnection } from './sqlite-connection.ts'
import type { Statement } from './statement.ts'

/** What a transaction left for the end of its commit. */
export interface Left {
  readonly end: CommitEnd<never>
  readonly item: unknown
}

/** One transaction's view of the writer's connection; closed when it has ended, so that nothing is written late. */
export class SqliteUnit implements Queries {
  readonly #connection: SqliteConnection
  #hasEnded = false
  /** What the first failed statement threw. A transaction in which a statement failed is undone on every engine. */
  failure: { readonly error: unknown } | undefined
  readonly left: Left[] = []

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }

  end(): void {
    this.#hasEnded = true
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    return this.#attempt(() => this.#connection.allNow(statement, parameters))
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    return this.#attempt(() => this.#connection.firstNow(statement, parameters))
  }

  async run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    return this.#attempt(() => this.#connection.runNow(statement, parameters))
  }

  /** There is one writer: whoever runs holds everything. */
  async hold(): Promise<void> {
    if (this.#hasEnded) throw endedError()
  }

  leaveForCommit<T>(end: CommitEnd<T>, item: T): void {
    if (this.#hasEnded) throw endedError()
    this.left.push({ end, item })
  }

  #attempt<T>(run: () => T): T {
    if (this.#hasEnded) throw endedError()
    // The engine may have rolled back by itself: what came after would be committed at once, alone.
    if (this.failure !== undefined) throw this.failure.error
    try {
      return run()
    } catch (error) {
      this.failure = { error }
      throw error
    }
  }
}

function endedError(): Error {
  return new Error('A statement came after the end of its transaction.')
}
