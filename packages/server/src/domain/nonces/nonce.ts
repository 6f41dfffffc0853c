import type { Randomness } from '#custody/randomness.ts'
import type { TmsDraft } from '../approvals/tms-draft.ts'
import { crockfordAlphabet, firstUlidAt } from '../ulid.ts'

/** What becomes of whoever redeems it: a login at the portal, or a transaction as well. */
export type NonceAction = 'LOGIN_NONCE' | 'TMS_NONCE'

/** A ULID for machines to read, or eight characters for people to type. */
export type NonceForm = 'default' | 'short'

/** The transaction that starts for whoever redeems a TMS_NONCE. */
export type NonceTms = Omit<TmsDraft, 'userName' | 'devices' | 'push'>

/** A number that a portal shows, so that a device says there who its user is. The number itself is never stored. */
export interface Nonce {
  readonly tenantId: string
  /** Names it in records; not the number that is shown. */
  readonly id: string
  /** HMAC of the number, hex. */
  readonly hash: string
  readonly action: NonceAction
  /** Given back to the portal. */
  readonly portalSessionId: string
  readonly callbackUrl: string
  /** Of a TMS_NONCE. */
  readonly tms: NonceTms | null
  readonly createdBy: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** Null: not yet. */
  readonly redeemedAtMs: number | null
}

/** What somebody typed or scanned. */
export interface TypedNonce {
  readonly nonce: string
  readonly action: NonceAction
}

/** Why a nonce does not count; the device is told none of it. */
export type NonceRefusal = 'UNKNOWN' | 'USED' | 'EXPIRED' | 'OTHER_ACTION'

/** How long each form can be redeemed: what is shorter is easier to guess. */
export const nonceLifeMs: Readonly<Record<NonceForm, number>> = {
  default: 300_000,
  short: 120_000,
}

const shortLength = 8
const ulidRandomLength = 16

/**
 * A nonce that nobody can derive from another one. Ids of this server are counted up within a millisecond, so none of them
 * will do.
 */
export function newNonce(form: NonceForm, nowMs: number, randomness: Randomness): string {
  if (form === 'short') return randomCharacters(shortLength, randomness)
  return (
    firstUlidAt(nowMs).slice(0, -ulidRandomLength) + randomCharacters(ulidRandomLength, randomness)
  )
}

/**
 * The one spelling of what somebody typed: capitals, I and L as 1, O as 0 (Crockford).
 *
 * @returns undefined for what cannot be a nonce.
 */
export function canonicalNonce(typed: string): string | undefined {
  // Letters of other scripts may have capitals that are of ours.
  if (!/^[0-9A-Za-z]{8,26}$/.test(typed)) return undefined
  const nonce = typed.toUpperCase().replaceAll(/[IL]/g, '1').replaceAll('O', '0')
  return /^([0-9A-HJKMNP-TV-Z]{8}|[0-9A-HJKMNP-TV-Z]{26})$/.test(nonce) ? nonce : undefined
}

/** @returns undefined for a nonce that is open for the action. */
export function refusalOf(
  nonce: Nonce | undefined,
  action: NonceAction,
  nowMs: number,
): NonceRefusal | undefined {
  if (nonce === undefined) return 'UNKNOWN'
  if (nonce.action !== action) return 'OTHER_ACTION'
  if (nonce.redeemedAtMs !== null) return 'USED'
  return nonce.expiresAtMs <= nowMs ? 'EXPIRED' : undefined
}

export function nonceTarget(id: string): { type: 'nonce'; id: string } {
  return { type: 'nonce', id }
}

/** Whose portal shows it: scheme, host and port of where the callback goes. */
export function portalOf({ callbackUrl }: Pick<Nonce, 'callbackUrl'>): string {
  return new URL(callbackUrl).origin
}

/** The stored form of {@link NonceTms}. */
export function writeNonceTms(tms: NonceTms): string {
  return JSON.stringify(tms)
}

/** @param json as {@link writeNonceTms} wrote it. */
export function readNonceTms(json: string): NonceTms {
  return JSON.parse(json) as NonceTms
}

/** Five bits of each byte. */
function randomCharacters(length: number, randomness: Randomness): string {
  return Array.from(randomness(length), (byte) => crockfordAlphabet[byte & 31]).join('')
}
