import { decodeBase64url, encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { canonicalJson, type JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { sha256Hex } from '#custody/secrets.ts'
import { DomainError } from './errors.ts'

/** What a caller asks of a list. */
export interface PageRequest {
  /** 1 to 200. */
  readonly limit: number
  readonly cursor?: string | undefined
}

/** One page; `nextCursor` is absent on the last one. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly nextCursor?: string
}

/** What a cursor belongs to: it opens no other list, no other tenant's, and not the same list with other filters. */
export interface CursorScope {
  readonly list: string
  /** Null for lists of the platform. */
  readonly tenantId: string | null
  readonly filters?: { readonly [name: string]: JsonValue | undefined } | undefined
  readonly nowMs: number
}

type Kind = 'text' | 'integer'
/** The key of the last row of a page, in the order of the list's key columns. */
export type Position<Kinds extends readonly Kind[]> = {
  -readonly [Index in keyof Kinds]: Kinds[Index] extends 'text' ? string : number
}

const cursorLifeMs = 24 * 60 * 60 * 1000
/** The clocks of two nodes may differ by this much. */
const clockSkewMs = 60_000
const cursorLengthMax = 1024
const fingerprintLength = 16

/**
 * Writes the key of a page's last row as a cursor. It is no secret and carries no right: its reader puts the key below
 * or above a list that the caller may read anyway.
 *
 * @throws RangeError when the key is too long for a cursor; lists are ordered by short keys.
 */
export function encodeCursor(position: readonly (string | number)[], scope: CursorScope): string {
  const cursor = encodeBase64url(
    Buffer.from(JSON.stringify([fingerprint(scope), scope.nowMs, ...position])),
  )
  if (cursor.length > cursorLengthMax) throw new RangeError('The key is too long for a cursor.')
  return cursor
}

/**
 * The key behind which a page begins; undefined for the first page.
 *
 * @param kinds what the list's key columns hold.
 * @throws DomainError `cursor_invalid` for a cursor of another list, of other filters, older than 24 hours, or not ours.
 */
export function decodeCursor<const Kinds extends readonly Kind[]>(
  cursor: string | undefined,
  kinds: Kinds,
  scope: CursorScope,
): Position<Kinds> | undefined {
  if (cursor === undefined) return undefined
  const [mark, madeAtMs, ...position] = parse(cursor)
  const fits =
    mark === fingerprint(scope) &&
    Number.isSafeInteger(madeAtMs) &&
    isAlive(Number(madeAtMs), scope.nowMs) &&
    position.length === kinds.length &&
    position.every((value, index) => isOfKind(value, kinds[index]))
  if (!fits) throw invalidCursor()
  return position as Position<Kinds>
}

/**
 * Makes a page of rows that were read one beyond the limit.
 *
 * @param rows at most `limit` + 1; the one too many only tells that there is a next page.
 * @param positionOf the key of a row.
 */
export function pageOf<Row, T>(
  rows: readonly Row[],
  limit: number,
  scope: CursorScope,
  positionOf: (row: Row) => readonly (string | number)[],
  itemOf: (row: Row) => T,
): Page<T> {
  const items = rows.slice(0, limit).map(itemOf)
  const last = rows[limit - 1]
  if (rows.length <= limit || last === undefined) return { items }
  return { items, nextCursor: encodeCursor(positionOf(last), scope) }
}

function fingerprint({ list, tenantId, filters }: CursorScope): string {
  const given: { [name: string]: JsonValue } = {}
  for (const [name, value] of Object.entries(filters ?? {})) {
    if (value !== undefined) given[name] = value
  }
  return sha256Hex(canonicalJson([list, tenantId, given])).slice(0, fingerprintLength)
}

function parse(cursor: string): readonly unknown[] {
  const bytes = cursor.length <= cursorLengthMax ? decodeBase64url(cursor) : undefined
  if (bytes === undefined) throw invalidCursor()
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return Array.isArray(value) ? value : []
  } catch {
    throw invalidCursor()
  }
}

function isAlive(madeAtMs: number, nowMs: number): boolean {
  return madeAtMs <= nowMs + clockSkewMs && madeAtMs > nowMs - cursorLifeMs
}

function isOfKind(value: unknown, kind: Kind | undefined): boolean {
  return kind === 'text' ? typeof value === 'string' : Number.isSafeInteger(value)
}

function invalidCursor(): DomainError {
  return new DomainError('cursor_invalid', 'The cursor is unknown or belongs to other filters.')
}
