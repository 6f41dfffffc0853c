import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'
import { asUnavailable } from './postgres-connection.ts'

const closeMsMax = 5_000

/** One connection in pipeline mode: opened when it is first needed, and again after it broke. */
export class PostgresLink {
  readonly #config: ClientConfig
  #client: Client | undefined
  #ready: Promise<Client> | undefined

  constructor(config: ClientConfig) {
    this.#config = config
  }

  /** @throws StorageError `unavailable` when the server does not let us in. */
  connect(): Promise<Client> {
    this.#ready ??= this.#open()
    return this.#ready
  }

  /** Lets a connection go that cannot be relied on any more. A later one is not touched. */
  drop(client: Client): void {
    if (this.#client === client) {
      this.#client = undefined
      this.#ready = undefined
    }
    client.end().catch(() => {})
  }

  /** Ends the connection; one whose server is silent is left to the operating system. */
  async close(): Promise<void> {
    const client = await this.#ready?.catch(() => undefined)
    if (client === undefined) return
    await Promise.race([client.end(), sleep(closeMsMax, undefined, { ref: false })])
  }

  async #open(): Promise<Client> {
    const client = new Client({ ...this.#config, pipeline: true })
    this.#client = client
    // Without a listener a lost connection would end the process.
    client.on('error', () => this.drop(client))
    client.on('end', () => this.drop(client))
    try {
      await client.connect()
      return client
    } catch (error) {
      this.drop(client)
      throw asUnavailable(error)
    }
  }
}
