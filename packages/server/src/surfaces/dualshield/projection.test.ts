import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DirectoryRow } from '#domain/directory/directory-query.ts'
import { DomainError } from '#domain/errors.ts'
import { readReturn } from './projection.ts'

function row(fields: DirectoryRow['fields'], related: Partial<DirectoryRow> = {}): DirectoryRow {
  return { id: '01M7YRRT808A9NYTDXX0X5X0P4', fields, one: {}, many: {}, ...related }
}

const product = row({ name: 'MobileID', digits: 6 })
const assignment = row({ id: '01M7YRRT808A9NYTDXX0X5X0P4' })
const token = row(
  { serial: '1001', id: '01M7YRRT808A9NYTDXX0X5X0P4', description: null },
  { one: { product, repository: null }, many: { tokenAssignments: [assignment], users: [] } },
)

function codeOf(wanted: unknown): string {
  try {
    readReturn('token', wanted)
    return 'fine'
  } catch (error) {
    return error instanceof DomainError ? (error.faults[0]?.code ?? '') : String(error)
  }
}

describe('a projection', () => {
  const id = '0343f18c68004298d7766dec0bd2e0c4'.length

  test.each<[string, unknown, object]>([
    ['an attribute', ['serial'], { serial: '1001' }],
    ['what is unset', ['description'], { description: null }],
    ['a path, flat', ['product.name'], { 'product.name': 'MobileID' }],
    ['a path over nothing', ['repository.name'], { 'repository.name': null }],
    ['one object', [{ product: ['name', 'digits'] }], { product: { name: 'MobileID', digits: 6 } }],
    ['one object, without a list', { product: ['name'] }, { product: { name: 'MobileID' } }],
    ['no object', [{ repository: ['name'] }], { repository: null }],
    ['nobody', [{ users: ['id'] }], { users: { elements: [] } }],
    [
      'one relation twice',
      [{ product: ['name'] }, { product: ['digits'] }],
      { product: { name: 'MobileID', digits: 6 } },
    ],
  ])('shows %s', (_what, wanted, shown) => {
    expect(readReturn('token', wanted).show(token)).toEqual(shown)
  })

  test('means the same with elements and without', () => {
    const long = readReturn('token', [{ tokenAssignments: [{ elements: ['id'] }] }])
    const short = readReturn('token', [{ tokenAssignments: ['id'] }])
    expect(long.show(token)).toEqual(short.show(token))
    expect(long.projection).toEqual(short.projection)
    const shown = long.show(token) as { tokenAssignments: { elements: { id: string }[] } }
    expect(shown.tokenAssignments.elements[0]?.id).toHaveLength(id)
  })

  test.each<[string, unknown, string]>([
    ['a relation as a plain name', ['product'], 'bad_format'],
    ['elements of one object', [{ product: [{ elements: ['name'] }] }], 'bad_format'],
    ['a path over many', ['users.loginName'], 'bad_format'],
    ['an attribute as a relation', [{ serial: ['x'] }], 'bad_format'],
    ['an unknown name', ['colour'], 'unknown_member'],
    ['an unknown relation', [{ colour: ['x'] }], 'unknown_member'],
    ['a name that every object has', ['constructor'], 'unknown_member'],
    ['a PIN', [{ tokenAssignments: ['pin'] }], 'unknown_member'],
    ['a password', [{ users: ['password'] }], 'unknown_member'],
    ['an alias for input only', [{ users: ['loginNam'] }], 'unknown_member'],
    ['five levels', nested(5), 'bad_format'],
    ['too many items', Array(501).fill('id'), 'bad_format'],
  ])('is refused for %s', (_what, wanted, code) => {
    expect(codeOf(wanted)).toBe(code)
  })

  test('takes four levels', () => {
    expect(codeOf(nested(4))).toBe('fine')
  })

  test('of anything at all is read or refused, and never costs more than it may', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (wanted) => {
        expect(['fine', 'bad_format', 'unknown_member']).toContain(codeOf(wanted))
      }),
    )
  })
})

function nested(depth: number): unknown {
  let wanted: unknown = ['id']
  for (let level = depth; level > 0; level--) {
    wanted = [{ [level % 2 === 1 ? 'users' : 'tokens']: wanted }]
  }
  return wanted
}
