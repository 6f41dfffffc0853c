import { DomainError } from '#domain/errors.ts'
import { hexToUlid, ulidToHex } from '#domain/ulid.ts'

/** Bases of the paths that a cabinet is told; the serial follows. */
export const deviceAddresses = {
  configUrl: '/okm/api/v1/config',
  auditUrl: '/okm/api/v1/audit',
} as const

/** For replies that hold a secret. */
export const noStore = { 'cache-control': 'no-store' } as const

/** RFC 3339 in UTC with milliseconds. */
export function toInstant(atMs: number): string {
  return new Date(atMs).toISOString()
}

/** As {@link toInstant}, for what may never have happened. */
export function toInstantOrNull(atMs: number | null): string | null {
  return atMs === null ? null : toInstant(atMs)
}

/**
 * The moment of a text that the contract takes for one.
 *
 * @param pointer where it stands in the body.
 * @throws DomainError `invalid_request` for a leap second, which no clock of ours ever shows.
 */
export function fromInstant(text: string, pointer: string): number {
  const atMs = Date.parse(text)
  if (Number.isNaN(atMs)) throw badInstant(pointer)
  return atMs
}

/** As {@link fromInstant}; absent and null stay. */
export function fromInstantOrNull<T extends string | null | undefined>(
  text: T,
  pointer: string,
): number | Exclude<T, string> {
  return typeof text === 'string' ? fromInstant(text, pointer) : (text as Exclude<T, string>)
}

const looseInstant =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d{1,9})? ?(Z|[+-]\d{2}:?\d{2})?$/i

/**
 * The moment of a text such as `2022-12-25 12:33:30+05:30`: a blank for the `T` is allowed, no offset means UTC.
 *
 * @throws DomainError `invalid_request` for anything else, and for days that no calendar has.
 */
export function fromLooseInstant(text: string, pointer: string): number {
  const [, day = '', time = '', fraction = '', offset = 'Z'] = looseInstant.exec(text) ?? []
  const colonOffset = offset.replace(/^([+-]\d{2}):?(\d{2})$/, '$1:$2').toUpperCase()
  const atMs = Date.parse(`${day}T${time}${fraction.slice(0, 4)}${colonOffset}`)
  if (Number.isNaN(atMs)) throw badInstant(pointer)
  // Days beyond the end of a month are read as days of the next one.
  const midnight = new Date(`${day}T00:00:00Z`)
  if (!midnight.toISOString().startsWith(day)) throw badInstant(pointer)
  return atMs
}

function badInstant(pointer: string): DomainError {
  return new DomainError('invalid_request', 'The moment does not exist.', {
    faults: [{ pointer, code: 'bad_format', message: 'must be a date and time as in ISO 8601' }],
  })
}

/** The same 128 bits as UUID text. */
export function toUuid(ulid: string): string {
  return ulidToHex(ulid).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/**
 * The ULID of a UUID in either case.
 *
 * @returns for a UUID that is no ULID of ours a text that nothing is called.
 */
export function fromUuid(uuid: string): string {
  return hexToUlid(uuid.replaceAll('-', '')) ?? ''
}
