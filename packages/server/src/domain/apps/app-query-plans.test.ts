import { afterAll, beforeAll, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { AppService } from './app-service.ts'
import { AppVersionService } from './app-version-service.ts'
import { PolicyLookup } from './policy-lookup.ts'
import { PolicyService } from './policy-service.ts'

const tenantId = 'acme'
const watch = new StatementWatch()
let core: TestCore

beforeAll(async () => {
  core = await createReadyTestCore({
    observer: watch,
  })
  await core.tenants.create(platformAdmin, { id: tenantId, name: 'Acme' })
})
afterAll(() => core[Symbol.asyncDispose]())

test('no statement about apps and policies reads a tenant from end to end', async () => {
  const admin = testCaller(tenantId, ['ast:write'])
  const apps = new AppService(core)
  const policies = new PolicyService(core)
  watch.clear()
  await apps.create(admin, tenantId, 'bank', { categories: ['tms'] })
  await apps.update(admin, tenantId, 'bank', { categories: ['chat'] })
  await apps.list(admin, tenantId, { page: 1, pageSize: 20 })
  await apps.pushCredentials(tenantId, 'bank')
  await policies.create(admin, tenantId, 'crowd', { type: 'quorum' })
  await policies.update(admin, tenantId, 'crowd', { type: 'quorum', quorum: 2 })
  const { id } = await policies.assign(admin, tenantId, 'crowd', { appName: 'bank' })
  await policies.list(admin, tenantId)
  await policies.get(admin, tenantId, 'crowd')
  const target = { tenantId, appName: 'bank', platform: 'Android', architecture: 'arm64' }
  await new PolicyLookup(core).policyFor(target)
  await policies.unassign(admin, tenantId, id)
  await policies.delete(admin, tenantId, 'crowd')
  const version = { appName: 'bank', platform: 'Android', versionStr: '1.0.0' }
  const flags = { registerUserId: 'registrar', isLocked: false, checksIntegrity: true }
  await new AppVersionService(core).create(admin, tenantId, { ...version, ...flags })
  await apps.delete(admin, tenantId, 'bank')

  const ours = watch.distinct.filter((sql) =>
    /"(app|registration_policy|policy_assignment)"|delete from "app_/.test(sql),
  )
  expect(ours.length).toBeGreaterThan(18)
  const found = await Promise.all(ours.map((sql) => explain(core.test.url, sql)))
  expect(found.flatMap(({ sql, faults }) => faults.map((fault) => `${fault}: ${sql}`))).toEqual([])
})
