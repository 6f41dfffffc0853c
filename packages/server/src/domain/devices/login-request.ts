import type { Factor } from './device.ts'

/** A login as it came (RFC 7523, RFC 9449). */
export interface LoginRequest {
  readonly clientAssertion: string
  readonly clientId?: string | undefined
  /** Space-separated. */
  readonly scope?: string | undefined
  readonly userId?: string | undefined
  readonly pin?: string | undefined
  readonly bioAssertion?: string | undefined
  /** The header DPoP. */
  readonly proof: string
  /** The URL of the token endpoint, as the device had to write it. */
  readonly url: string
}

/** An access token, told once. */
export interface Login {
  /** `dat_` and 32 random bytes in base64url. */
  readonly accessToken: string
  readonly lifeSeconds: number
  readonly scopes: readonly string[]
  readonly userId: string | null
  readonly factor: Factor | null
  readonly verifiedAtMs: number | null
}
