import { describe, expect, test } from 'vitest'
import type { DomainError } from '#domain/errors.ts'
import { toFieldProblems } from './faults.ts'
import { fromInstant, fromLooseInstant, fromUuid, toUuid } from './wire.ts'

describe('times as implementers and devices write them', () => {
  test.each([
    ['2022-12-25 12:33:30+05:30', '2022-12-25T07:03:30.000Z'],
    ['2022-12-25T12:33:30+05:30', '2022-12-25T07:03:30.000Z'],
    ['2022-12-25T12:33:30-0800', '2022-12-25T20:33:30.000Z'],
    ['2022-12-25 12:33:30 +05:30', '2022-12-25T07:03:30.000Z'],
    ['2022-12-25 12:33:30', '2022-12-25T12:33:30.000Z'],
    ['2022-12-25t12:33:30.123456789z', '2022-12-25T12:33:30.123Z'],
    ['2024-02-29T23:59:59.9Z', '2024-02-29T23:59:59.900Z'],
  ])('%s is %s', (text, instant) => {
    expect(new Date(fromLooseInstant(text, '/at')).toISOString()).toBe(instant)
  })

  test.each([
    '',
    'now',
    '2022-12-25',
    '2022-13-25 12:33:30Z',
    '2023-02-29 00:00:00Z',
    '2022-12-25 24:33:30Z',
    '2022-12-25 12:60:30Z',
    '2022-12-25 12:33:30+25:00',
    '2022-12-25 12:33:30 Europe',
    '٢٠٢٢-12-25 12:33:30Z',
    ' 2022-12-25 12:33:30Z',
    '12022-12-25 12:33:30Z',
  ])('"%s" is none', (text) => {
    expect(() => fromLooseInstant(text, '/at')).toThrow(
      expect.objectContaining<Partial<DomainError>>({ code: 'invalid_request' }),
    )
  })

  test('a leap second is none', () => {
    expect(() => fromInstant('2016-12-31T23:59:60Z', '/at')).toThrow()
  })
})

describe('ids', () => {
  test('are the same 128 bits, whatever the case', () => {
    const ulid = '01M7YRRT803GSW05TH0QPMAZMK'
    expect(toUuid(ulid)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(fromUuid(toUuid(ulid))).toBe(ulid)
    expect(fromUuid(toUuid(ulid).toUpperCase())).toBe(ulid)
  })

  test('that are none of ours name nothing', () => {
    expect(fromUuid('urn:uuid:0b3c8f3e-2f6c-4f1e-8f0a-5a8f4a4d9c21')).toBe('')
  })
})

describe('faults', () => {
  test.each([
    [
      '/config/polling_interval',
      'must be 5 to 3600',
      'config.polling_interval',
      'must be between 5 and 3600',
    ],
    [
      '/users/0/permissions/12',
      'must be one of 0, 1, 17',
      'users[0].permissions[12]',
      'must be 0, 1 or 17',
    ],
    ['query:page', 'must be at least 1', 'page', 'must be a positive integer'],
    ['/user_data/a~1b', 'is required', 'user_data.a/b', 'required'],
    ['', 'must be an object', 'body', 'must be an object'],
    ['query:', 'cannot be read', 'query', 'cannot be read'],
    ['aclOkmId', 'must be a UUID', 'id', 'must be a UUID'],
  ])('%s: %s', (pointer, message, field, reason) => {
    const faults = [{ pointer, code: 'bad_format', message }]
    expect(toFieldProblems(faults, undefined)).toEqual([{ field, reason }])
  })
})
