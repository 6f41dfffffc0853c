import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createCode, TestDevice, testApp } from '#test/support/test-device.ts'
import { type ClientsInstallation, createClientsInstallation } from './clients.fixture.ts'

const good = 'a'.repeat(64)
const bad = 'b'.repeat(64)

/** Of the app that a device runs. */
interface Facts {
  readonly platform?: string
  readonly architecture?: string
}

describe.each(engines)('policies of registration, met by devices, on %s', (engine) => {
  let ast: ClientsInstallation
  let count = 0
  beforeAll(async () => {
    ast = await createClientsInstallation({ engine })
  }, 60_000)
  afterAll(() => ast[Symbol.asyncDispose]())

  /** A new app with one version that checks integrity, registered by `registrar`. */
  const addApp = async (version: object = {}) => {
    const appName = `app ${++count}`
    await ast.call(`POST /apps/${encodeURIComponent(appName)}`, { body: { categories: ['tms'] } })
    await addVersion(appName, version)
    return appName
  }
  const addVersion = async (appName: string, version: object = {}) => {
    const { platform, versionStr } = testApp
    const written = { registerUserId: 'registrar', isCheckIntegrity: true, ...version }
    const body = { appName, platform, versionStr, ...written }
    expect((await ast.call('POST /versions', { body })).status).toBe(201)
  }
  const versionOf = async (appName: string, platform = 'Android') => {
    const query = new URLSearchParams({ appName, platform })
    return (await ast.call(`GET /versions?${query}`)).body.data[0]
  }
  const addPolicy = async (body: object) => {
    const name = `policy ${++count}`
    const { status } = await ast.call(`POST /policies/${encodeURIComponent(name)}`, { body })
    expect(status).toBe(201)
    return name
  }
  const quorumOf = (quorum: number) => addPolicy({ type: 'quorum', parameters: { quorum } })
  const assign = async (policy: string, target: object) => {
    const path = `/policies/${encodeURIComponent(policy)}/assignments` as const
    expect((await ast.call(`POST ${path}`, { body: target })).status).toBe(201)
    const { body } = await ast.call(`GET /policies/${encodeURIComponent(policy)}`)
    return body.assignments.at(-1).id as string
  }
  const unassign = async (assignmentId: string) =>
    expect((await ast.call(`DELETE /policy-assignments/${assignmentId}`)).status).toBe(204)
  const factsOf = (appName: string, integrity: string | undefined, facts: Facts = {}) => ({
    ...testApp,
    name: appName,
    ...(integrity === undefined ? {} : { integrity }),
    ...facts,
  })

  /** A device, of a new user unless one is named, and what its enrolment was answered. */
  const enrol = async (
    appName: string,
    integrity: string | undefined,
    { userId = `user-${++count}`, ...facts }: { userId?: string } & Facts = {},
  ) => {
    await ast.addUser(userId)
    const device = new TestDevice(ast.api)
    const code = await createCode(ast.api, 'acme', userId)
    const app = factsOf(appName, integrity, facts)
    const { status, body } = await device.enrol(code, { body: { app } })
    return { device, outcome: status === 201 ? 'in' : String(body.code) }
  }
  const enrolAll = async (appName: string, integrity: string, howMany: number, facts?: Facts) => {
    const devices: TestDevice[] = []
    for (let index = 0; index < howMany; index++) {
      const { device, outcome } = await enrol(appName, integrity, facts)
      expect(outcome).toBe('in')
      devices.push(device)
    }
    return devices
  }
  const login = async (
    device: TestDevice | undefined,
    appName: string,
    integrity: string | undefined,
    facts: Facts = {},
  ) => {
    if (device === undefined) throw new Error('There is no such device.')
    const assertion = { app: factsOf(appName, integrity, facts) }
    const { status, body } = await device.login({ bio: true, assertion })
    return status === 200 ? 'in' : String(body.code ?? body.error)
  }
  const registered = async (appName: string, platform?: string) =>
    (await versionOf(appName, platform)).architectureIntegrities

  test('a quorum forms of distinct devices, whose value then is the only one', async () => {
    const appName = await addApp()
    await assign(await quorumOf(3), { appName })
    const [first, second] = await enrolAll(appName, good, 2)
    const [odd] = await enrolAll(appName, bad, 1)
    // The same devices count once, however often they log in.
    for (const device of [first, first, second, second]) {
      expect(await login(device, appName, good)).toBe('in')
    }
    expect(await login(odd, appName, bad)).toBe('in')
    expect(await registered(appName)).toEqual([])

    const [third] = await enrolAll(appName, good, 1)
    expect(await registered(appName)).toMatchObject([
      { architectureName: 'arm64', integrity: good, registeredBy: 'quorum' },
    ])
    for (const device of [first, second, third]) {
      expect(await login(device, appName, good)).toBe('in')
    }
    expect(await login(odd, appName, bad)).toBe('integrity_mismatch')
    expect(await login(odd, appName, undefined)).toBe('integrity_mismatch')
    expect((await enrol(appName, bad)).outcome).toBe('integrity_mismatch')
    expect(await login(odd, appName, good)).toBe('in')
  })

  test('a device that changes its mind does not count for both values', async () => {
    const appName = await addApp()
    await assign(await quorumOf(2), { appName })
    const [turncoat] = await enrolAll(appName, bad, 1)
    expect(await login(turncoat, appName, good)).toBe('in')
    await enrolAll(appName, bad, 1)
    expect(await registered(appName)).toEqual([])
    await enrolAll(appName, good, 1)
    expect(await registered(appName)).toMatchObject([{ integrity: good }])
  })

  test('R4: of many at once that complete a quorum, with two values, one value is registered', async () => {
    const appName = await addApp()
    await assign(await quorumOf(2), { appName })
    const values = [good, bad, good, bad, good, bad]
    const entered = await Promise.all(values.map((value) => enrol(appName, value)))
    const [registration, ...others] = await registered(appName)
    expect(others).toEqual([])
    expect([good, bad]).toContain(registration.integrity)
    for (const [index, { device, outcome }] of entered.entries()) {
      if (outcome !== 'in') {
        expect(outcome).toBe('integrity_mismatch')
        expect(values[index]).not.toBe(registration.integrity)
        continue
      }
      const expected = values[index] === registration.integrity ? 'in' : 'integrity_mismatch'
      expect(await login(device, appName, values[index])).toBe(expected)
    }
  })

  test('another policy in between counts from the next login on; what was said before still counts', async () => {
    const appName = await addApp()
    const wide = await assign(await quorumOf(5), { appName })
    const devices = await enrolAll(appName, good, 2)
    // More specific: nobody but the registrar may register, nobody else may log in.
    const narrow = await assign('registrationUser', { appName, platform: 'Android' })
    expect(await login(devices[0], appName, good)).toBe('app_not_registered')
    expect((await enrol(appName, good)).outcome).toBe('app_not_registered')
    // More specific still: three suffice, and two have been there.
    await assign(await quorumOf(3), { appName, platform: 'Android', architectureName: 'arm64' })
    expect(await login(devices[0], appName, good)).toBe('in')
    expect(await registered(appName)).toEqual([])
    await enrolAll(appName, good, 1)
    expect(await registered(appName)).toMatchObject([{ integrity: good, registeredBy: 'quorum' }])
    for (const id of [wide, narrow]) await unassign(id)
    expect(await login(devices[1], appName, good)).toBe('in')
  })

  test('a smaller quorum is complete at the next login', async () => {
    const appName = await addApp()
    const policy = await quorumOf(1000)
    await assign(policy, { appName })
    const [first] = await enrolAll(appName, good, 2)
    const body = { type: 'quorum', parameters: { quorum: 2 } }
    await ast.call(`PUT /policies/${encodeURIComponent(policy)}`, { body })
    expect(await login(first, appName, good)).toBe('in')
    expect(await registered(appName)).toMatchObject([{ integrity: good }])
  })

  test('without its assignment the built-in policy counts: the registrar registers, then everybody may come', async () => {
    const appName = await addApp({ registerUserId: 'registrar-1' })
    const policy = await quorumOf(2)
    const id = await assign(policy, { appName })
    const [early] = await enrolAll(appName, good, 1)
    const path = `/policies/${encodeURIComponent(policy)}` as const
    expect((await ast.call(`DELETE ${path}`)).status).toBe(409)
    await unassign(id)
    expect((await ast.call(`DELETE ${path}`)).status).toBe(204)

    expect(await login(early, appName, good)).toBe('app_not_registered')
    const registrar = await enrol(appName, good, { userId: 'registrar-1' })
    expect(registrar.outcome).toBe('in')
    expect(await registered(appName)).toMatchObject([
      { integrity: good, registeredBy: 'registrar-1' },
    ])
    expect(await login(early, appName, good)).toBe('in')
    expect(await login(early, appName, bad)).toBe('integrity_mismatch')
  })

  test('a policy names another registrar than the version', async () => {
    const appName = await addApp({ registerUserId: 'registrar-2' })
    const parameters = { userId: 'registrar-3' }
    await assign(await addPolicy({ type: 'registrationUser', parameters }), { appName })
    const ofVersion = await enrol(appName, good, { userId: 'registrar-2' })
    expect(ofVersion.outcome).toBe('app_not_registered')
    const ofPolicy = await enrol(appName, good, { userId: 'registrar-3' })
    expect(ofPolicy.outcome).toBe('in')
    expect(await registered(appName)).toMatchObject([{ registeredBy: 'registrar-3' }])
  })

  test('platform and architecture of the device decide, the platform before the architecture', async () => {
    const appName = await addApp()
    await addVersion(appName, { platform: 'iOS' })
    await assign(await quorumOf(1), { appName, platform: 'Android' })
    await assign('registrationUser', { appName, architectureName: 'arm64' })
    // Android: by the platform, on both architectures.
    await enrolAll(appName, good, 1, { architecture: 'arm64' })
    await enrolAll(appName, good, 1, { architecture: 'x86' })
    expect(await registered(appName, 'Android')).toHaveLength(2)
    // iOS: arm64 by the architecture, the other by what is built in.
    for (const architecture of ['arm64', 'x86_64']) {
      const { outcome } = await enrol(appName, good, { platform: 'iOS', architecture })
      expect(outcome).toBe('app_not_registered')
    }
    await assign(await quorumOf(1), { appName })
    const { outcome } = await enrol(appName, good, { platform: 'iOS', architecture: 'arm64' })
    expect(outcome).toBe('app_not_registered')
    await enrolAll(appName, good, 1, { platform: 'iOS', architecture: 'x86_64' })
    expect(await registered(appName, 'iOS')).toMatchObject([{ architectureName: 'x86_64' }])
  })

  test('a registration that is deleted begins anew, with nobody’s word', async () => {
    const appName = await addApp()
    await assign(await quorumOf(2), { appName })
    const [first] = await enrolAll(appName, good, 2)
    const { id } = await versionOf(appName)
    const path = `/versions/${id}/register?architectureName=arm64` as const
    expect((await ast.call(`DELETE ${path}`)).status).toBe(204)
    expect(await login(first, appName, bad)).toBe('in')
    expect(await registered(appName)).toEqual([])
    await enrolAll(appName, bad, 1)
    expect(await registered(appName)).toMatchObject([{ integrity: bad }])
  })

  test('an app that is deleted leaves no rule, and its name none of its past', async () => {
    const appName = await addApp()
    const other = await addApp()
    await assign(await quorumOf(1), { appName })
    const [device] = await enrolAll(appName, good, 1)
    await ast.call(`DELETE /apps/${encodeURIComponent(appName)}`)
    // The tenant has versions, of another app.
    expect(await login(device, appName, good)).toBe('version_unknown')
    await ast.call(`POST /apps/${encodeURIComponent(appName)}`, { body: { categories: ['tms'] } })
    await addVersion(appName)
    expect(await registered(appName)).toEqual([])
    expect(await login(device, appName, good)).toBe('app_not_registered')
    expect(await registered(other)).toEqual([])
  })
})
