import type { OtpListStatus } from '#domain/otp-lists/otp-list.ts'
import { hexToUlid, ulidToHex } from '#domain/ulid.ts'
import type { Schemas } from './contract.gen.ts'

const secondMs = 1000
const timestampPattern = /^(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z)?$/

/**
 * The moment of a timestamp: `20270101`, which is midnight in UTC, or `20270101T120000Z`.
 *
 * @returns undefined for a day or time that no calendar has, whatever its digits look like.
 */
export function fromTimestamp(text: string): number | undefined {
  const match = timestampPattern.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1)
    .map((digits) => Number(digits ?? 0))
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  const wanted = text.length === 8 ? `${text}T000000Z` : text
  return basicForm(date) === wanted ? date.getTime() : undefined
}

/** The date alone exactly when it is midnight; parts of a second are dropped. */
export function toTimestamp(atMs: number): string {
  const text = basicForm(new Date(Math.floor(atMs / secondMs) * secondMs))
  return text.endsWith('T000000Z') ? text.slice(0, 8) : text
}

/** `2027-01-01T12:00:00.000Z` → `20270101T120000Z`. */
function basicForm(date: Date): string {
  return date
    .toISOString()
    .replace(/\.\d{3}Z$/, 'Z')
    .replaceAll(/[-:]/g, '')
}

/** A list's id as a UUID: the same 128 bits, 8-4-4-4-12, lower case. */
export function toUuid(ulid: string): string {
  const hex = ulidToHex(ulid)
  const groups = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ]
  return groups.join('-')
}

/**
 * The id of a UUID in either case.
 *
 * @throws Error for any other text; the contract lets none through.
 */
export function fromUuid(uuid: string): string {
  const isUuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(uuid)
  const ulid = isUuid ? hexToUlid(uuid.replaceAll('-', '')) : undefined
  if (ulid === undefined) throw new Error('This is no UUID.')
  return ulid
}

/** States of lists in the words of this API. */
export const wireStatus = {
  FREE: 'free',
  ASSOCIATED: 'associated',
  ACTIVE: 'active',
} as const satisfies Record<OtpListStatus, Schemas['ListStatusValue']>

/** The other way round. */
export const coreStatus = {
  free: 'FREE',
  associated: 'ASSOCIATED',
  active: 'ACTIVE',
} as const satisfies Record<Schemas['ListStatusValue'], OtpListStatus>

/** On every answer: codes and decisions, and whose a list is, are kept by nobody on the way. */
export const noStore = { 'cache-control': 'no-store' } as const
