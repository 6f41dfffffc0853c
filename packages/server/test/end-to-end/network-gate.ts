import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** A way to a server that can be cut, and opened again at the same address. */
export class NetworkGate implements AsyncDisposable {
  readonly #target: { readonly host: string; readonly port: number }
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #isFrozen = false

  private constructor(target: { host: string; port: number }) {
    this.#target = target
  }

  /** @param url of the server behind it. */
  static async open(url: string): Promise<NetworkGate> {
    const { hostname, port } = new URL(url)
    const gate = new NetworkGate({ host: hostname, port: Number(port) })
    await gate.restore()
    return gate
  }

  /** The URL, leading through the gate. */
  through(url: string): string {
    const changed = new URL(url)
    changed.hostname = '127.0.0.1'
    changed.port = String(this.#port)
    return changed.href
  }

  /** As if the server had been stopped: connections break, new ones are refused. */
  async cut(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const closed = once(server, 'close')
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** As if a cable had been pulled: connections stay, nothing gets through. */
  freeze(): void {
    this.#isFrozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  async restore(): Promise<void> {
    this.#isFrozen = false
    for (const socket of this.#sockets) socket.resume()
    if (this.#server !== undefined) return
    this.#server = createServer((incoming) => this.#join(incoming))
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('No port was given.')
    this.#port = address.port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut()
  }

  #join(incoming: Socket): void {
    const outgoing = connect(this.#target)
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      this.#sockets.add(one)
      one.on('data', (chunk) => other.write(chunk))
      one.on('error', () => {})
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
      if (this.#isFrozen) one.pause()
    }
  }
}
