import type { Randomness } from '#custody/randomness.ts'

/** Codes are made distinct where there are this many times more possible ones than the list needs. */
const spaceFactor = 10
/** A generator that repeats itself this often is broken. */
const drawsPerCodeMax = 1_000
const chunkBytes = 512

/** Draws whole numbers without a bias: bytes beyond the last full multiple are thrown away. */
class Draw {
  readonly #randomness: Randomness
  #bytes: Uint8Array = new Uint8Array()
  #used = 0

  constructor(randomness: Randomness) {
    this.#randomness = randomness
  }

  /** 0 to `count` - 1; `count` at most 65,536. */
  below(count: number): number {
    const range = count <= 256 ? 256 : 65_536
    const limit = range - (range % count)
    for (;;) {
      const value = range === 256 ? this.#byte() : this.#byte() * 256 + this.#byte()
      if (value < limit) return value % count
    }
  }

  #byte(): number {
    if (this.#used === this.#bytes.length) {
      this.#bytes = this.#randomness(chunkBytes)
      this.#used = 0
    }
    return this.#bytes[this.#used++] ?? 0
  }
}

/** Makes the codes and the orders of lists. */
export class CodeSource {
  readonly #draw: Draw

  constructor(randomness: Randomness) {
    this.#draw = new Draw(randomness)
  }

  /** Codes for one sheet, in its order; distinct where the space is ten times the size. */
  codes(form: { size: number; otpLength: number; otpAlphabet: string }): string[] {
    const { size, otpLength, otpAlphabet } = form
    const isRoomy = otpAlphabet.length ** otpLength >= spaceFactor * size
    const codes: string[] = []
    const seen = new Set<string>()
    for (let draws = 0; codes.length < size; draws++) {
      if (draws > drawsPerCodeMax * size) throw new Error('The random numbers repeat themselves.')
      const code = this.#code(otpLength, otpAlphabet)
      if (isRoomy && seen.has(code)) continue
      seen.add(code)
      codes.push(code)
    }
    return codes
  }

  /** 1 to `size` in an order that nobody can foresee. */
  order(size: number): number[] {
    const order = Array.from({ length: size }, (_, index) => index + 1)
    for (let last = size - 1; last > 0; last--) {
      const other = this.#draw.below(last + 1)
      const moved = order[last] ?? 0
      order[last] = order[other] ?? 0
      order[other] = moved
    }
    return order
  }

  #code(length: number, alphabet: string): string {
    let code = ''
    for (let index = 0; index < length; index++) code += alphabet[this.#draw.below(alphabet.length)]
    return code
  }
}
