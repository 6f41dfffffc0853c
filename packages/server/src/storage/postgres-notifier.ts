import { Client } from 'pg'
import { readerConfig } from './postgres-connection.ts'
import type { NotificationListener } from './queries.ts'

const channel = 'countersign'
/** The server's own limit is 8,000 bytes; lines are ASCII. */
const payloadLengthMax = 7_900
/** What is said beyond while the server does not answer is lost. */
const linesMax = 20_000
const retryMsMin = 100
const retryMsMax = 10_000
/** Shows that the connection still leads to a server; a lost one says nothing by itself. */
const checkMs = 30_000

/**
 * Says lines to the other processes of a database and hears theirs (NOTIFY, LISTEN), on one connection of its own that is
 * opened when it is first needed and again after it broke. Lines of a moment share a payload, the same line once. While
 * the connection is broken lines are lost in both directions; the listener is told.
 */
export class PostgresNotifier {
  readonly #url: string
  readonly #lines = new Set<string>()
  #listener: NotificationListener | undefined
  /** Connected, and listening if anybody does. */
  #client: Client | undefined
  #opening: Promise<void> | undefined
  #isSending = false
  #isClosed = false
  #retryMs = retryMsMin
  #retryTimer: NodeJS.Timeout | undefined
  #checkTimer: NodeJS.Timeout | undefined

  constructor(url: string) {
    this.#url = url
  }

  notify(line: string): void {
    if (this.#isClosed || this.#lines.size >= linesMax) return
    this.#lines.add(line)
    this.#send()
  }

  listen(listener: NotificationListener): void {
    this.#listener = listener
    listener.missed({ isOver: false })
    if (this.#client === undefined) this.#open()
    else this.#drop(this.#client)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retryTimer)
    clearInterval(this.#checkTimer)
    await this.#opening
    await this.#client?.end().catch(() => {})
  }

  #open(): void {
    if (this.#isClosed || this.#opening !== undefined || this.#retryTimer !== undefined) return
    this.#opening = this.#connect().finally(() => {
      this.#opening = undefined
      if (this.#client === undefined) this.#retry()
      else this.#send()
    })
  }

  async #connect(): Promise<void> {
    const client = new Client(readerConfig(this.#url))
    // Without a listener a lost connection would end the process.
    client.on('error', () => this.#drop(client))
    client.on('end', () => this.#drop(client))
    try {
      await client.connect()
      // What is said may be lost: nobody who waits to hear it waits for the disk first.
      await client.query('set synchronous_commit = off')
      const { rows } = await client.query<{ id: number }>('select pg_backend_pid() as id')
      client.on('notification', ({ payload = '', processId }) => {
        if (processId !== rows[0]?.id) this.#receive(payload)
      })
      const isHeard = this.#listener !== undefined
      if (isHeard) await client.query(`listen ${channel}`)
      this.#client = client
      this.#retryMs = retryMsMin
      this.#checkTimer = setInterval(() => this.#check(client), checkMs).unref()
      if (isHeard) this.#listener?.missed({ isOver: true })
    } catch {
      client.end().catch(() => {})
    }
  }

  /** Lets a connection go that broke, and opens another. */
  #drop(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearInterval(this.#checkTimer)
    client.end().catch(() => {})
    if (this.#isClosed) return
    this.#listener?.missed({ isOver: false })
    this.#retry()
  }

  #retry(): void {
    if (this.#isClosed || this.#retryTimer !== undefined) return
    // Many processes lose the same server in the same moment.
    const waitMs = this.#retryMs * (0.5 + Math.random() / 2)
    this.#retryMs = Math.min(2 * this.#retryMs, retryMsMax)
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#open()
    }, waitMs).unref()
  }

  #check(client: Client): void {
    client.query('select 1').catch(() => this.#drop(client))
  }

  #receive(payload: string): void {
    for (const line of payload.split('\n')) this.#listener?.received(line)
  }

  #send(): void {
    const client = this.#client
    if (client === undefined) this.#open()
    else if (!this.#isSending && this.#lines.size > 0) {
      this.#isSending = true
      this.#sendAll(client)
        .catch(() => this.#drop(client))
        .finally(() => {
          this.#isSending = false
        })
    }
  }

  async #sendAll(client: Client): Promise<void> {
    while (this.#lines.size > 0 && this.#client === client) {
      await client.query('select pg_notify($1, $2)', [channel, this.#takePayload()])
    }
  }

  #takePayload(): string {
    let payload = ''
    for (const line of this.#lines) {
      if (payload.length + line.length >= payloadLengthMax) break
      payload += payload === '' ? line : `\n${line}`
      this.#lines.delete(line)
    }
    return payload
  }
}
