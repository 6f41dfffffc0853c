import type { ClientHttp2Session } from 'node:http2'

const answerMsMax = 2_000

/**
 * Whether connections still lead somewhere. What stands between forgets idle ones without a word; a message that finds
 * out by itself would have waited in vain.
 */
export class Liveness {
  readonly #quietMs: number
  readonly #heardAtMs = new WeakMap<ClientHttp2Session, number>()
  readonly #asking = new WeakMap<ClientHttp2Session, Promise<boolean>>()

  /** @param quietMs after which a connection is asked before it is used. */
  constructor(quietMs: number) {
    this.#quietMs = quietMs
  }

  /** Something came over it just now. */
  note(session: ClientHttp2Session): void {
    this.#heardAtMs.set(session, performance.now())
  }

  /** At once, unless it was quiet for long; then the other side has two seconds to answer a PING. */
  async isAlive(session: ClientHttp2Session): Promise<boolean> {
    const heardAtMs = this.#heardAtMs.get(session)
    if (heardAtMs === undefined || performance.now() - heardAtMs < this.#quietMs) return true
    const asking = this.#asking.get(session) ?? this.#ask(session)
    return asking
  }

  #ask(session: ClientHttp2Session): Promise<boolean> {
    const asking = ping(session).then((isAlive) => {
      this.#asking.delete(session)
      if (isAlive) this.note(session)
      return isAlive
    })
    this.#asking.set(session, asking)
    return asking
  }
}

function ping(session: ClientHttp2Session): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), answerMsMax)
    const end = (error: Error | null): void => {
      clearTimeout(timer)
      resolve(error === null)
    }
    try {
      if (!session.ping(end)) end(new Error('It was not sent.'))
    } catch {
      end(new Error('The connection is over.'))
    }
  })
}
