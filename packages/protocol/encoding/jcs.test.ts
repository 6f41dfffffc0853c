import { describe, expect, test } from 'vitest'
import { canonicalJson, canonicalMembers } from './jcs.ts'

describe('canonical JSON', () => {
  test('has members in order of UTF-16 code units (RFC 8785 section 3.2.3)', () => {
    const members = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(Object.values(JSON.parse(canonicalJson(members)))).toEqual([
      'One',
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ])
  })

  test.each([0, 1, 2, 5, 12, 13, 40])('has %d members in order, however they came', (count) => {
    const names = Array.from({ length: count }, (_, index) => `n${(index * 7919) % 101}`)
    const text = canonicalJson(Object.fromEntries(names.map((name) => [name, { b: 1, a: [name] }])))
    const expected = names.toSorted().map((name) => `"${name}":{"a":["${name}"],"b":1}`)
    expect(text).toBe(`{${expected.join()}}`)
  })

  test('leaves out what is undefined, and keeps null', () => {
    expect(canonicalMembers({ c: undefined, b: null, a: undefined })).toBe('{"b":null}')
    expect(canonicalMembers({ a: undefined })).toBe('{}')
  })

  test('refuses numbers that are no safe integers', () => {
    for (const number of [0.5, 2 ** 53, Number.NaN]) {
      expect(() => canonicalJson([number])).toThrow(TypeError)
    }
  })
})
