import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromTimestamp, fromUuid, toTimestamp, toUuid } from './wire.ts'

describe('a timestamp', () => {
  test.each<[string, string]>([
    ['20130101', '2013-01-01T00:00:00.000Z'],
    ['20240229', '2024-02-29T00:00:00.000Z'],
    ['20270101T120000Z', '2027-01-01T12:00:00.000Z'],
    ['00010101', '0001-01-01T00:00:00.000Z'],
    ['99991231T235959Z', '9999-12-31T23:59:59.000Z'],
  ])('%s is %s', (text, instant) => {
    expect(fromTimestamp(text)).toBe(Date.parse(instant))
    expect(toTimestamp(Date.parse(instant))).toBe(text)
  })

  test.each([
    '20230229',
    '20270431',
    '20271301',
    '20270100',
    '20270101T240000Z',
    '20270101T126000Z',
    '20270101T120060Z',
    '20270101T120000',
    '20270101T120000z',
    '20270101120000Z',
    '2027-01-01',
    '',
    '202701',
    ' 20270101',
    '20270101\n',
    '２０２７0101',
  ])('%j is none', (text) => {
    expect(fromTimestamp(text)).toBeUndefined()
  })

  test('at midnight is read in both forms and written as a date', () => {
    expect(fromTimestamp('20270101T000000Z')).toBe(fromTimestamp('20270101'))
    expect(toTimestamp(Date.parse('2027-01-01T00:00:00.999Z'))).toBe('20270101')
  })

  test('of any whole second is read as it was written', () => {
    const second = fc.integer({ min: 0, max: 253_402_300_799 })
    fc.assert(
      fc.property(second, (at) => {
        expect(fromTimestamp(toTimestamp(at * 1000))).toBe(at * 1000)
      }),
    )
  })
})

describe('an id', () => {
  test('is the same 128 bits as the ULID, in either case', () => {
    expect(toUuid('01M7YRRT803GSW05TH0QPMAZMK')).toBe(
      toUuid(fromUuid(toUuid('01M7YRRT803GSW05TH0QPMAZMK').toUpperCase())),
    )
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(toUuid(fromUuid(uuid))).toBe(uuid)
      }),
    )
  })

  test.each([
    'urn:uuid:f000d9d5-d97d-4347-b4ff-e2edb72b35fd',
    'f000d9d5d97d4347b4ffe2edb72b35fd',
    '{f000d9d5-d97d-4347-b4ff-e2edb72b35fd}',
    'f000d9d5-d97d-4347-b4ff-e2edb72b35fg',
    '_all',
    '',
  ])('%s is none', (text) => {
    expect(() => fromUuid(text)).toThrow()
  })
})
