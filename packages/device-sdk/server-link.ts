import { encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { parseJson } from '@countersign/protocol/encoding/json.ts'
import { encodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'
import { Answer } from './answer.ts'
import { DeviceError, type ProblemFacts } from './device-error.ts'
import { type SigningKey, signJws } from './signing-key.ts'
import { newJti, sha256 } from './web-crypto.ts'

export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>

/** What varies; defaults are the platform's. */
export interface LinkOptions {
  readonly fetch?: FetchFunction | undefined
  /** Epoch milliseconds by the device's own clock, which may be wrong. */
  readonly clock?: (() => number) | undefined
  readonly timeoutMs?: number | undefined
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the server's origin, percent-encoded, without a query. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** Made anew for a repetition, because it may hold signed times and nonces. */
  readonly body?: () => Promise<object | URLSearchParams>
  /** The device key, for the DPoP proof. Without it the call is public. */
  readonly key?: SigningKey
  readonly token?: string
  /** Whether the proof must carry a server nonce from the beginning (`createToken`). */
  readonly needsNonce?: boolean
  /** Default: 1 MiB. */
  readonly replyBytesMax?: number
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  /** Undefined without a body. */
  readonly body: unknown
}

const timeoutDefaultMs = 20_000
const replyBytesDefault = 1_048_576
/** Each is repeated once, and no call is sent more often than this. */
const repeatable = ['use_dpop_nonce', 'clock_skew']
const attemptsMax = repeatable.length + 1
const noncePattern = /^[A-Za-z0-9_-]{22,256}$/
const codePattern = /^[a-z][a-z0-9_]{0,63}$/

/** Calls to one server: time, nonces, DPoP proofs (RFC 9449), bounded answers. */
export class ServerLink {
  readonly origin: string
  readonly #fetch: FetchFunction
  readonly #clock: () => number
  readonly #timeoutMs: number
  /** Server time less our own. */
  #offsetMs = 0
  /** The newest counts. */
  #nonce: string | undefined

  constructor(origin: string, options: LinkOptions = {}) {
    this.origin = origin
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init))
    this.#clock = options.clock ?? Date.now
    this.#timeoutMs = options.timeoutMs ?? timeoutDefaultMs
  }

  /** `aud` of everything that is signed for this server. */
  get issuer(): string {
    return `${this.origin}/device/v1`
  }

  /** The server's time, as well as it is known. */
  get nowMs(): number {
    return this.#clock() + this.#offsetMs
  }

  get nowSeconds(): number {
    return Math.floor(this.nowMs / 1000)
  }

  /**
   * Sets the clock and takes a nonce.
   *
   * @throws DeviceError `issuer_mismatch` when the server names itself otherwise than it was reached.
   */
  async configure(): Promise<void> {
    const { body } = await this.call({ method: 'GET', path: '/device/v1/configuration' })
    const facts = new Answer(body)
    if (facts.text('issuer') !== this.issuer) {
      throw new DeviceError('issuer_mismatch', 'The server names itself otherwise than the code.')
    }
    if (facts.number('protocol') !== 1) {
      throw new DeviceError('answer_invalid', 'The server speaks another protocol.')
    }
    this.#setTime(facts.time('serverTime'))
  }

  /** A server nonce to sign, asked for when none is at hand. */
  async takeNonce(): Promise<string> {
    if (this.#nonce === undefined) await this.configure()
    if (this.#nonce === undefined) {
      throw new DeviceError('answer_invalid', 'The server gave no nonce.')
    }
    return this.#nonce
  }

  /**
   * Calls, and repeats once with the nonce or the time that the server names.
   *
   * @throws DeviceError with the code of the server's problem; `unreachable`, `answer_invalid`.
   */
  async call(call: Call): Promise<Reply> {
    const repeated = new Set<string>()
    for (let attempt = 1; ; attempt++) {
      const withNonce = call.needsNonce === true || repeated.has('use_dpop_nonce')
      const response = await this.send(call, { withNonce })
      const reply = {
        status: response.status,
        headers: response.headers,
        body: await bodyOf(response, call.replyBytesMax ?? replyBytesDefault),
      }
      if (response.ok) return reply
      const error = problemOf(reply)
      const isNew = repeatable.includes(error.code) && !repeated.has(error.code)
      if (!isNew || attempt >= attemptsMax) throw error
      repeated.add(error.code)
      if (error.facts.serverTimeMs !== undefined) this.#setTime(error.facts.serverTimeMs)
    }
  }

  /** One call as it is; its answer's nonce is taken. For streams. @throws DeviceError `unreachable` */
  async send(
    call: Call,
    options: { readonly withNonce: boolean; readonly signal?: AbortSignal },
  ): Promise<Response> {
    const url = this.origin + call.path
    const query = new URLSearchParams(call.query).toString()
    const headers = new Headers({ accept: 'application/json', ...call.headers })
    const nonce = options.withNonce ? await this.takeNonce() : undefined
    const body = await call.body?.()
    const content = body === undefined ? undefined : contentOf(body, headers)
    if (call.token !== undefined) headers.set('authorization', `DPoP ${call.token}`)
    if (call.key !== undefined) {
      const proof = await this.#proof(call, url, nonce)
      headers.set('dpop', proof)
    }
    let response: Response
    try {
      response = await this.#fetch(query === '' ? url : `${url}?${query}`, {
        method: call.method,
        headers,
        // A proof is for one URL; whoever redirects is not the server that was agreed.
        redirect: 'error',
        credentials: 'omit',
        cache: 'no-store',
        referrerPolicy: 'no-referrer',
        signal: options.signal ?? AbortSignal.timeout(this.#timeoutMs),
        ...(content === undefined ? {} : { body: content }),
      })
    } catch (cause) {
      throw new DeviceError('unreachable', 'The server cannot be reached.', { cause })
    }
    const given = response.headers.get('dpop-nonce')
    if (given !== null && noncePattern.test(given)) this.#nonce = given
    return response
  }

  async #proof(
    { method, token, key }: Call,
    url: string,
    nonce: string | undefined,
  ): Promise<string> {
    if (key === undefined) throw new TypeError('A proof needs a key.')
    return signJws('dpop', key, {
      jti: newJti(),
      htm: method,
      htu: url,
      iat: this.nowSeconds,
      ath: token === undefined ? undefined : encodeBase64url(await sha256(encodeUtf8(token))),
      nonce,
    })
  }

  #setTime(serverMs: number): void {
    this.#offsetMs = serverMs - this.#clock()
  }
}

