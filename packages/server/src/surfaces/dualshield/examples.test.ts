import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isJson } from '#http/media-type.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { createInstallation, type Installation } from './dualshield.fixture.ts'

/** Refusals of a request as such, whatever is stored. */
const refusedAsSuch = [1000, 1001, 1003, 1005, 1006, 1008, 1010]

const examples = contractOf('dualshield').operations.flatMap(({ id, path, requestBody }) =>
  (requestBody?.contents ?? [])
    .filter(({ mediaType }) => isJson(mediaType))
    .flatMap((content) =>
      Object.entries(content.examples).map(([name, body]) => ({ id, path, name, body })),
    ),
)

describe('the published examples', () => {
  let at: Installation

  beforeAll(async () => {
    at = await createInstallation()
    for (const name of ['domain.com', 'acme.com', 'test domain']) {
      await at.create('domain/create', { name })
      await at.create('user/create', { 'domain.name': name, loginName: 'john.smith' })
    }
    for (const serial of ['10000', '10000000']) await at.addRfcToken(serial)
  }, 60_000)
  afterAll(() => at[Symbol.asyncDispose]())

  test.each(examples)('$id is understood: $name', async ({ path, body }) => {
    const { status, error } = await at.call(path.slice(1), body)
    expect(status).toBe(200)
    expect(refusedAsSuch).not.toContain(error)
  })

  test.each<[string, object, number]>([
    [
      'token/create',
      {
        attrs: [
          {
            product: { manufacturerCode: 'DN', productCode: 'MT' },
            user: { 'domain.name': 'domain.com', loginNam: 'john.smith' },
            pin: 'tokenpin',
          },
        ],
      },
      0,
    ],
    [
      'token/create',
      { attrs: [{ 'product.id': 'pid', 'user.id': 'userid', pin: 'tokenpin' }] },
      101,
    ],
    [
      'token/delete',
      { id: 'token id', user: { id: 'tokenid1', 'domain.id': 'domainId', loginName: 'loginName' } },
      1021,
    ],
    ['token/reset', { token: { serial: '10000000' }, attrs: { counter: 0 } }, 0],
    ['token/confine', { token: { serial: '10000000' } }, 0],
    ['token/release', { token: { serial: '10000000' } }, 0],
    [
      'token/import',
      {
        attrs: {
          'product.id': 'productId',
          'repository.id': 'repoId',
          data: 'text of import file',
        },
        return: ['id', 'serial'],
      },
      1022,
    ],
    [
      'token/syncToken',
      { user: { id: 'userid' }, token: { serial: '10000000' }, credential: '123456,654321' },
      101,
    ],
    ['token/batchAssignTokens', { attrs: { csv: 'content of csv file', charset: 'UTF-8' } }, 1060],
  ])('of the page that %s comes from', async (method, body, error) => {
    expect((await at.call(method, body)).error).toBe(error)
  })

  test('with any part of them replaced by anything are answered, never with a 5xx', async () => {
    const change = fc.record({
      example: fc.constantFrom(...examples),
      step: fc.nat(),
      value: fc.oneof(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom('*', '%', '\\', 'elements', 'domain.com\\john.smith', -1, 1e300, null),
      ),
    })
    await fc.assert(
      fc.asyncProperty(change, async ({ example, step, value }) => {
        const body = replaceOne(example.body, step, value)
        const { status } = await at.call(example.path.slice(1), body)
        expect(status).toBeLessThan(500)
      }),
      { numRuns: 400 },
    )
  })
})

/** A copy with the value at one place, counted through the tree, replaced. */
function replaceOne(body: unknown, step: number, value: unknown): unknown {
  const places = countPlaces(body)
  let left = step % places
  const copy = (node: unknown): unknown => {
    if (left-- === 0) return value
    if (Array.isArray(node)) return node.map(copy)
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(Object.entries(node).map(([name, inner]) => [name, copy(inner)]))
  }
  return copy(body)
}

function countPlaces(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 1
  return 1 + Object.values(node).reduce((sum: number, inner) => sum + countPlaces(inner), 0)
}
