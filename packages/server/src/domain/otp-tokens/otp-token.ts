import type { Place } from '#custody/vault.ts'
import { DomainError } from '../errors.ts'
import type { Assignment } from './assignment.ts'
import type { OtpParameters, ProductCodes } from './product.ts'

export type TokenStatus = 'ACTIVE' | 'DISABLED' | 'DECEASED'

/** Who made the secret: this server, the caller, or a seed file. */
export type TokenOrigin = 'GENERATED' | 'PROVIDED' | 'IMPORTED'

/** An OATH token without its secret. */
export interface OtpToken extends OtpParameters {
  readonly tenantId: string
  readonly id: string
  /** Unique within the product; case counts. */
  readonly serial: string
  /** Free name; the serial unless given. */
  readonly identifier: string
  readonly product: ProductCodes & { readonly id: string; readonly downloadable: boolean }
  readonly repositoryId: string | null
  readonly status: TokenStatus
  readonly description: string | null
  readonly origin: TokenOrigin
  /** True: the credential may not be fetched. */
  readonly confined: boolean
  /** What the maker's seed file allows. */
  readonly startsAtMs: number | null
  readonly expiresAtMs: number | null
  /** HOTP: next expected counter; null for TOTP. */
  readonly counter: number | null
  /** TOTP: steps the token is ahead of the server; null for HOTP. */
  readonly driftSteps: number | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export const serialPattern = /^[\x21-\x7e]{1,64}$/
export const identifierLengthMax = 64
export const descriptionLengthMax = 255

/** A token with everybody who holds it, in order of assignment. */
export interface HeldToken extends OtpToken {
  readonly assignments: readonly Assignment[]
}

/** True for the moves ACTIVE <-> DISABLED -> DECEASED, and for staying. */
export function mayBecome(from: TokenStatus, to: TokenStatus): boolean {
  return from === to || from !== 'DECEASED'
}

/** @throws DomainError `token_not_active` unless ACTIVE. */
export function requireActive(token: OtpToken): void {
  if (token.status !== 'ACTIVE') {
    throw new DomainError('token_not_active', 'The token is not ACTIVE.')
  }
}

/** @throws DomainError `token_not_active` once DECEASED. */
export function requireAlive(token: OtpToken): void {
  if (token.status === 'DECEASED') {
    throw new DomainError('token_not_active', 'The token is DECEASED.')
  }
}

/** @param pointer where a body named the token. */
export function tokenNotFound(pointer?: string): DomainError {
  return new DomainError(
    'token_not_found',
    'No such token.',
    pointer === undefined ? {} : { pointer },
  )
}

/** How the journal names a token. */
export function tokenTarget(tokenId: string): { type: string; id: string } {
  return { type: 'otp-token', id: tokenId }
}

/** Where a token's secret is sealed. */
export function secretPlace(tenantId: string, tokenId: string): Place {
  return { tenantId, table: 'otp_token', row: tokenId, column: 'sealed_secret' }
}
