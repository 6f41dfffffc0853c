import { describe, expect, test } from 'vitest'
import { orderKey } from './property-value.ts'

describe('order keys', () => {
  test.each([
    [
      'INTEGER',
      [
        '-9223372036854775808.5',
        '-9223372036854775808',
        '-10.25',
        '-10.2',
        '-10',
        '-9.99',
        '-1',
        '-0.5',
        '-0.25',
        '0',
        '0.000001',
        '0.5',
        '0.51',
        '1',
        '9',
        '10',
        '9223372036854775807',
        '9223372036854775807.5',
        '9223372036854775808',
      ],
    ],
    [
      'DATE',
      [
        '0000-01-01T00:00:00+23:59',
        '1969-12-31T23:59:59.4999999999Z',
        '1969-12-31T23:59:59.5Z',
        '1970-01-01T00:00:00Z',
        '2026-05-21T09:59:59.999Z',
        '2026-05-21T12:00:00+02:00',
        '2026-05-21T10:00:00.0000001Z',
        '9999-12-31T23:59:59.999-23:59',
      ],
    ],
  ] as const)('of %s sort by bytes as the values do', (type, inOrder) => {
    const keys = inOrder.map((text) => orderKey(type, text) ?? 'none')
    expect(keys).not.toContain('none')
    expect(
      keys.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))),
    ).toEqual(keys)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('are the same for the same value, however it is written', () => {
    const same = [
      ['INTEGER', '7', '007'],
      ['INTEGER', '7', '7.000'],
      ['INTEGER', '0', '-0.0'],
      ['DATE', '2026-05-21T10:00:00Z', '2026-05-21t12:00:00.000+02:00'],
      ['DATE', '2026-05-21T10:00:00.5Z', '2026-05-21T10:00:00.500000Z'],
    ] as const
    for (const [type, one, other] of same) expect(orderKey(type, one)).toBe(orderKey(type, other))
  })

  test('are none for texts of another type', () => {
    for (const text of ['', 'abc', '1e3', '+1', '.5', '5.', '0x1', ' 1', '2026-05-21T10:00:00Z']) {
      expect(orderKey('INTEGER', text)).toBeUndefined()
    }
    for (const text of ['', '5', '2026-05-21', '2026-02-30T00:00:00Z', '2026-05-21T10:00:00']) {
      expect(orderKey('DATE', text)).toBeUndefined()
    }
  })

  test('of very long numbers take no time', () => {
    const startedAt = performance.now()
    for (const digits of ['9'.repeat(4_000), `0.${'9'.repeat(4_000)}`]) {
      orderKey('INTEGER', digits)
      orderKey('INTEGER', `-${digits}`)
    }
    expect(performance.now() - startedAt).toBeLessThan(200)
  })
})
