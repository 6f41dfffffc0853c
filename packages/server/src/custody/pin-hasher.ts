import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'

/** The binding's number for argon2id. */
const argon2id = 2
/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const parameters = {
  algorithm: argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
}
const queueMax = 200

/** In front of what was hashed with the pepper; without it are hashes of before there was one. */
const pepperedMark = 'p1'

/** The queue of PIN computations is full; the caller should come back later. */
export class PinQueueFullError extends Error {
  override readonly name = 'PinQueueFullError'
}

/**
 * Hashes PINs and passwords with argon2id on threads beside the event loop. One core is left for everything else, and
 * what waits is bounded: an attacker who sends PINs delays other PINs only. With a pepper, which whoever reads the database
 * alone does not have, the few PINs that there are cannot be tried out on a hash.
 */
export class PinHasher {
  readonly #inFlightMax = Math.max(1, availableParallelism() - 1)
  readonly #waiting: (() => void)[] = []
  readonly #pepper: (() => Promise<Uint8Array>) | undefined
  #inFlight = 0
  #decoy: Promise<string> | undefined

  /** @param pepper the secret that goes into each hash, always the same; absent: none. */
  constructor(pepper?: () => Promise<Uint8Array>) {
    this.#pepper = pepper
  }

  get queueDepth(): number {
    return this.#waiting.length
  }

  /** @returns the encoded form (`$argon2id$...`, with a pepper `p1$argon2id$...`). @throws PinQueueFullError */
  async hash(pin: string): Promise<string> {
    const secret = await this.#pepper?.()
    return this.#inTurn(async () =>
      secret === undefined
        ? hash(pin, parameters)
        : pepperedMark + (await hash(pin, { ...parameters, secret })),
    )
  }

  /**
   * Compares with an encoded hash; undefined costs the same and is false.
   *
   * @throws PinQueueFullError
   */
  async verify(encoded: string | undefined, pin: string): Promise<boolean> {
    this.#decoy ??= hash('a PIN that nobody has', parameters)
    const target = encoded ?? (await this.#decoy)
    const isPeppered = target.startsWith(pepperedMark)
    const secret = isPeppered ? await this.#pepper?.() : undefined
    const bare = isPeppered ? target.slice(pepperedMark.length) : target
    const fits = await this.#inTurn(() => verify(bare, pin, secret && { secret }))
    return fits && encoded !== undefined
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inFlight >= this.#inFlightMax) {
      if (this.#waiting.length >= queueMax)
        throw new PinQueueFullError('Too many PINs wait to be checked.')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else {
      this.#inFlight++
    }
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#inFlight--
      else next()
    }
  }
}
