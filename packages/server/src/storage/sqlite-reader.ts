import type { Queries } from './queries.ts'
import type { SqliteConnection } from './sqlite-connection.ts'
import type { Statement } from './statement.ts'

/**
 * Reads what is committed. All reads of one pass of the event loop see one state, in one read transaction: taking and
 * releasing the lock of a read costs as much as finding a row. A commit of this process ends the pass's state at once,
 * so that whoever was answered finds what was written for it.
 */
export class SqliteReader implements Queries {
  readonly #connection: SqliteConnection
  #moment: object | undefined

  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }

  moment(): object {
    if (this.#moment !== undefined) return this.#moment
    if (!this.#connection.inTransaction) this.#connection.command('begin')
    const moment = {}
    this.#moment = moment
    setImmediate(() => {
      if (this.#moment === moment) this.renew()
    })
    return moment
  }

  /** What is read from now on sees what is committed now. */
  renew(): void {
    if (this.#moment === undefined) return
    this.#moment = undefined
    try {
      // The engine may have ended the transaction by itself, after a fault.
      if (this.#connection.inTransaction) this.#connection.command('commit')
    } catch {
      // Nothing was written, so nothing is lost; the next read says what is wrong.
    }
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

  async run(): Promise<number> {
    throw new Error('The reader does not write.')
  }

  #attempt<T>(read: () => T): T {
    this.moment()
    try {
      return read()
    } catch (error) {
      this.renew()
      throw error
    }
  }
}
