import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { createCode, testApp } from '#test/support/test-device.ts'
import { AppScene, measured } from './app-rules.fixture.ts'
import { AppRules } from './app-rules.ts'
import { PolicyLookup } from './policy-lookup.ts'

const ours = { integrity: measured('a') }
const other = { integrity: measured('b') }

describe.each(engines)('which apps may be used, on %s', (engine) => {
  let database: TestDatabase | undefined
  let api: PlatformApi
  let scenes = 0

  beforeAll(async () => {
    database = engine === 'postgres' ? await createTestDatabase() : undefined
    api = await createPlatformApi(
      database === undefined
        ? {}
        : {
            COUNTERSIGN_DATABASE_URL: database.url,
            COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
          },
    )
  }, 60_000)
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await database?.drop()
  })

  const newScene = () => AppScene.create(api, `apps-${++scenes}`)
  const records = async ({ tenantId }: AppScene, action: string) => {
    const { core, composed } = api.app
    await composed.sealer.sealTenant(tenantId)
    const reader = testCaller(tenantId, ['audit:read'])
    const { items } = await core.journal.list(reader, tenantId, {
      limit: 100,
      order: 'asc',
      action,
    })
    return items.map((text) => JSON.parse(text))
  }

  describe('the version', () => {
    test('in a tenant without any version everything may be used, whatever other tenants have', async () => {
      const scene = await newScene()
      await (await newScene()).addVersion({ isLocked: true })
      const device = await scene.enrolled('jane', { platform: 'Toaster', versionStr: '0.0.1' })
      expect(await device.runs({ platform: 'Toaster', versionStr: '9999999.999.0' })).toBe('ok')
    })

    test('version_unknown for any other version, app, platform or architecture, at enrolment and at login', async () => {
      const scene = await newScene()
      const device = await scene.enrolled()
      await scene.addVersion({ checksIntegrity: false })
      expect(await device.runs()).toBe('ok')
      for (const versionStr of ['2.4.0', '2.4.2', '2.256.1', '9999999.4.1']) {
        expect(await device.runs({ versionStr })).toBe('version_unknown')
      }
      const newcomer = await scene.newcomer()
      const unknown = [
        { name: 'Acme-Bank' },
        { platform: 'iOS' },
        { platform: 'android' },
        { architecture: 'mips' },
        { architecture: 'ARM64' },
        { versionStr: '2.4.10' },
      ]
      for (const app of unknown) expect(await newcomer.enrolWith(app)).toBe('version_unknown')
      for (const name of ['a\u0000b', '\ud800', "' or 1=1 --"]) {
        expect(await newcomer.enrolWith({ name })).toMatch(
          /^(version_unknown|validation_failed|malformed_body)$/,
        )
      }
      // More refusals than a code survives, had they counted against it.
      expect(await newcomer.enrolWith()).toBe('ok')
    })

    test('version_locked for enrolment, link and login, until it is unlocked', async () => {
      const scene = await newScene()
      const id = await scene.addVersion({ checksIntegrity: false })
      const device = await scene.enrolled()
      expect(await device.runs()).toBe('ok')
      await scene.setLock(id, true)
      expect(await device.runs()).toBe('version_locked')
      expect(await (await scene.newcomer()).enrolWith()).toBe('version_locked')
      const code = await createCode(api, scene.tenantId, 'registrar')
      const link = { hasBio: true }
      expect((await device.link(code, link)).body.code).toBe('version_locked')
      await scene.setLock(id, false)
      expect(await device.runs()).toBe('ok')
      const { status } = await device.link(code, { pin: '1234' })
      expect(status).toBeLessThan(300)
    })

    test('an access token that was given before the lock works to its end, and there is no other', async () => {
      const scene = await newScene()
      const id = await scene.addVersion({ checksIntegrity: false })
      const device = await scene.enrolled()
      await device.runs()
      await scene.setLock(id, true)
      expect((await device.call('GET /device')).status).toBe(200)
      expect(await device.runs()).toBe('version_locked')
      api.clock.advance(299_000)
      expect((await device.call('GET /device')).status).toBe(200)
      api.clock.advance(2_000)
      expect((await device.call('GET /device')).body.code).toBe('token_invalid')
    })

    test('a refusal comes before any factor is looked at, and a login that was refused is recorded once', async () => {
      const scene = await newScene()
      const device = await scene.enrolled()
      const id = await scene.addVersion({ isLocked: true })
      for (let tries = 0; tries < 6; tries++) {
        expect(await device.runs({}, { pin: '0000' })).toBe('version_locked')
      }
      const refused = await records(scene, 'device.logged-in')
      expect(refused).toHaveLength(6)
      expect(refused[0]).toMatchObject({
        outcome: 'FAILURE',
        userId: 'jane',
        detail: { reason: 'VERSION_LOCKED', appVersion: testApp.versionStr },
      })
      const { dpop, form } = await device.loginRequest()
      expect((await device.sendToken(form, { dpop })).body.code).toBe('version_locked')
      expect((await device.sendToken(form, { dpop })).body.code).toBe('replayed')
      expect(await records(scene, 'device.logged-in')).toHaveLength(7)
      await scene.setLock(id, false)
    })
  })

  describe('what changes between the look and the login', () => {
    const changes: Record<string, [string, (scene: AppScene, id: string) => Promise<unknown>]> = {
      'a lock': ['version_locked', (scene, id) => scene.setLock(id, true)],
      'an end of the version': ['version_unknown', (scene, id) => scene.deleteVersion(id)],
      'a check of integrity': [
        'app_not_registered',
        (scene, id) => scene.replaceVersion(id, { checksIntegrity: true }),
      ],
      'a check of integrity with another value': [
        'integrity_mismatch',
        async (scene, id) => {
          await scene.enrolled('registrar', other)
          await scene.replaceVersion(id, { checksIntegrity: true })
        },
      ],
    }
    test.each(Object.entries(changes))('%s counts', async (_, [refusal, change]) => {
      const scene = await newScene()
      const id = await scene.addVersion({ checksIntegrity: false })
      await scene.addVersion({ versionStr: '9.9.9' })
      const { storage } = api.app.composed
      const { tenantId } = scene
      const rules = new AppRules({
        storage,
        policies: new PolicyLookup({ storage }),
        userSchemes: { idOf: async (_tenant: string, name: string) => name },
      })
      const app = { ...testApp, ...ours }
      const settle = await rules.judge({ tenantId, deviceId: 'any', userId: 'jane', app })
      const run = () =>
        storage.transaction((stores) => settle(stores, testCaller(tenantId, []), api.clock()))
      await expect(run()).resolves.toBeUndefined()
      await change(scene, id)
      await expect(run()).rejects.toMatchObject({ code: refusal })
    })

    test('R4: logins that are under way when the version is locked are refused and recorded', async () => {
      const scene = await newScene()
      const id = await scene.addVersion({ checksIntegrity: false })
      const devices = await Promise.all(Array.from({ length: 10 }, () => scene.newcomer(null)))
      for (const one of devices) expect(await one.enrolWith({}, { pin: '2468' })).toBe('ok')
      // All of them are judged before the first PIN is checked.
      const logins = devices.map((one) => one.runs({}, { pin: '2468' }))
      await Promise.race(logins)
      await scene.setLock(id, true)
      const outcomes = await Promise.all(logins)
      const refused = outcomes.filter((outcome) => outcome === 'version_locked')
      const ok = outcomes.filter((outcome) => outcome === 'ok')
      expect(ok.length + refused.length).toBe(devices.length)
      expect(refused.length).toBeGreaterThan(0)
      const recorded = await records(scene, 'device.logged-in')
      const failed = recorded.filter(({ outcome }) => outcome === 'FAILURE')
      expect(failed).toHaveLength(refused.length)
      expect(failed[0].detail.reason).toBe('VERSION_LOCKED')
    }, 30_000)
  })

  describe('the policy registrationUser', () => {
    test('the first login of the registering user registers; nobody else may come before', async () => {
      const scene = await newScene()
      const id = await scene.addVersion()
      const jane = await scene.newcomer('jane')
      expect(await jane.enrolWith(ours)).toBe('app_not_registered')
      const registrar = await scene.newcomer('registrar')
      expect(await registrar.enrolWith()).toBe('app_not_registered')
      expect(await registrar.enrolWith(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
      expect(await jane.enrolWith(other)).toBe('integrity_mismatch')
      expect(await jane.enrolWith()).toBe('integrity_mismatch')
      expect(await jane.enrolWith(ours)).toBe('ok')
      expect(await jane.runs(ours)).toBe('ok')
      expect(await jane.runs(other)).toBe('integrity_mismatch')
      expect(await registrar.runs(other)).toBe('integrity_mismatch')
      expect(await records(scene, 'app-version.registered')).toMatchObject([
        { target: { id }, detail: { architecture: 'arm64', policy: 'registrationUser' } },
      ])
    })

    test('each architecture has a value of its own', async () => {
      const scene = await newScene()
      const id = await scene.addVersion()
      await scene.enrolled('registrar', ours)
      const x86 = { architecture: 'x86' }
      const jane = await scene.newcomer()
      expect(await jane.enrolWith({ ...ours, ...x86 })).toBe('app_not_registered')
      await scene.enrolled('registrar', { ...other, ...x86 })
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity, x86: other.integrity })
      expect(await jane.enrolWith({ ...other, ...x86 })).toBe('ok')
    })

    test('where integrity is not checked, the value is recorded and nobody is held against it', async () => {
      const scene = await newScene()
      const id = await scene.addVersion({ checksIntegrity: false })
      const jane = await scene.enrolled('jane', other)
      expect(await scene.registered(id)).toEqual({})
      const registrar = await scene.enrolled('registrar', ours)
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
      for (const app of [other, ours, {}]) {
        expect([await jane.runs(app), await registrar.runs(app)]).toEqual(['ok', 'ok'])
      }
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
    })

    test('a login that fails registers nothing', async () => {
      const scene = await newScene()
      const registrar = await scene.enrolled('registrar')
      const id = await scene.addVersion()
      expect(await registrar.runs(ours, { pin: '0000' })).toBe('factor_rejected')
      expect(await scene.registered(id)).toEqual({})
      expect(await registrar.runs(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
    })

    test('the link of the registering user to a device registers what the device runs', async () => {
      const scene = await newScene()
      const device = await scene.enrolled('jane', ours)
      await device.runs(ours)
      const id = await scene.addVersion()
      const code = await createCode(api, scene.tenantId, 'registrar')
      expect((await device.link(code, { pin: '1234' })).status).toBeLessThan(300)
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
    })

    test('whoever registers is named as callers name users', async () => {
      const scene = await newScene()
      const { core } = api.app
      const caller = testCaller(scene.tenantId, ['tenant:write'])
      const identifier = { scheme: 'external', value: 'E-1' }
      await core.userIdentifiers.add(caller, scene.tenantId, 'registrar', identifier)
      await core.settings.update(caller, scene.tenantId, {
        patch: { ast: { userSchemes: ['external'] } },
      })
      const id = await scene.addVersion({ registerUserId: 'E-1' })
      await scene.enrolled('registrar', ours)
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
      const byId = await scene.addVersion({ versionStr: '2.4.2' })
      const registrar = await scene.newcomer('registrar')
      const app = { ...ours, versionStr: '2.4.2' }
      expect(await registrar.enrolWith(app)).toBe('app_not_registered')
      expect(await scene.registered(byId)).toEqual({})
    })

    test('after a registration is deleted the next login that may does it again', async () => {
      const scene = await newScene()
      const id = await scene.addVersion()
      const registrar = await scene.enrolled('registrar', ours)
      await scene.forget(id, 'arm64')
      const jane = await scene.newcomer()
      expect(await jane.enrolWith(ours)).toBe('app_not_registered')
      expect(await registrar.runs(other)).toBe('ok')
      expect(await jane.enrolWith(ours)).toBe('integrity_mismatch')
      expect(await jane.enrolWith(other)).toBe('ok')
    })

    test('R4: of many values at once one is registered, and the others are refused', async () => {
      const scene = await newScene()
      const devices = await Promise.all(
        Array.from({ length: 8 }, () => scene.enrolled('registrar')),
      )
      const id = await scene.addVersion()
      const values = devices.map((_, index) => measured(index.toString(16)))
      const outcomes = await Promise.all(
        devices.map((device, index) => device.runs({ integrity: values[index] })),
      )
      const winners = values.filter((_, index) => outcomes[index] === 'ok')
      expect(winners).toHaveLength(1)
      expect(outcomes.filter((outcome) => outcome === 'integrity_mismatch')).toHaveLength(7)
      expect(await scene.registered(id)).toEqual({ arm64: winners[0] })
    }, 30_000)
  })

  describe('the policy quorum', () => {
    /** A version that checks integrity, a quorum, and devices that have not logged in since. */
    const withQuorum = async (quorum: number, deviceCount: number) => {
      const scene = await newScene()
      const devices = await Promise.all(
        Array.from({ length: deviceCount }, () => scene.enrolled(null)),
      )
      await scene.assignQuorum(quorum)
      const id = await scene.addVersion()
      return { scene, id, devices }
    }
    const device = <T>(devices: readonly T[], index: number): T => {
      const one = devices[index]
      if (one === undefined) throw new Error('No such device.')
      return one
    }

    test('everyone may log in until so many devices report one value; from then on it counts', async () => {
      const { scene, id, devices } = await withQuorum(3, 4)
      const [one, two, three, four] = [0, 1, 2, 3].map((index) => device(devices, index))
      expect(await one?.runs(ours)).toBe('ok')
      expect(await two?.runs(other)).toBe('ok')
      expect(await three?.runs(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({})
      expect(await four?.runs()).toBe('ok')
      expect(await (await scene.newcomer(null)).enrolWith(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
      expect(await two?.runs(other)).toBe('integrity_mismatch')
      expect(await four?.runs()).toBe('integrity_mismatch')
      expect(await one?.runs(ours)).toBe('ok')
      expect(await records(scene, 'app-version.registered')).toMatchObject([
        { detail: { integrity: ours.integrity, policy: 'quorum' } },
      ])
    })

    test('a device counts once, however often it logs in, and for the value that it reported last', async () => {
      const { scene, id, devices } = await withQuorum(2, 3)
      const [one, two, three] = [0, 1, 2].map((index) => device(devices, index))
      for (let times = 0; times < 4; times++) expect(await one?.runs(ours)).toBe('ok')
      expect(await one?.runs(other)).toBe('ok')
      expect(await two?.runs(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({})
      expect(await three?.runs(other)).toBe('ok')
      expect(await scene.registered(id)).toEqual({ arm64: other.integrity })
    })

    test('a device that was deleted speaks for nothing', async () => {
      const { scene, id, devices } = await withQuorum(2, 3)
      const [one, two, three] = [0, 1, 2].map((index) => device(devices, index))
      await one?.runs(ours)
      expect((await one?.call('DELETE /device'))?.status).toBe(204)
      await two?.runs(ours)
      expect(await scene.registered(id)).toEqual({})
      await three?.runs(ours)
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
    })

    test('values of other architectures and versions are counted apart', async () => {
      const { scene, id, devices } = await withQuorum(2, 1)
      const next = await scene.addVersion({ versionStr: '2.5.0' })
      await device(devices, 0).runs(ours)
      await scene.enrolled(null, { ...ours, architecture: 'x86' })
      await scene.enrolled(null, { ...ours, versionStr: '2.5.0' })
      expect(await scene.registered(id)).toEqual({})
      await scene.enrolled(null, { ...ours, versionStr: '2.5.0' })
      expect([await scene.registered(id), await scene.registered(next)]).toEqual([
        {},
        { arm64: ours.integrity },
      ])
    })

    test('a smaller quorum counts from the next login on', async () => {
      const { scene, id, devices } = await withQuorum(5, 2)
      for (const one of devices) await one.runs(ours)
      const { core } = api.app
      const caller = testCaller(scene.tenantId, ['ast:write'])
      await core.policies.update(caller, scene.tenantId, 'quorum-5', { type: 'quorum', quorum: 2 })
      expect(await scene.registered(id)).toEqual({})
      expect(await device(devices, 0).runs(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
    })

    test('after a registration is deleted a quorum forms anew, from nothing', async () => {
      const { scene, id, devices } = await withQuorum(2, 3)
      for (const one of devices) await one.runs(ours)
      await scene.forget(id)
      expect(await device(devices, 0).runs(other)).toBe('ok')
      expect(await device(devices, 1).runs(ours)).toBe('ok')
      expect(await scene.registered(id)).toEqual({})
      await scene.forget(id, 'arm64')
      expect(await device(devices, 2).runs(other)).toBe('ok')
      expect(await scene.registered(id)).toEqual({})
      expect(await device(devices, 1).runs(other)).toBe('ok')
      expect(await scene.registered(id)).toEqual({ arm64: other.integrity })
    })

    test('R4: as many devices as are needed, all at once: the quorum is reached', async () => {
      const quorum = 12
      const { scene, id } = await withQuorum(quorum, 0)
      const { storage } = api.app.composed
      const { tenantId } = scene
      const rules = new AppRules({
        storage,
        policies: new PolicyLookup({ storage }),
        userSchemes: { idOf: async () => undefined },
      })
      const app = { ...testApp, ...ours }
      for (let round = 0; round < 5; round++) {
        const ids = Array.from({ length: quorum }, (_, index) => `device-${index}`)
        // All of them are asked before any of them is in: none of them sees a vote of another.
        const verdicts = await Promise.all(
          ids.map((deviceId) => rules.judge({ tenantId, deviceId, userId: null, app })),
        )
        const caller = testCaller(tenantId, [])
        await Promise.all(
          verdicts.map((settle) => storage.transaction((stores) => settle(stores, caller, round))),
        )
        expect(await scene.registered(id)).toEqual({ arm64: ours.integrity })
        await scene.forget(id)
      }
    }, 30_000)

    test('R4: of two values at once one is registered, and devices with the other one stay outside', async () => {
      const { scene, id, devices } = await withQuorum(4, 14)
      const app = (index: number) => (index % 2 === 0 ? ours : other)
      const outcomes = await Promise.all(devices.map((one, index) => one.runs(app(index))))
      const { arm64 } = await scene.registered(id)
      expect([ours.integrity, other.integrity]).toContain(arm64)
      const won = (index: number) => app(index).integrity === arm64
      for (const [index, outcome] of outcomes.entries()) {
        expect(won(index) ? outcome === 'ok' : /^(ok|integrity_mismatch)$/.test(outcome)).toBe(true)
      }
      // Three at most were let in before the value of the others was registered.
      expect(
        outcomes.filter((outcome, index) => !won(index) && outcome === 'ok').length,
      ).toBeLessThan(4)
      const again = await Promise.all(devices.map((one, index) => one.runs(app(index))))
      expect(again).toEqual(devices.map((_, index) => (won(index) ? 'ok' : 'integrity_mismatch')))
      expect(await records(scene, 'app-version.registered')).toHaveLength(1)
    }, 30_000)
  })
})
