import { DomainError } from '#domain/errors.ts'

/** RFC 3339 in UTC with three fraction digits. */
export function toInstant(atMs: number): string {
  return new Date(atMs).toISOString()
}

/** As {@link toInstant}, for what may never have happened. */
export function toInstantOrNull(atMs: number | null): string | null {
  return atMs === null ? null : toInstant(atMs)
}

/**
 * The moment of an instant that fits the contract; digits behind the milliseconds are dropped. Absent and null stay.
 *
 * @param pointer where it stands in the body.
 * @throws DomainError `invalid_request` for a leap second, which no clock of ours ever shows.
 */
export function fromInstant<T extends string | null | undefined>(
  text: T,
  pointer: string,
): number | Exclude<T, string> {
  if (text === null || text === undefined) return text as Exclude<T, string>
  const atMs = Date.parse(text)
  if (Number.isNaN(atMs)) {
    const message = 'must be a moment in UTC such as 2026-11-21T10:00:00.000Z'
    throw new DomainError('invalid_request', 'The moment does not exist.', {
      faults: [{ pointer, code: 'bad_format', message }],
    })
  }
  return atMs
}

/** Path of an object: segments behind `/api/v1`, each encoded. */
export function pathOf(...segments: readonly string[]): string {
  return `/api/v1/${segments.map(encodeURIComponent).join('/')}`
}

/** For replies that hold a secret. */
export const noStore = { 'cache-control': 'no-store' } as const
