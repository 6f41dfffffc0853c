import { expect, test } from 'vitest'
import { fromInstant, pathOf, toInstant, toInstantOrNull } from './wire.ts'

test('instants are written with three fraction digits', () => {
  expect(toInstant(0)).toBe('1970-01-01T00:00:00.000Z')
  expect(toInstantOrNull(null)).toBeNull()
})

test.each([
  ['2026-11-21T10:00:00Z', Date.UTC(2026, 10, 21, 10)],
  ['2026-11-21T10:00:00.5Z', Date.UTC(2026, 10, 21, 10, 0, 0, 500)],
  ['2026-11-21T10:00:00.123456789Z', Date.UTC(2026, 10, 21, 10, 0, 0, 123)],
  ['2026-11-21T10:00:00.999999999Z', Date.UTC(2026, 10, 21, 10, 0, 0, 999)],
])('%s is read to the millisecond', (text, atMs) => {
  expect(fromInstant(text, '/at')).toBe(atMs)
})

test('absent and null stay, a leap second is refused at its place', () => {
  expect(fromInstant(undefined, '/at')).toBeUndefined()
  expect(fromInstant(null, '/at')).toBeNull()
  expect(() => fromInstant('2026-12-31T23:59:60Z', '/at')).toThrow(
    expect.objectContaining({ code: 'invalid_request' }),
  )
})

test('ids in paths are encoded', () => {
  expect(pathOf('tenants', 'a b', 'x/y')).toBe('/api/v1/tenants/a%20b/x%2Fy')
})
