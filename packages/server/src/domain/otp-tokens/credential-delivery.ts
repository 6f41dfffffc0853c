import { encodeBase32 } from '@countersign/protocol/encoding/base32.ts'
import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import type { User } from '../users/user.ts'
import { type Assignment, asOf } from './assignment.ts'
import { type OtpToken, requireActive } from './otp-token.ts'
import { keyUri } from './provisioning.ts'

/** Whose credential: without a user, that of the token's only assignment. */
export interface CredentialTarget {
  readonly tokenId: string
  readonly userId?: string | undefined
}

/** Everything an authenticator needs. Never stored, logged or kept. */
export interface Credential {
  readonly token: OtpToken
  readonly secretBase32: string
  readonly otpauthUri: string
}

/** The user who may have a credential now. */
export interface Recipient {
  readonly user: User
  readonly assignment: Assignment
}

/**
 * Whether a held token's credential may be handed out (dualshield.md, section 8).
 *
 * @throws DomainError `not_assigned`; `ambiguous_reference` when no user is named and there are several; `not_supported`
 *   for hardware and imported tokens, whose secrets are never read back; `token_not_active`, `token_confined`,
 *   `assignment_not_active`, `user_disabled`.
 */
export async function requireRecipient(
  { assignments, userViews }: Stores,
  token: OtpToken,
  userId: string | undefined,
  nowMs: number,
): Promise<Recipient> {
  const { tenantId, id: tokenId } = token
  const holders = await assignments.listOfToken(tenantId, tokenId)
  const wanted = userId === undefined ? holders : holders.filter((held) => held.userId === userId)
  const [found, second] = wanted
  if (found === undefined) {
    throw new DomainError('not_assigned', 'The token is not assigned to this user.')
  }
  if (second !== undefined) {
    throw new DomainError('ambiguous_reference', 'The token has several users; name one.', {
      pointer: '/user',
    })
  }
  if (!token.product.downloadable || token.origin === 'IMPORTED') {
    throw new DomainError('not_supported', 'The secret of this token cannot be read back.')
  }
  requireActive(token)
  if (token.confined) {
    throw new DomainError('token_confined', 'The credential of this token is confined.')
  }
  const assignment = asOf(found, nowMs)
  if (assignment.status !== 'ACTIVE') {
    throw new DomainError('assignment_not_active', 'The assignment is not ACTIVE.')
  }
  const user = await userViews.find(tenantId, assignment.userId, nowMs)
  if (user === undefined || user.status !== 'ACTIVE' || user.lock !== null) {
    throw new DomainError('user_disabled', 'The user is not ACTIVE.')
  }
  return { user, assignment }
}

/** Labelled with the user's login name, and the domain as issuer. */
export function credentialOf(token: OtpToken, user: User, secret: Uint8Array): Credential {
  return {
    token,
    secretBase32: encodeBase32(secret),
    otpauthUri: keyUri(token, secret, { issuer: user.domain, account: user.loginName }),
  }
}
