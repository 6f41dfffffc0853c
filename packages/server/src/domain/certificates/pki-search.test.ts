import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type CertificateBench,
  createCertificateBench,
  tenantId,
} from '#test/support/certificates.ts'
import { engines, refusal, testCaller } from '#test/support/core.ts'
import { createTestKey } from '#test/support/device-keys.ts'
import type { Condition } from '../conditions/condition.ts'

describe.each(engines)('searches on %s', (engine) => {
  let bench: CertificateBench
  const ids: string[] = []
  beforeAll(async () => {
    bench = await createCertificateBench({ engine })
    for (const user of ['Anna', 'bert', 'o%k', 'CARL']) {
      ids.unshift((await bench.issue(bench.createDevice(user), 'SIGNATURE', createTestKey())).id)
    }
    await bench.core.pki.certificates.revoke(bench.admin, tenantId, {
      id: ids[0] ?? '',
      reason: 'SUPERSEDED',
    })
    await bench.core.pki.signers.create(bench.admin, tenantId, { name: 'Second' })
    await bench.settle()
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const usersOf = async (condition: Condition) => {
    const lists = bench.core.pki.certificateLists
    const { items } = await lists.search(bench.admin, tenantId, {
      condition,
      page: 1,
      pageSize: 20,
    })
    return items.map(({ userId }) => userId)
  }

  test('newest first, by pages, with the number of all', async () => {
    const condition = { op: '!=', field: 'user', value: null } as const
    const lists = bench.core.pki.certificateLists
    const page = (number: number) =>
      lists.search(bench.admin, tenantId, { condition, page: number, pageSize: 3 })
    const pages = await Promise.all([page(1), page(2), page(3)])
    expect(pages.map(({ items }) => items.map(({ id }) => id))).toEqual([
      ids.slice(0, 3),
      ids.slice(3),
      [],
    ])
    expect(pages.map(({ totalCount }) => totalCount)).toEqual([4, 4, 4])
  })

  test.each<[string, Condition, (string | null)[]]>([
    ['=', { op: '=', field: 'user', value: 'Anna' }, ['Anna']],
    ['= by bytes', { op: '=', field: 'user', value: 'anna' }, []],
    ['= in any case', { op: '=', field: 'user', value: 'aNNA', ignoresCase: true }, ['Anna']],
    ['!= without null', { op: '!=', field: 'user', value: 'Anna' }, ['CARL', 'o%k', 'bert']],
    ['null', { op: '=', field: 'user', value: null }, [null, null]],
    ['like by bytes', { op: 'like', field: 'user', pattern: 'c%' }, []],
    ['like in any case', { op: 'like', field: 'user', pattern: 'c%', ignoresCase: true }, ['CARL']],
    ['like, escaped', { op: 'like', field: 'user', pattern: 'o\\%k' }, ['o%k']],
    ['in', { op: 'in', field: 'user', values: ['bert', 'CARL'] }, ['CARL', 'bert']],
    ['not in', { op: 'not in', field: 'user', values: ['bert', 'CARL', 'Anna'] }, ['o%k']],
    ['order by bytes', { op: '>', field: 'user', value: 'a' }, ['o%k', 'bert']],
    ['revoked', { op: '=', field: 'status', value: 'REVOKED' }, ['CARL']],
    ['a quote', { op: '=', field: 'user', value: "' or 1=1 --" }, []],
    [
      'and, or',
      {
        op: 'and',
        conditions: [
          { op: '=', field: 'requestStatus', value: 'ISSUED' },
          {
            op: 'or',
            conditions: [
              { op: '=', field: 'user', value: 'CARL' },
              { op: '=', field: 'user', value: 'Anna' },
            ],
          },
        ],
      },
      ['CARL', 'Anna'],
    ],
  ])('%s', async (_name, condition, users) => {
    expect(await usersOf(condition)).toEqual(users)
  })

  test('signers by name, state and generation', async () => {
    const lists = bench.core.pki.certificateLists
    const namesOf = async (condition?: Condition) => {
      const search = { condition, page: 1, pageSize: 5 }
      const { items } = await lists.searchSigners(bench.admin, tenantId, search)
      return items.map(({ name }) => name)
    }
    expect(await namesOf()).toEqual(['Second', 'signer-0'])
    expect(await namesOf({ op: '=', field: 'state', value: 'RETIRED' })).toEqual(['signer-0'])
    expect(await namesOf({ op: '>=', field: 'generation', value: 1 })).toEqual(['Second'])
    const now = bench.core.clock()
    expect(await namesOf({ op: '>', field: 'createdAt', value: now })).toEqual([])
  })

  test('what cannot be asked is refused, and strangers see nothing', async () => {
    const lists = bench.core.pki.certificateLists
    const search = (condition: Condition, caller = bench.admin) =>
      lists.search(caller, tenantId, { condition, page: 1, pageSize: 5 })
    const unknown = { op: '=', field: 'constructor', value: 'x' } as const
    await expect(search(unknown)).rejects.toThrow(refusal('invalid_request'))
    let deep: Condition = { op: '=', field: 'user', value: 'x' }
    for (let level = 0; level < 36; level++) deep = { op: 'and', conditions: [deep] }
    await expect(search(deep)).rejects.toThrow(refusal('invalid_request'))
    const stranger = testCaller('shop', ['ast:read'])
    await expect(search(unknown, stranger)).rejects.toThrow(refusal('tenant_not_found'))
  })
})
