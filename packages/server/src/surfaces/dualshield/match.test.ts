import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkConditions } from '#domain/directory/directory-query.ts'
import { DomainError } from '#domain/errors.ts'
import { readMatch, readSort } from './match.ts'

function codeOf(read: () => unknown): string {
  try {
    read()
    return 'fine'
  } catch (error) {
    return error instanceof DomainError ? (error.faults[0]?.code ?? '') : String(error)
  }
}

describe('a match', () => {
  test('says the same as triples, as one triple, and as objects', () => {
    const condition = [{ path: ['serial'], op: '=', value: 'x' }]
    for (const match of [
      [['serial', '=', 'x']],
      ['serial', '=', 'x'],
      { serial: 'x' },
      [{ serial: 'x' }],
    ]) {
      expect(readMatch('token', match)).toEqual(condition)
    }
    expect(readMatch('token', undefined)).toEqual([])
    expect(readMatch('token', [])).toEqual([])
  })

  test.each<[string, unknown, unknown]>([
    [
      'ids',
      ['id', '=', '00000000000000000000000000000001'],
      { value: '00000000000000000000000001' },
    ],
    ['ids of nobody', ['id', '=', 5], { op: 'never' }],
    ['hashes', ['crypto', '=', 'HmacSHA256'], { path: ['algorithm'], value: 'SHA256' }],
    ['times', ['dateCreated', '>', '1970-01-01T00:00:01Z'], { path: ['createdAt'], value: 1000 }],
    ['relations', ['assignedUsers.loginNam', '=', 'x'], { path: ['owners', 'loginName'] }],
    ['null', ['description', '=', null], { op: 'isNull', value: true }],
    ['not null', ['description', '!=', null], { op: 'isNull', value: false }],
    ['relations that are not there', ['users', 'isNull', true], { path: ['users'], op: 'isNull' }],
  ])('is translated: %s', (_what, match, expected) => {
    expect(readMatch('token', match)).toEqual([expect.objectContaining(expected)])
  })

  test('tests what all share without asking the directory', () => {
    expect(readMatch('domain', { 'identitySource.type': 'sql' })).toEqual([])
    expect(readMatch('domain', { 'identitySource.type': 'ldap' })).toEqual([
      { path: [], op: 'never' },
    ])
    expect(readMatch('product', ['functions', 'in', ['OTP', 'x']])).toEqual([])
    expect(readMatch('product', ['functions', '!=', 'OTP'])).toEqual([{ path: [], op: 'never' }])
    expect(readMatch('domain', ['identitySource', 'isNull', false])).toEqual([])
  })

  test.each<[string, unknown]>([
    ['unknown_member', ['seed', '=', 'x']],
    ['unknown_member', ['users.password', '=', 'x']],
    ['unknown_member', { toString: 'x' }],
    ['bad_format', ['users', '=', 'x']],
    ['bad_format', ['serial', 'isNull', 'yes']],
    ['bad_format', ['serial', 'in', 'x']],
    ['bad_format', ['id', 'like', '0%']],
    ['bad_format', ['digits', 'like', '6']],
    ['bad_format', ['serial', 'like', '%'.repeat(513)]],
    ['bad_format', ['serial', '<', null]],
    ['bad_format', ['digits', '=', 6.5]],
    ['bad_format', ['functions.OTP', '=', 'x']],
  ])('is refused as %s: %j', (code, match) => {
    expect([code, 'unknown_member']).toContain(codeOf(() => readMatch('token', match)))
  })

  test('of anything at all is something that the directory can be asked, or is refused', () => {
    const operator = fc.constantFrom('=', '!=', '<', 'like', 'in', 'isNull', '~')
    const path = fc.constantFrom(
      'serial',
      'id',
      'confined',
      'users.email',
      'product',
      'x',
      'digits',
    )
    const triples = fc.array(fc.tuple(path, operator, fc.jsonValue({ maxDepth: 2 })))
    fc.assert(
      fc.property(fc.oneof(triples, fc.jsonValue({ maxDepth: 4 })), (match) => {
        const code = codeOf(() => checkConditions('token', readMatch('token', match)))
        expect(['fine', 'bad_format', 'unknown_member']).toContain(code)
      }),
      { numRuns: 500 },
    )
  })
})

describe('a sort', () => {
  test.each<[string, string]>([
    ['serial', 'fine'],
    ['product.name', 'fine'],
    ['product', 'bad_format'],
    ['users.loginName', 'bad_format'],
    ['colour', 'unknown_member'],
    ['product.functions', 'bad_format'],
  ])('by %s: %s', (path, code) => {
    expect(codeOf(() => readSort('token', path, 'asc'))).toBe(code)
  })
})
