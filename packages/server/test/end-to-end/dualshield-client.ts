import { createHmac } from 'node:crypto'

/** What every method answers: an error number, and a result where it has one. */
export interface Envelope {
  readonly error: number
  readonly message?: string
  readonly severity?: string
  // A client of the vendor's has no types for results either.
  // biome-ignore lint/suspicious/noExplicitAny: whatever the method answers
  readonly result?: any
}

/** RFC 6749, section 5.1. */
interface TokenReply {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in: number
}

/**
 * A client as the vendor's pages describe one: `POST {base}/{object}/{method}`, JSON in and out, a bearer token from
 * `oauth/token`. It knows nothing of this server.
 */
export class DualshieldClient {
  readonly #base: string
  readonly #token: string

  private constructor(base: string, token: string) {
    this.#base = base
    this.#token = token
  }

  /** @param base as in `https://das.example.com:8070/das5/rest`. */
  static async signIn(base: string, clientId: string, secret: string): Promise<DualshieldClient> {
    const response = await fetch(`${base}/oauth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: clientId,
        client_secret: secret,
      }),
    })
    if (!response.ok) throw new Error(`oauth/token answered ${response.status}.`)
    const { access_token, token_type, expires_in } = (await response.json()) as TokenReply
    // Clients renew a minute early: shorter lives would have them renew at every call.
    if (!/^bearer$/i.test(token_type) || expires_in < 120) {
      throw new Error(`oauth/token answered a ${token_type} token for ${expires_in} seconds.`)
    }
    return new DualshieldClient(base, access_token)
  }

  /** @param parameters an object, or the text of one. */
  async call(method: string, parameters: unknown): Promise<Envelope> {
    const response = await fetch(`${this.#base}/${method}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${this.#token}`,
        'Content-Type': 'application/json; charset=UTF-8',
      },
      body: typeof parameters === 'string' ? parameters : JSON.stringify(parameters),
    })
    return (await response.json()) as Envelope
  }

  /** As `call`, for what must succeed. @throws with the answer otherwise. */
  // biome-ignore lint/suspicious/noExplicitAny: as Envelope
  async must(method: string, parameters: unknown): Promise<any> {
    const answer = await this.call(method, parameters)
    if (answer.error !== 0) throw new Error(`${method}: ${JSON.stringify(answer)}`)
    return answer.result
  }
}

/** RFC 4226, in the words of the RFC. */
export function hotpOf(secret: Uint8Array, counter: number, digits = 6): string {
  const message = Buffer.alloc(8)
  message.writeBigUInt64BE(BigInt(counter))
  const hash = createHmac('sha1', secret).update(message).digest()
  const offset = (hash.at(-1) ?? 0) & 0xf
  const binary = hash.readUInt32BE(offset) & 0x7fffffff
  return String(binary % 10 ** digits).padStart(digits, '0')
}

/** RFC 6238 for now. */
export function totpOf(secret: Uint8Array, stepSeconds: number): string {
  return hotpOf(secret, Math.floor(Date.now() / 1000 / stepSeconds))
}

/** RFC 4648, without padding. */
export function fromBase32(text: string): Uint8Array {
  const bits = [...text]
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter))
    .map((value) => value.toString(2).padStart(5, '0'))
    .join('')
  const bytes = bits.match(/.{8}/g) ?? []
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 2))
}
