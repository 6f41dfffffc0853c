import { Answer } from './answer.ts'
import { DeviceError } from './device-error.ts'
import type { DeviceMemory } from './device-memory.ts'
import { wireFacts } from './enrolment.ts'
import type { Call, Reply } from './server-link.ts'
import { signJws } from './signing-key.ts'
import { newJti } from './web-crypto.ts'

/** What the user proves herself with. A biometric key is used after the platform has checked the user. */
export type Factor = { readonly type: 'pin'; readonly pin: string } | { readonly type: 'bio' }

/** A token of one user on this device. */
export interface Session {
  readonly accessToken: string
  /** By the server's clock. */
  readonly expiresAtMs: number
  readonly scopes: readonly string[]
  /** The factor and the time of the last verification, when it still counts. */
  readonly amr: 'pin' | 'bio' | undefined
  readonly authTimeSeconds: number | undefined
}

export interface LoginOptions {
  readonly factor?: Factor | undefined
  /** Beyond `device`; needs a factor. */
  readonly scope?: string | undefined
}

/** Longest life of a client assertion that the server takes is 120 s. */
const assertionSeconds = 60
const earlySeconds = 10

/** Logins of one user, and calls with the token that they give. */
export class DeviceLogin {
  readonly #memory: DeviceMemory
  readonly #userId: string
  #session: Session | undefined

  constructor(memory: DeviceMemory, userId: string) {
    this.#memory = memory
    this.#userId = userId
  }

  /** The last login, while its token lives. */
  get session(): Session | undefined {
    const session = this.#session
    return session !== undefined &&
      session.expiresAtMs > this.#memory.link.nowMs + earlySeconds * 1000
      ? session
      : undefined
  }

  forget(): void {
    this.#session = undefined
  }

  /** Logs in (RFC 7523, RFC 9449). @throws DeviceError */
  async login({ factor, scope }: LoginOptions = {}): Promise<Session> {
    const { link, deviceKey } = this.#memory
    const { body } = await link.call({
      method: 'POST',
      path: '/device/v1/token',
      needsNonce: true,
      key: deviceKey,
      body: async () => this.#form(factor, scope),
    })
    const answer = new Answer(body)
    if (answer.optionalText('user_id') !== this.#userId) {
      throw new DeviceError('answer_invalid', 'The server gave a token for another user.')
    }
    const amr = body !== undefined && answer.optionalNumber('auth_time') !== undefined
    const [verifiedBy] = amr ? answer.texts('amr') : []
    const session: Session = {
      accessToken: answer.text('access_token', /^[\x21-\x7E]{20,512}$/),
      expiresAtMs: link.nowMs + answer.number('expires_in') * 1000,
      scopes: answer.text('scope').split(' '),
      amr: verifiedBy === 'pin' || verifiedBy === 'bio' ? verifiedBy : undefined,
      authTimeSeconds: answer.optionalNumber('auth_time'),
    }
    this.#session = session
    return session
  }

  /** Calls with a token; logs in before when there is none, and once again when it no longer counts. */
  async call(call: Omit<Call, 'key' | 'token'>): Promise<Reply> {
    const { link, deviceKey: key } = this.#memory
    const { accessToken: token } = this.session ?? (await this.login())
    try {
      return await link.call({ ...call, key, token })
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== 'token_invalid') throw error
      const { accessToken } = await this.login()
      return link.call({ ...call, key, token: accessToken })
    }
  }

  async #form(factor: Factor | undefined, scope: string | undefined): Promise<URLSearchParams> {
    const { link, deviceKey, deviceId, app, storage } = this.#memory
    const iat = link.nowSeconds
    const assertion = await signJws('client', deviceKey, {
      iss: deviceId,
      sub: deviceId,
      aud: link.issuer,
      iat,
      exp: iat + assertionSeconds,
      jti: newJti(),
      app: wireFacts(app, storage),
    })
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
      user_id: this.#userId,
    })
    if (scope !== undefined) form.set('scope', `device ${scope}`)
    if (factor?.type === 'pin') form.set('pin', factor.pin.normalize('NFC'))
    if (factor?.type === 'bio') form.set('bio_assertion', await this.#bioAssertion())
    return form
  }

  async #bioAssertion(): Promise<string> {
    const { link, deviceId } = this.#memory
    return signJws('login', await this.#memory.bioKey(this.#userId), {
      iss: deviceId,
      sub: this.#userId,
      aud: link.issuer,
      iat: link.nowSeconds,
      jti: newJti(),
      nonce: await link.takeNonce(),
      amr: ['bio'],
    })
  }
}
