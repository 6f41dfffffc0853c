import { PostgresConnection, readerConfig } from './postgres-connection.ts'
import { PostgresLink } from './postgres-link.ts'
import type { Queries, StorageObserver } from './queries.ts'
import type { Statement } from './statement.ts'

const readerCount = 2

/** Spreads reads over a few connections in pipeline mode, so that reads of the same moment share round trips. */
export class PostgresReader implements Queries {
  readonly #observer: StorageObserver | undefined
  readonly #links: readonly PostgresLink[]
  #next = 0

  constructor(url: string, observer: StorageObserver | undefined) {
    this.#observer = observer
    this.#links = Array.from({ length: readerCount }, () => new PostgresLink(readerConfig(url)))
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    return (await this.#connection()).all(statement, parameters)
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    return (await this.#connection()).first(statement, parameters)
  }

  async run(): Promise<number> {
    throw new Error('The reader does not write.')
  }

  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()))
  }

  async #connection(): Promise<PostgresConnection> {
    this.#next = (this.#next + 1) % this.#links.length
    const link = this.#links[this.#next] as PostgresLink
    return new PostgresConnection(await link.connect(), this.#observer)
  }
}
