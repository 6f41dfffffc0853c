import { Answer } from './answer.ts'
import type { DeviceLogin, Factor } from './login.ts'
import type { NoncePayload } from './nonce-payload.ts'

/** Whose nonce it is, as the server says. */
export interface NoncePreview {
  /** Scheme, host and port: show it to the user before anything is redeemed. */
  readonly portal: string
  readonly expiresAtMs: number
}

export interface NonceResult {
  readonly redeemedAtMs: number
  /** The transaction that a TMS_NONCE started: retrieve and decide it. */
  readonly approvalId: string | undefined
}

/** Codes that portals show, redeemed for one user of this device. */
export class DeviceNonces {
  readonly #login: DeviceLogin

  constructor(login: DeviceLogin) {
    this.#login = login
  }

  /**
   * Asks whose nonce it is; spends nothing.
   *
   * @throws DeviceError `not_found` for what cannot be redeemed; `too_many_requests` after ten of these in five minutes.
   */
  async preview({ nonce, action }: NoncePayload): Promise<NoncePreview> {
    const { body } = await this.#call('/device/v1/nonce-previews', { nonce, action })
    const answer = new Answer(body)
    return {
      portal: answer.text('portal', /^[\x21-\x7E]{1,512}$/),
      expiresAtMs: answer.time('expiresAt'),
    }
  }

  /**
   * Redeems, once: the user is logged in at the portal. Ask the user before, with server, tenant and portal in sight. An
   * answer that was lost is not repeated, since the portal was told; look there.
   *
   * @param factor logs in with it first; without, the last verification must still count.
   * @throws DeviceError as {@link preview}; `verification_required`; what a login refuses.
   */
  async redeem({ nonce, action }: NoncePayload, factor?: Factor): Promise<NonceResult> {
    if (factor !== undefined) await this.#login.login({ factor })
    const { body } = await this.#call('/device/v1/nonce-redemptions', { nonce, action })
    const answer = new Answer(body)
    return {
      redeemedAtMs: answer.time('redeemedAt'),
      approvalId: answer.optionalText('approvalId', /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
    }
  }

  #call(path: string, typed: NoncePayload) {
    return this.#login.call({ method: 'POST', path, body: async () => typed })
  }
}
