import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StatementWatch } from '#test/storage/query-plans.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { type UserServices, userServices } from '#test/support/users.ts'

const watch = new StatementWatch()
let core: TestCore
let services: UserServices
const admin = testCaller('bank', ['tenant:write'])

beforeAll(async () => {
  core = await createReadyTestCore({ observer: watch })
  services = userServices(core)
  await core.tenants.create(platformAdmin, { id: 'bank', name: 'A bank' })
})
afterAll(() => core[Symbol.asyncDispose]())

/** How SQLite would run the statements that `work` runs. */
async function plansOf(work: () => Promise<unknown>): Promise<string[]> {
  const plans = await watch.plansOf(core.test.url, work)
  return plans.flatMap(({ accesses }) => accesses)
}

/** Reads a table from end to end, or sorts what it has read. */
const grows = /^SCAN (?!CONSTANT)|TEMP B-TREE/

describe('no statement reads a number of rows that grows with the tenant', () => {
  test.each([
    ['all', {}, 'INDEX app_user_ulid (tenant_id=? AND ulid>?)'],
    ['of a domain', { domain: 'x' }, 'INDEX app_user_domain (tenant_id=? AND domain=? AND ulid>?)'],
    [
      'of a login name',
      { loginName: 'x' },
      'INDEX app_user_folded_login (tenant_id=? AND folded_login=? AND ulid>?)',
    ],
    [
      'of a login name in a domain',
      { loginName: 'x', domain: 'x' },
      'INDEX app_user_login (tenant_id=? AND domain=? AND folded_login=?)',
    ],
    ['of an identifier', { scheme: 'external', value: 'x' }, 'PRIMARY KEY (tenant_id=? AND id=?)'],
    [
      'of an external id',
      { keylessExternalId: 'x' },
      'INDEX app_user_keyless (tenant_id=? AND keyless_external_id=? AND ulid>?)',
    ],
    [
      'of a status',
      { status: 'DISABLED' as const },
      'INDEX app_user_status (tenant_id=? AND status=? AND ulid>?)',
    ],
    [
      'of a status in a domain',
      { status: 'DISABLED' as const, domain: 'x' },
      'INDEX app_user_domain_status (tenant_id=? AND domain=? AND status=? AND ulid>?)',
    ],
  ])('a page of users: %s', async (_name, filter, index) => {
    const plans = await plansOf(() => services.users.list(admin, 'bank', { limit: 50, ...filter }))
    expect(plans.filter((detail) => detail.startsWith('SEARCH u '))).toEqual([
      `SEARCH u USING ${index}`,
    ])
    expect(plans.filter((detail) => grows.test(detail))).toEqual([])
  })

  test('a page of domains', async () => {
    const plans = await plansOf(() => services.domains.list(admin, 'bank', { limit: 50 }))
    expect(plans.filter((detail) => grows.test(detail))).toEqual([])
  })

  test('making, changing, unlocking and deleting a user and a domain', async () => {
    const plans = await plansOf(async () => {
      const { domains, users, identifiers, locks } = services
      const identifier = { scheme: 'external', value: 'E1' }
      await domains.create(admin, 'bank', { name: 'acme', isDefault: true })
      const { id } = await users.create(admin, 'bank', { loginName: 'john' })
      await identifiers.add(admin, 'bank', id, identifier)
      await users.update(admin, 'bank', id, { domain: 'default', status: 'DISABLED' })
      await locks.unlock(admin, 'bank', id)
      await identifiers.remove(admin, 'bank', id, identifier)
      await users.delete(admin, 'bank', id)
      await domains.update(admin, 'bank', 'default', { isDefault: true })
      await domains.delete(admin, 'bank', 'acme')
    })
    expect(plans.filter((detail) => grows.test(detail))).toEqual([])
  })

  test('a user by any name', async () => {
    const { userResolver } = core.storage.read
    const plans = await plansOf(async () => {
      await userResolver.findUserId('bank', { id: 'x' })
      await userResolver.findUserId('bank', { ulid: 'x' })
      await userResolver.findUserId('bank', { loginName: 'x' })
      await userResolver.findUserId('bank', { loginName: 'x', domain: 'default' })
      for (const scheme of ['login', 'uniqueID', 'external']) {
        await userResolver.findUserId('bank', { scheme, value: 'x' })
      }
      await userResolver.findUserId('bank', { scheme: 'login', value: 'acme\\x' })
    })
    // The order of at most three findings.
    expect(new Set(plans.filter((detail) => grows.test(detail)))).toEqual(
      new Set(['USE TEMP B-TREE FOR ORDER BY']),
    )
  })
})
