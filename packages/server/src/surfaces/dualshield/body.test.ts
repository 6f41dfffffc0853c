import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { prepareBody } from './body.ts'

const { operations } = contractOf('dualshield')

function operation(id: string): Operation {
  const found = operations.find((candidate) => candidate.id === id)
  if (found === undefined) throw new Error(id)
  return found
}

describe('a body', () => {
  test.each<[string, object, object]>([
    [
      'tokenCreate',
      {
        attrs: [{ 'product.id': 'p' }, { user: { 'domain.name': 'd' } }, { 'user.loginNam': 'l' }],
      },
      { attrs: { product: { id: 'p' }, user: { domain: { name: 'd' }, loginName: 'l' } } },
    ],
    [
      'tokenCreate',
      { attrs: { product: 7, 'product.id': '7' } },
      { attrs: { product: { id: '7' } } },
    ],
    ['tokenReset', { 'token.product.id': 1 }, { token: { product: { id: 1 } } }],
    ['tokenDelete', { id: 'x', 'user.id': 'u' }, { id: 'x', user: { id: 'u' } }],
    [
      'tokenSet',
      { attrs: { repository: { parent: { id: 'p' }, name: 'n' } } },
      { attrs: { repository: { 'parent.id': 'p', name: 'n' } } },
    ],
    [
      'domainCreate',
      { attrs: { identitySource: { id: 'i' } } },
      { attrs: { 'identitySource.id': 'i' } },
    ],
    ['tokenSearch', { 'user.id': 'u' }, { 'user.id': 'u' }],
  ])('of %s comes into one form: %j', (id, body, prepared) => {
    expect(prepareBody(body, operation(id))).toEqual(prepared)
  })

  test.each<[string, object]>([
    ['tokenCreate', { attrs: [{ serial: 'a' }, { serial: 'b' }] }],
    ['tokenCreate', { attrs: { product: { id: 'a' }, 'product.id': 'b' } }],
    ['tokenCreate', { attrs: { user: { domain: { name: 'a' }, 'domain.name': 'b' } } }],
    ['tokenCreate', { attrs: { status: 'ACTIVE', Status: 'DISABLED' } }],
    ['userSet', { user: { loginName: 'a', loginNam: 'b' } }],
  ])('of %s is refused where spellings disagree: %j', (id, body) => {
    expect(() => prepareBody(body, operation(id))).toThrow(DomainError)
  })

  test.each<object>([{ user: null }, { user: [] }, { user: 'x', 'user.id': 'y' }, { user: 7 }])(
    'of token/delete keeps an ill-built user for the contract to refuse: %j',
    (members) => {
      expect(prepareBody({ id: 'x', ...members }, operation('tokenDelete'))).toMatchObject(members)
    },
  )

  test('of any kind is prepared the same way twice, or refused', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...operations),
        fc.jsonValue({ maxDepth: 5 }),
        (target, value) => {
          const once = attempt(() => prepareBody({ attrs: value, user: value }, target))
          if (once === undefined) return
          expect(attempt(() => prepareBody(once, target))).toEqual(once)
        },
      ),
    )
  })
})

function attempt(prepare: () => unknown): unknown {
  try {
    return prepare()
  } catch (error) {
    if (error instanceof DomainError) return undefined
    throw error
  }
}
