import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import type { Stores } from '../storage.ts'
import { appsPerTenantMax } from './app.ts'
import { AppService } from './app-service.ts'
import { AppVersionService, versionsPerTenantMax } from './app-version-service.ts'
import { platforms } from './platform.ts'
import { assignmentsPerTenantMax, policiesPerTenantMax } from './policy.ts'
import { PolicyService } from './policy-service.ts'

const tenantId = 'acme'
const admin = testCaller(tenantId, ['ast:read', 'ast:write'])
const racers = 12
const rule = { type: 'quorum', quorum: 2 } as const
const platform = platforms[0] ?? ''

describe.each(engines)('limits of a tenant on %s', (engine) => {
  let core: TestCore
  let apps: AppService
  let versions: AppVersionService
  let policies: PolicyService

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    apps = new AppService(core)
    versions = new AppVersionService(core)
    policies = new PolicyService(core)
    for (const id of [tenantId, 'shop']) await core.tenants.create(platformAdmin, { id, name: id })
  }, 60_000)
  afterAll(() => core[Symbol.asyncDispose]())

  /** Rows as the services write them, without a transaction for each. */
  const fill = (count: number, insert: (stores: Stores, n: number) => Promise<unknown>) =>
    core.storage.transaction(async (stores) => {
      for (let n = 0; n < count; n++) await insert(stores, n)
    })
  const insertApp = ({ apps: store }: Stores, name: string) =>
    store.insert({
      app: {
        tenantId,
        name,
        revision: name,
        categories: [],
        services: [],
        configuration: {},
        unusable: [],
        createdAtMs: 0,
        updatedAtMs: 0,
      },
      sealedCredentials: null,
    })
  const race = async (create: (n: number) => Promise<unknown>) => {
    const outcomes = await Promise.allSettled(Array.from({ length: racers }, (_, n) => create(n)))
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: refusal('limit_reached') })
    }
    return outcomes.length - refused.length
  }

  test('R4: of apps that are created at once beside the last but one, one is', async () => {
    await fill(appsPerTenantMax - 1, (stores, n) => insertApp(stores, `app ${n}`))
    expect(await race((n) => apps.create(admin, tenantId, `racer ${n}`, { categories: [] }))).toBe(
      1,
    )
    const page = await apps.list(admin, tenantId, { page: 1, pageSize: 1 })
    expect(page.totalCount).toBe(appsPerTenantMax)
    const shop = testCaller('shop', ['ast:write'])
    await expect(apps.create(shop, 'shop', 'first', { categories: [] })).resolves.toBeDefined()
  }, 60_000)

  test('R4: of versions of several apps, one', async () => {
    const draft = { platform, registerUserId: 'jsmith', isLocked: false, checksIntegrity: false }
    await fill(versionsPerTenantMax - 1, ({ appVersions }, n) =>
      appVersions.versions.insert(
        {
          ...draft,
          tenantId,
          id: `v${n}`,
          appName: `app ${n % 10}`,
          versionStr: `1.0.${n}`,
        },
        0,
      ),
    )
    const create = (n: number) =>
      versions.create(admin, tenantId, { ...draft, appName: `app ${n}`, versionStr: '2.0.0' })
    expect(await race(create)).toBe(1)
    const count = await core.storage.read.appVersions.versions.count(tenantId)
    expect(count).toBe(versionsPerTenantMax)
  }, 60_000)

  test('R4: of policies, one', async () => {
    await fill(policiesPerTenantMax - 1, (stores, n) =>
      stores.policies.insert(tenantId, { name: `policy ${n}`, rule }, 0),
    )
    expect(await race((n) => policies.create(admin, tenantId, `racer ${n}`, rule))).toBe(1)
    // The built-in one is beside them.
    expect(await policies.list(admin, tenantId)).toHaveLength(policiesPerTenantMax + 1)
  }, 60_000)

  test('R4: of assignments of several policies to several apps, one', async () => {
    await fill(assignmentsPerTenantMax - 1, (stores, n) => {
      const target = { appName: `app ${100 + (n % 800)}`, platform: `${platform} ${n}` }
      const assignment = { ...target, id: `a${n}` }
      return stores.policies.assign(tenantId, { policy: 'policy 0', assignment }, 0)
    })
    const assign = (n: number) =>
      policies.assign(admin, tenantId, `policy ${n}`, { appName: `app ${n}` })
    expect(await race(assign)).toBe(1)
    const count = await core.storage.read.policies.countAssignments(tenantId)
    expect(count).toBe(assignmentsPerTenantMax)
  }, 60_000)
})
