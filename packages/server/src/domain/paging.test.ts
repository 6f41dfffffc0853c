import { describe, expect, test } from 'vitest'
import { type CursorScope, decodeCursor, encodeCursor, pageOf } from './paging.ts'

const nowMs = Date.UTC(2026, 10, 21, 10)
const scope: CursorScope = {
  list: 'users',
  tenantId: 'acme',
  filters: { status: 'ACTIVE', q: undefined },
  nowMs,
}
const refused = expect.objectContaining({ code: 'cursor_invalid' })
const hourMs = 3_600_000

function decode(cursor: string, changes: Partial<CursorScope> = {}): unknown {
  return decodeCursor(cursor, ['text'], { ...scope, ...changes })
}

describe('a cursor', () => {
  test('brings back the key it was made of', () => {
    const cursor = encodeCursor(['01M7YRRT80W6YXCRNKT3KKMRE1', 7], scope)
    expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(decodeCursor(cursor, ['text', 'integer'], scope)).toEqual([
      '01M7YRRT80W6YXCRNKT3KKMRE1',
      7,
    ])
  })

  test('no cursor is the first page', () => {
    expect(decodeCursor(undefined, ['text'], scope)).toBeUndefined()
  })

  test('does not care whether an absent filter is undefined or missing', () => {
    const cursor = encodeCursor(['a'], scope)
    expect(decode(cursor, { filters: { status: 'ACTIVE' } })).toEqual(['a'])
  })

  test.each<[string, Partial<CursorScope>]>([
    ['another list', { list: 'devices' }],
    ['another tenant', { tenantId: 'other' }],
    ['other filters', { filters: { status: 'DISABLED' } }],
    ['fewer filters', { filters: {} }],
  ])('is refused by %s', (_name, changes) => {
    const cursor = encodeCursor(['a'], scope)
    expect(() => decode(cursor, changes)).toThrow(refused)
  })

  test('lives 24 hours', () => {
    const cursor = encodeCursor(['a'], scope)
    expect(decode(cursor, { nowMs: nowMs + 24 * hourMs - 1 })).toEqual(['a'])
    expect(() => decode(cursor, { nowMs: nowMs + 24 * hourMs })).toThrow(refused)
    expect(() => decode(encodeCursor(['a'], { ...scope, nowMs: nowMs + hourMs }))).toThrow(refused)
  })

  test('is refused when its key has another form than the list', () => {
    const cursor = encodeCursor(['a'], scope)
    expect(() => decodeCursor(cursor, ['integer'], scope)).toThrow(refused)
    expect(() => decodeCursor(cursor, ['text', 'text'], scope)).toThrow(refused)
    expect(() => decodeCursor(cursor, [], scope)).toThrow(refused)
  })

  test.each([
    '',
    'A',
    'not base64!',
    'e30',
    'bnVsbA',
    'W10',
    'W1tbW1tbW1tbW1tbW1tbW1tb',
    '_w',
    `${encodeCursor(['a'], scope)}=`,
    'A'.repeat(2000),
  ])('is refused when it was not made here: %s', (cursor) => {
    expect(() => decode(cursor)).toThrow(refused)
  })

  test('R16: has one spelling only', () => {
    const cursor = encodeCursor(['ab'], scope)
    const respelt = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((character) => cursor.slice(0, -1) + character)
      .filter((other) => other !== cursor)
    for (const other of respelt) expect(() => decode(other)).toThrow(refused)
  })
})

describe('a page', () => {
  const rows = ['a', 'b', 'c']
  const take = (limit: number) =>
    pageOf(
      rows.slice(0, limit + 1),
      limit,
      scope,
      (row) => [row],
      (row) => row.toUpperCase(),
    )

  test('leads to the next one when there is one', () => {
    const page = take(2)
    expect(page.items).toEqual(['A', 'B'])
    expect(decode(page.nextCursor ?? '')).toEqual(['b'])
  })

  test('has no cursor when it is the last one', () => {
    expect(take(3)).toEqual({ items: ['A', 'B', 'C'] })
  })
})
