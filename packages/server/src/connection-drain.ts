import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const lookMs = 100

/**
 * Ends the connections of a server that stops as soon as nothing runs on them. Node ends idle ones once, at the beginning:
 * neither those that become idle later, nor those on which nothing was asked yet. Each of them would hold the end up until
 * its client lets go.
 */
export class ConnectionDrain {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** @param stop stops listening and resolves when the last connection has ended. */
  async during(stop: () => Promise<unknown>): Promise<void> {
    // Counts from the end of the last answer on a connection, so it cuts off none.
    this.#server.keepAliveTimeout = 1
    const look = setInterval(() => this.#endUnused(), lookMs)
    try {
      await stop()
    } finally {
      clearInterval(look)
    }
  }

  #endUnused(): void {
    for (const socket of this.#sockets) {
      if (socket.bytesRead === 0) socket.destroy()
    }
  }
}
