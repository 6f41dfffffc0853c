import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentedSample } from '#domain/apps/apps.fixture.ts'
import { engines } from '#test/support/core.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { PageError, VendorClient } from './vendor-client.fixture.ts'

const id = expect.stringMatching(/^[0-9A-Za-z]{26}$/)
const pageFailure = (status: number) =>
  expect.objectContaining({
    status,
    body: {
      message: expect.any(String),
      code: expect.stringMatching(/^\d+$/),
      subsystem: expect.any(Number),
    },
  })

describe.each(engines)('a portal written from the vendor’s page, on %s', (engine) => {
  let api: PlatformApi
  let database: Awaited<ReturnType<typeof createTestDatabase>> | undefined
  let portal: VendorClient

  beforeAll(async () => {
    database = engine === 'postgres' ? await createTestDatabase() : undefined
    const masterKey = Buffer.alloc(32, 7).toString('base64')
    api = await createPlatformApi(
      database && { COUNTERSIGN_DATABASE_URL: database.url, COUNTERSIGN_MASTER_KEY: masterKey },
    )
    await api.createTenant('ks-management')
    const token = await api.createAccount('ks-management', ['ast:write'])
    portal = new VendorClient(api.origin, 'ks-management', token)
  }, 60_000)
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await database?.drop()
  })

  test('sets up its apps: the sample is taken, read, changed, put back', async () => {
    expect((await portal.apps()).body).toEqual([])
    await portal.saveApp('Payment application', documentedSample)
    await portal.saveApp('Maverick Payment', { categories: ['payment'] })
    await expect(portal.saveApp('Maverick Payment', { categories: ['tms'] })).rejects.toEqual(
      pageFailure(409),
    )

    const { body } = await portal.app('Payment application')
    expect(body).toMatchObject({
      tenantId: 'ks-management',
      appName: 'Payment application',
      pushNotificationConfig: documentedSample,
    })
    const changed = { ...body.pushNotificationConfig, hpkClientSecret: 'another' }
    await portal.updateApp('Payment application', changed)
    expect((await portal.app('Payment application')).body.pushNotificationConfig).toEqual(changed)

    expect((await portal.apps({ page: 1, pageSize: 20 })).body).toHaveLength(2)
    expect((await portal.apps({ appName: 'Maverick Payment' })).body).toMatchObject([
      { tenantId: 'ks-management', appName: 'Maverick Payment' },
    ])
  })

  test('is told which of the members that go together are missing', async () => {
    const error = await portal
      .saveApp('half', { categories: ['tms'], iosBundleId: 'com.example' })
      .catch((cause: unknown) => cause)
    expect(error).toEqual(pageFailure(400))
    const { message } = (error as PageError).body
    for (const member of ['iosApnsCertificate', 'iosApnsPrivateKey', 'iosIsDevelopment']) {
      expect(message).toContain(member)
    }
    await expect(portal.app('half')).rejects.toEqual(pageFailure(404))
  })

  test('looks platforms up, and makes versions for them', async () => {
    const platforms = (await portal.platforms()).body
    const names = platforms.map(({ name }: Json) => name)
    expect(names).toContain('Android')
    const architectures = (await portal.architectures('Android')).body
    expect(architectures).toContainEqual({ name: 'x86' })
    await expect(portal.architectures('Amiga')).rejects.toEqual(pageFailure(404))

    const sample = {
      appName: 'Payment application',
      platform: 'Android',
      versionStr: '1.2.3',
      registerUserId: 'string',
      versionLock: true,
      isCheckIntegrity: true,
    }
    const { id: versionId } = await portal.createVersion(sample)
    const { body } = await portal.version(versionId)
    expect(body).toMatchObject({
      ...sample,
      id: versionId,
      tenantId: 'ks-management',
      version: '1108101562371',
      architectureIntegrities: [],
    })
    expect(body.id).toEqual(id)
    await expect(portal.createVersion(sample)).rejects.toEqual(pageFailure(409))
    await expect(portal.createVersion({ ...sample, appName: 'unknown' })).rejects.toEqual(
      pageFailure(404),
    )
    await expect(portal.createVersion({ ...sample, versionStr: '1.2' })).rejects.toEqual(
      pageFailure(400),
    )
    const made = [
      ['Payment application', 'Android', '1.10.0'],
      ['Payment application', 'iOS', '1.2.3'],
      ['Maverick Payment', 'Android', '1.9.0'],
    ] as const
    for (const [appName, platform, versionStr] of made) {
      await portal.createVersion({ appName, platform, versionStr, registerUserId: 'registrar' })
    }
  })

  test('finds versions by every criterion of the page', async () => {
    const found = async (query: Parameters<VendorClient['versions']>[0]) => {
      const { data, totalCount } = (await portal.versions(query)).body
      expect(totalCount).toBe(data.length)
      return data
        .map(({ platform, versionStr }: Json) => `${platform} ${versionStr}`)
        .sort((one: string, other: string) => one.localeCompare(other))
    }
    expect(await found({})).toHaveLength(4)
    expect(await found({ appName: 'Maverick Payment' })).toEqual(['Android 1.9.0'])
    expect(await found({ platform: 'iOS', versionStr: '1.2.3' })).toEqual(['iOS 1.2.3'])
    expect(await found({ versionLock: true, isCheckIntegrity: true })).toEqual(['Android 1.2.3'])
    expect(await found({ appName: 'Payment application', textSearch: 'roid' })).toEqual([
      'Android 1.10.0',
      'Android 1.2.3',
    ])
    const everywhere = { appName: 'aver', platform: 'aver', versionStr: 'aver', isTextSearch: true }
    expect(await found(everywhere)).toEqual(['Android 1.9.0'])
    await expect(portal.versions({ appName: 'aver', isTextSearch: true })).rejects.toEqual(
      pageFailure(400),
    )
    const second = (await portal.versions({ page: 2, pageSize: 3 })).body
    expect(second).toMatchObject({ data: [{ id }], totalCount: 4 })

    const { apps } = (await portal.hierarchy({ appName: 'Pay%' })).body
    expect(apps).toHaveLength(1)
    expect(JSON.stringify(apps)).toContain('1.10.0')
    const order = async (orderByVersion: 'asc' | 'desc') =>
      (await portal.distinct({ orderByVersion })).body.versions
    expect(await order('asc')).toEqual(['1.2.3', '1.9.0', '1.10.0'])
    expect(await order('desc')).toEqual(['1.10.0', '1.9.0', '1.2.3'])
    expect((await portal.distinct({ versionStr: '%2.3%' })).body.versions).toEqual(['1.2.3'])

    const newest = async (query: Parameters<VendorClient['latest']>[0]) =>
      (await portal.latest(query)).body.data.map(
        ({ appName, platform, versionStr }: Json) => `${appName} ${platform} ${versionStr}`,
      )
    expect(await newest({ category: ['payment', 'chat'], platform: 'Android' })).toEqual([
      'Maverick Payment Android 1.9.0',
      'Payment application Android 1.10.0',
    ])
    expect(await newest({ credential: ['apns'], platform: 'iOS' })).toEqual([
      'Payment application iOS 1.2.3',
    ])
    expect(await newest({ category: ['tms'], textSearch: 'hpk' })).toHaveLength(2)
  })

  test('changes, locks and ends versions', async () => {
    const { data } = (await portal.versions({ versionStr: '1.9.0' })).body
    const [version] = data
    await portal.updateVersion(version.id, {
      appName: version.appName,
      platform: version.platform,
      versionStr: '1.9.1',
      registerUserId: 'somebody',
    })
    expect((await portal.lockVersion(version.id, true)).body).toMatchObject({
      id: version.id,
      versionStr: '1.9.1',
      registerUserId: 'somebody',
      versionLock: true,
    })
    expect((await portal.lockVersion(version.id, false)).body.versionLock).toBe(false)
    expect((await portal.registeredArchitectures(version.id)).body).toEqual([])
    await portal.deleteRegistration(version.id)
    await portal.deleteVersion(version.id)
    await expect(portal.version(version.id)).rejects.toEqual(pageFailure(404))
  })

  test('rules registrations by policies: the samples are taken as they are', async () => {
    const [builtIn] = (await portal.policies()).body
    expect(builtIn).toMatchObject({ type: 'registrationUser', assignments: [] })

    await portal.createPolicy('Quorum policy 100', { type: 'quorum', parameters: {} })
    await portal.updatePolicy('Quorum policy 100', { type: 'quorum', parameters: { quorum: 100 } })
    // The sample's app is called so.
    await portal.saveApp('string', documentedSample)
    const target = { appName: 'string', platform: 'Android', architectureName: 'x86' }
    const { id: assignmentId } = await portal.assignPolicy('Quorum policy 100', target)
    expect((await portal.policy('Quorum policy 100')).body).toEqual({
      name: 'Quorum policy 100',
      assignments: [{ id: assignmentId, ...target }],
      type: 'quorum',
      parameters: { quorum: 100 },
    })
    await expect(portal.assignPolicy('Quorum policy 100', target)).rejects.toEqual(pageFailure(409))
    await expect(portal.deletePolicy('Quorum policy 100')).rejects.toEqual(pageFailure(409))
    await portal.unassignPolicy(assignmentId)
    await portal.deletePolicy('Quorum policy 100')
    await expect(portal.policy('Quorum policy 100')).rejects.toEqual(pageFailure(404))
  })

  test('ends an app with its versions, and has then called all that the section has', async () => {
    await portal.deleteApp('Payment application')
    await expect(portal.app('Payment application')).rejects.toEqual(pageFailure(404))
    expect((await portal.versions()).body).toEqual({ data: [], totalCount: 0 })
    expect([...portal.called].sort((one, other) => one.localeCompare(other))).toHaveLength(25)
  })

  test('is shut out with an unknown token, in the form of the page', async () => {
    const nobody = new VendorClient(api.origin, 'ks-management', 'unknown')
    await expect(nobody.apps()).rejects.toBeInstanceOf(PageError)
    await expect(nobody.apps()).rejects.toEqual(pageFailure(401))
  })
})
