import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dynamicStatement, nothing } from '#storage/statement.ts'
import {
  createReadyTestCore,
  engines,
  expectAll,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
  waitingRecords,
} from '#test/support/core.ts'
import { type AppDraft, AppService } from './app-service.ts'
import { appleMembers, documentedSample, serviceAccount, vapidMembers } from './apps.fixture.ts'
import { PolicyService } from './policy-service.ts'

const tenantId = 'acme'
const admin = testCaller(tenantId, ['ast:write'])
const reader = testCaller(tenantId, ['ast:read'])
const stranger = testCaller('shop', ['ast:write'])
const plain: AppDraft = { categories: ['tms'] }

describe.each(engines)('apps on %s', (engine) => {
  let core: TestCore
  let apps: AppService
  let full: AppDraft

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    for (const id of [tenantId, 'shop']) await core.tenants.create(platformAdmin, { id, name: id })
    apps = new AppService(core)
    full = {
      categories: ['tms', 'payment'],
      ...(await appleMembers()),
      ...vapidMembers(),
      hpkClientId: '104857600',
      hpkClientSecret: 'hpk-secret-of-acme',
      fcmServiceAccountJSON: serviceAccount(),
      androidApiKey: null,
    }
  }, 60_000)
  afterAll(() => core[Symbol.asyncDispose]())

  /** Everything that the table says, bytes as characters. */
  const storedText = async (): Promise<string> => {
    const everything = dynamicStatement((db) => db.selectFrom('app').selectAll())
    const rows = await core.test.database.reader.all(everything, nothing)
    return rows
      .flatMap((row) => Object.values(row))
      .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value))
      .join('\n')
  }

  test('secrets are sealed, told to those who may change the app, and used by whoever pushes', async () => {
    const made = await apps.create(admin, tenantId, 'Acme Bank', full)
    expect(made).toMatchObject({ services: ['apns', 'fcm', 'hpk', 'webpush'], unusable: [] })
    const { categories, androidApiKey: _, ...members } = full
    const { app, secrets } = await apps.get(admin, tenantId, 'Acme Bank')
    expect(app.categories).toEqual(categories)
    expect({ ...app.configuration, ...secrets }).toEqual(members)

    const seen = await apps.get(reader, tenantId, 'Acme Bank')
    expect(seen.secrets).toBeUndefined()
    const shown = JSON.stringify(seen)
    const kept = await storedText()
    const records = JSON.stringify(await waitingRecords(core, tenantId))
    for (const name of [
      'iosApnsCertificate',
      'iosApnsPrivateKey',
      'hpkClientSecret',
      'fcmServiceAccountJSON',
      'webPushPrivateKey',
    ] as const) {
      const secret = String(full[name]).slice(-24)
      for (const text of [shown, kept, records]) expect(text).not.toContain(secret)
    }

    const credentials = await apps.pushCredentials(tenantId, 'Acme Bank')
    expect(credentials).toMatchObject({
      revision: made.revision,
      categories,
      apns: { kind: 'certificate', bundleId: 'com.acme.bank' },
      fcm: { projectId: 'acme-bank' },
      hpk: { clientId: '104857600', clientSecret: 'hpk-secret-of-acme' },
      webPush: { subject: 'mailto:push@acme.example' },
    })
  })

  test('a sealed value that is moved to another app does not open', async () => {
    await apps.create(admin, tenantId, 'donor', {
      ...plain,
      hpkClientId: '1',
      hpkClientSecret: 's',
    })
    await core.storage.transaction(async (stores) => {
      const donor = await stores.apps.find(tenantId, 'donor')
      if (donor === undefined) throw new Error('gone')
      await stores.apps.insert({ ...donor, app: { ...donor.app, name: 'thief' } })
    })
    await expect(apps.get(admin, tenantId, 'thief')).rejects.toMatchObject({ name: 'SealError' })
    await apps.delete(admin, tenantId, 'thief')
  })

  test('a change replaces everything, and makes another revision', async () => {
    const before = await apps.create(admin, tenantId, 'changing', {
      ...plain,
      hpkClientId: '1',
      hpkClientSecret: 's',
    })
    core.clock.advance(1000)
    const after = await apps.update(admin, tenantId, 'changing', { categories: ['chat'] })
    expect(after.revision).not.toBe(before.revision)
    const { app, secrets } = await apps.get(admin, tenantId, 'changing')
    expect({ app, secrets }).toEqual({
      app: { ...after, createdAtMs: before.createdAtMs },
      secrets: {},
    })
    expect(await apps.pushCredentials(tenantId, 'changing')).toEqual({
      revision: after.revision,
      categories: ['chat'],
    })
  })

  test('placeholders are kept and told, and nothing is sent with them', async () => {
    await apps.create(admin, tenantId, 'sample', documentedSample)
    const { app, secrets } = await apps.get(admin, tenantId, 'sample')
    const { categories, ...members } = documentedSample
    expect({ ...app.configuration, ...secrets }).toEqual(members)
    expect(app.unusable).toEqual(['apns', 'fcm'])
    expect(Object.keys((await apps.pushCredentials(tenantId, 'sample')) ?? {}).sort()).toEqual([
      'categories',
      'hpk',
      'revision',
    ])
  })

  test('R4: a name is given once, also when it is wanted many times at once', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, () => apps.create(admin, tenantId, 'wanted', plain)),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(refusal('already_exists'))
    }
    await expect(apps.create(admin, tenantId, 'Wanted', plain)).resolves.toBeDefined()
  })

  test('what cannot be taken changes nothing', async () => {
    const bad = { ...plain, hpkClientId: '1' }
    await expectAll(
      [
        apps.create(admin, tenantId, 'never', bad),
        apps.create(admin, tenantId, 'a\nb', plain),
        apps.create(admin, tenantId, 'ü'.repeat(33), plain),
        apps.update(admin, tenantId, 'Acme Bank', bad),
      ],
      refusal('invalid_request'),
    )
    await expect(apps.get(admin, tenantId, 'never')).rejects.toEqual(refusal('app_not_found'))
    expect((await apps.get(admin, tenantId, 'Acme Bank')).app.services).toHaveLength(4)
    await expect(apps.create(admin, tenantId, 'ü'.repeat(32), plain)).resolves.toBeDefined()
  })

  test('lists are by name, in pages, and end', async () => {
    const { items, totalCount } = await apps.list(reader, tenantId, { page: 1, pageSize: 100 })
    const names = items.map(({ app }) => app.name)
    expect(names).toEqual([...names].sort())
    expect(totalCount).toBe(names.length)
    const second = await apps.list(reader, tenantId, { page: 2, pageSize: 2 })
    expect(second.items.map(({ app }) => app.name)).toEqual(names.slice(2, 4))
    const far = await apps.list(reader, tenantId, { page: 21_474_837, pageSize: 100 })
    expect(far).toEqual({ items: [], totalCount })
    const one = await apps.list(reader, tenantId, { name: 'Acme Bank', page: 1, pageSize: 20 })
    expect(one).toMatchObject({ items: [{ app: { name: 'Acme Bank' } }], totalCount: 1 })
    const none = await apps.list(reader, tenantId, { name: 'Acme', page: 1, pageSize: 20 })
    expect(none).toEqual({ items: [], totalCount: 0 })
  })

  test('another tenant does not see it, and readers change nothing', async () => {
    await expectAll(
      [
        apps.get(stranger, tenantId, 'Acme Bank'),
        apps.list(stranger, tenantId, { page: 1, pageSize: 1 }),
        apps.create(stranger, tenantId, 'x', plain),
        apps.update(stranger, tenantId, 'Acme Bank', plain),
        apps.delete(stranger, tenantId, 'Acme Bank'),
      ],
      refusal('tenant_not_found'),
    )
    await expectAll(
      [
        apps.create(reader, tenantId, 'x', plain),
        apps.update(reader, tenantId, 'Acme Bank', plain),
        apps.delete(reader, tenantId, 'Acme Bank'),
      ],
      refusal('forbidden'),
    )
    await expectAll(
      [
        apps.get(stranger, 'shop', 'Acme Bank'),
        apps.update(stranger, 'shop', 'Acme Bank', plain),
        apps.delete(stranger, 'shop', 'Acme Bank'),
      ],
      refusal('app_not_found'),
    )
    expect(await apps.pushCredentials('shop', 'Acme Bank')).toBeUndefined()
  })

  test('a deleted app is gone with its assignments; its name can be used again', async () => {
    const policies = new PolicyService(core)
    await apps.create(admin, tenantId, 'short-lived', { ...plain, androidApiKey: 'AAAA' })
    await policies.assign(admin, tenantId, 'registrationUser', { appName: 'short-lived' })
    await apps.delete(admin, tenantId, 'short-lived')
    await expect(apps.delete(admin, tenantId, 'short-lived')).rejects.toEqual(
      refusal('app_not_found'),
    )
    const { assignments } = await policies.get(admin, tenantId, 'registrationUser')
    expect(assignments.filter(({ appName }) => appName === 'short-lived')).toEqual([])
    await apps.create(admin, tenantId, 'short-lived', plain)
    expect((await apps.get(admin, tenantId, 'short-lived')).secrets).toEqual({})
    const records = await waitingRecords(core, tenantId)
    expect(records.filter(({ target }) => target?.id === 'short-lived')).toMatchObject([
      { action: 'app.created', detail: { services: ['fcm'], unusable: ['fcm'] } },
      { action: 'app.deleted', detail: { assignments: 1 } },
      { action: 'app.created' },
    ])
  })

  test('a deleted app takes its versions along, with what is registered and reported for them, and those of no other', async () => {
    const { storage } = core
    const integrity = 'a'.repeat(64)
    const add = (appName: string, versionStr: string) =>
      storage.transaction(async ({ appVersions: { versions, registrations, votes } }) => {
        const id = core.nextId()
        const platform = 'Android'
        const flags = { isLocked: false, checksIntegrity: true }
        const version = { tenantId, id, appName, platform, versionStr, registerUserId: 'r' }
        await versions.insert({ ...version, ...flags }, 1)
        const place = { tenantId, versionId: id, architecture: 'arm64', integrity }
        await votes.put({ ...place, deviceId: `device of ${id}` }, 1)
        await registrations.register({ ...place, registeredBy: 'r', sdkVersion: '1', nowMs: 1 })
        return id
      })
    const isLeft = async (id: string) => {
      const { versions, registrations, votes } = storage.read.appVersions
      const vote = { tenantId, versionId: id, architecture: 'arm64', integrity }
      return [
        (await versions.find(tenantId, id)) !== undefined,
        (await registrations.listOf(tenantId, [id])).get(id)?.length === 1,
        await votes.isWaiting({ ...vote, deviceId: `device of ${id}` }, 2),
      ]
    }
    for (const name of ['versioned', 'versioned too'])
      await apps.create(admin, tenantId, name, plain)
    const gone = [await add('versioned', '1.0.0'), await add('versioned', '1.0.1')]
    const kept = await add('versioned too', '1.0.0')
    for (const id of [...gone, kept]) expect(await isLeft(id)).toEqual([true, true, true])
    await apps.delete(admin, tenantId, 'versioned')
    for (const id of gone) expect(await isLeft(id)).toEqual([false, false, false])
    expect(await isLeft(kept)).toEqual([true, true, true])
    const records = await waitingRecords(core, tenantId)
    expect(records.at(-1)).toMatchObject({ action: 'app.deleted', detail: { versions: 2 } })
  })

  test('a deleted tenant leaves no app, policy or assignment', async () => {
    const owner = testCaller('gone', ['ast:write'])
    const policies = new PolicyService(core)
    await core.tenants.create(platformAdmin, { id: 'gone', name: 'Gone' })
    await apps.create(owner, 'gone', 'app', full)
    await policies.create(owner, 'gone', 'crowd', { type: 'quorum' })
    await policies.assign(owner, 'gone', 'crowd', { appName: 'app' })
    await core.tenants.update(platformAdmin, 'gone', { status: 'DISABLED' })
    await core.tenants.delete(platformAdmin, 'gone')
    while (!(await core.tenantPurge.continueOne('gone')));
    const { read } = core.storage
    expect([
      await read.apps.count('gone'),
      await read.policies.count('gone'),
      await read.policies.countAssignments('gone'),
    ]).toEqual([0, 0, 0])
  })
})
