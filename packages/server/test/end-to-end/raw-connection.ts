import { connect, type Socket } from 'node:net'

/** One TCP connection on which a test says what no client would. */
export class RawConnection implements Disposable {
  /** Everything received so far. */
  received = ''
  /** Resolves when the connection is gone, however. */
  readonly closed: Promise<void>
  readonly #socket: Socket
  #isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.received += chunk
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isClosed = true
        resolve()
      })
    })
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    const connection = new RawConnection(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject)
    })
    return connection
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Status codes of the answers received so far, in order. */
  get statuses(): readonly number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  }

  send(text: string | Uint8Array): void {
    this.#socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  /** Waits until as many answers are there, or the connection is closed. @throws after the deadline. */
  async answers(count: number, deadlineMs = 20_000): Promise<readonly number[]> {
    const endsAt = Date.now() + deadlineMs
    while (this.statuses.length < count && !this.#isClosed) {
      if (Date.now() > endsAt) throw new Error(`No answer in ${deadlineMs} ms: ${this.received}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return this.statuses
  }

  /** Waits for the end of the connection. @returns after how many milliseconds it came. @throws after the deadline. */
  async end(deadlineMs: number): Promise<number> {
    const startedAt = performance.now()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Open after ${deadlineMs} ms.`)), deadlineMs)
    })
    await Promise.race([this.closed, late]).finally(() => clearTimeout(timer))
    return performance.now() - startedAt
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }
}