function contentOf(body: object | URLSearchParams, headers: Headers): string {
  if (body instanceof URLSearchParams) {
    headers.set('content-type', 'application/x-www-form-urlencoded')
    return body.toString()
  }
  headers.set('content-type', 'application/json')
  return JSON.stringify(body)
}

async function bodyOf(response: Response, bytesMax: number): Promise<unknown> {
  const bytes = await bytesOf(response, bytesMax)
  if (bytes.length === 0) return undefined
  const type = response.headers.get('content-type') ?? ''
  if (!/^application\/(problem\+)?json\b/.test(type)) {
    throw new DeviceError(
      'answer_invalid',
      `The server answered ${response.status} without JSON.`,
      {
        status: response.status,
      },
    )
  }
  try {
    return parseJson(bytes)
  } catch (cause) {
    throw new DeviceError('answer_invalid', "The server's answer is no JSON.", { cause })
  }
}

/** Reads a body up to a bound. */
async function bytesOf(response: Response, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > bytesMax) break
      chunks.push(chunk)
    }
  } catch (cause) {
    throw new DeviceError('unreachable', 'The answer did not come to its end.', { cause })
  }
  if (length > bytesMax) {
    throw new DeviceError('answer_invalid', "The server's answer is too long.")
  }
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

/** The problem of an answer that is not good. */
export function problemOf({ status, body, headers }: Reply): DeviceError {
  if (body === undefined) {
    return new DeviceError('answer_invalid', `The server answered ${status}.`, { status })
  }
  const problem = new Answer(body)
  const code = problem.text('code', codePattern)
  const title = problem.optionalText('title') ?? code
  const detail = problem.optionalText('detail')
  const message = detail === undefined ? title : `${title}: ${detail}`
  return new DeviceError(code, message.slice(0, 500), { status, facts: factsOf(problem, headers) })
}

function factsOf(problem: Answer, headers: Headers): ProblemFacts {
  const required = problem.optionalObject('required')
  const facts = {
    attemptsLeft: problem.optionalNumber('attemptsLeft'),
    retryAfterSeconds: problem.optionalNumber('retryAfterSeconds') ?? retryAfterOf(headers),
    lockReason: problem.optionalText('lockReason'),
    approvalStatus: problem.optionalText('approvalStatus'),
    decidedByThisDevice: problem.flag('decidedByThisDevice') ? true : undefined,
    requiredScope: required?.optionalText('scope'),
    authTimeAtLeast: required?.optionalNumber('authTimeAtLeast'),
    serverTimeMs: problem.optionalTime('serverTime'),
  }
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}

/** Seconds; undefined unless the header is there and a number. */
export function retryAfterOf(headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) : undefined
}
