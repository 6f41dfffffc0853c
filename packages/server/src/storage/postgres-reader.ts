import type { Client } from 'pg'
import { sendInBatches } from './postgres-batch.ts'
import { PostgresConnection, readerConfig, type Send } from './postgres-connection.ts'
import { PostgresLink } from './postgres-link.ts'
import type { Queries, StorageObserver } from './queries.ts'
import type { Statement } from './statement.ts'

const readerCount = 2

/**
 * Spreads reads over a few connections in pipeline mode, so that reads of the same moment share round trips
 * and, when they are the same, their execution.
 */
export class PostgresReader implements Queries {
  readonly #observer: StorageObserver | undefined
  readonly #links: readonly PostgresLink[]
  readonly #senders = new WeakMap<Client, Send>()
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
    const client = await link.connect()
    let send = this.#senders.get(client)
    if (send === undefined) {
      send = sendInBatches(client)
      this.#senders.set(client, send)
    }
    return new PostgresConnection(send, this.#observer)
  }
}
