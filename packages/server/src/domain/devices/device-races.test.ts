import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'
import { addTestUser, createCode, enrolDevice, TestDevice } from '#test/support/test-device.ts'

const tries = 20

describe.each(engines)('what is spent once, on %s', (engine) => {
  let database: TestDatabase | undefined
  let api: PlatformApi

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
    await api.createTenant('acme')
    await api.createTenant('shop')
    await enrolDevice(api)
  }, 60_000)
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await database?.drop()
  })

  const count = (replies: readonly { body: { code?: string } }[]) => {
    const counts: Record<string, number> = {}
    for (const { body } of replies) {
      const code = body.code ?? 'ok'
      counts[code] = (counts[code] ?? 0) + 1
    }
    return counts
  }
  const many = <T>(make: (index: number) => Promise<T>) =>
    Promise.all(Array.from({ length: tries }, (_, index) => make(index)))

  const holdersOf = async (pushToken: string) => {
    const reader = testCaller('acme', ['tenant:read'])
    const { items } = await api.app.core.devices.list(reader, 'acme', { limit: 200 })
    return items.filter((device) => device.pushToken === pushToken).length
  }

  test('one code by twenty devices: one of them has it, and one user was made', async () => {
    const code = await createCode(api, 'acme', null)
    const before = await api.app.core.devices.list(testCaller('acme', ['tenant:read']), 'acme', {
      limit: 200,
    })
    const replies = await many(() => new TestDevice(api).enrol(code, {}))
    expect(count(replies)).toEqual({ ok: 1, code_invalid: tries - 1 })
    const after = await api.app.core.devices.list(testCaller('acme', ['tenant:read']), 'acme', {
      limit: 200,
    })
    expect(after.items).toHaveLength(before.items.length + 1)
  }, 60_000)

  test('one key with codes of two tenants: one of them has it', async () => {
    const { deviceKey } = new TestDevice(api)
    const codes = await many((index) => createCode(api, index % 2 ? 'acme' : 'shop', null))
    const replies = await Promise.all(
      codes.map((code) => new TestDevice(api, { deviceKey }).enrol(code, {})),
    )
    expect(count(replies)).toEqual({ ok: 1, device_key_known: tries - 1 })
  }, 60_000)

  test('one push token, brought by twenty enrolments at once: all are enrolled, one has it', async () => {
    const codes = await many(async (index) => {
      const userId = `pushed-${index}`
      await addTestUser(api, 'acme', userId)
      return createCode(api, 'acme', userId)
    })
    const pushToken = 'FCM:the-one-token'
    const replies = await Promise.all(
      codes.map((code) => new TestDevice(api).enrol(code, { body: { pushToken } })),
    )
    expect(count(replies)).toEqual({ ok: tries })
    expect(await holdersOf(pushToken)).toBe(1)
  }, 60_000)

  test('one push token, brought by twenty devices at once: each has had it, one has it', async () => {
    const devices = await many(async () => {
      const device = await enrolDevice(api)
      await device.login()
      return device
    })
    const pushToken = 'FCM:the-wandering-token'
    const body = { pushToken }
    const replies = await Promise.all(devices.map((one) => one.call('PATCH /device', { body })))
    expect(replies.map(({ status }) => status)).toEqual(devices.map(() => 200))
    expect(await holdersOf(pushToken)).toBe(1)
  }, 60_000)

  test('the longest push token is kept, and a longer one refused, whatever an index can hold', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const token = (length: number) =>
      `FCM:${randomBytes(length)
        .toString('base64url')
        .slice(0, length - 4)}`
    const send = (pushToken: string) => device.call('PATCH /device', { body: { pushToken } })
    expect((await send(token(2_560))).status).toBe(200)
    expect((await send(token(2_561))).status).toBe(400)
  })

  test('one PIN, set by two enrolments at once: the first one counts, the other is asked for it', async () => {
    await addTestUser(api, 'acme', 'racer')
    const codes = [
      await createCode(api, 'acme', 'racer'),
      await createCode(api, 'acme', 'racer'),
      await createCode(api, 'acme', 'racer'),
    ]
    const devices = codes.map(() => new TestDevice(api))
    const replies = await Promise.all(
      devices.map((device, index) => device.enrol(codes[index] ?? '', { pin: `100${index}` })),
    )
    const winner = replies.findIndex(({ status }) => status === 201)
    const { ok, ...others } = count(replies)
    expect(ok).toBe(1)
    expect(Object.keys(others).every((code) => /^factor_re(quired|jected)$/.test(code))).toBe(true)
    const [device] = devices.filter(({ id }) => id !== '')
    expect((await device?.login({ pin: `100${winner}` }))?.status).toBe(200)
  }, 60_000)

  test('one proof twenty times: it counts once', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const dpop = { jti: 'C'.repeat(22) }
    const replies = await many(() => device.call('GET /device', { dpop }))
    expect(count(replies)).toEqual({ ok: 1, replayed: tries - 1 })
  })

  test('twenty wrong PINs at once: five are looked at, the others find the lock', async () => {
    const device = await enrolDevice(api)
    const requests = await many(() => device.loginRequest({ pin: '0000' }))
    const replies = await Promise.all(
      requests.map(({ dpop, form }) => device.sendToken(form, { dpop })),
    )
    expect(count(replies)).toEqual({ factor_rejected: 5, factor_locked: tries - 5 })
    const left = replies.flatMap(({ body }) => body.attemptsLeft ?? [])
    expect(left.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
  }, 60_000)

  test('logins against a lock: no token outlives it', async () => {
    const admin = testCaller('acme', ['tenant:write'])
    const { devices } = api.app.core
    for (let round = 0; round < 5; round++) {
      const device = await enrolDevice(api)
      const requests = await Promise.all([1, 2, 3, 4].map(() => device.loginRequest()))
      const [, ...replies] = await Promise.all([
        devices.lock(admin, 'acme', { id: device.id, reason: null }),
        ...requests.map(({ dpop, form }) => device.sendToken(form, { dpop })),
      ])
      for (const { status, body } of replies) {
        if (status !== 200) {
          expect(['device_locked', 'client_invalid']).toContain(body.code)
          continue
        }
        device.accessToken = body.access_token
        expect((await device.call('GET /device')).body.code).toBe('device_locked')
      }
      await devices.unlock(admin, 'acme', device.id)
      for (const { status, body } of replies) {
        if (status !== 200) continue
        device.accessToken = body.access_token
        expect((await device.call('GET /device')).body.code).toBe('token_invalid')
      }
    }
  }, 60_000)

  test('one user linked twice at once, and unlinked twice: one link, one end', async () => {
    const device = await enrolDevice(api)
    await device.login()
    await addTestUser(api, 'acme', `linked-${engine}`)
    const codes = [
      await createCode(api, 'acme', `linked-${engine}`),
      await createCode(api, 'acme', `linked-${engine}`),
    ]
    const linked = await Promise.all(
      codes.map((code) => device.link(code, { hasBio: false, pin: '1234' })),
    )
    expect(linked.filter(({ status }) => status === 201).length).toBeGreaterThan(0)
    await device.login({ userId: `linked-${engine}` })
    const ends = await Promise.all(
      [1, 2, 3].map(() => device.call(`DELETE /links/linked-${engine}`)),
    )
    expect(ends.filter(({ status }) => status === 204)).toHaveLength(1)
  }, 60_000)

  test('a login with the old PIN while another device changes it: nothing is carried past the change', async () => {
    const user = `changing-${engine}`
    await addTestUser(api, 'acme', user)
    const of = { tenantId: 'acme', userId: user }
    const one = await enrolDevice(api, of, { pin: '1000' })
    const other = await enrolDevice(api, of, { pin: '1000' })
    const outcomes = new Set<string>()
    for (let round = 0; round < 6; round++) {
      const pins = { old: `100${round}`, next: `100${round + 1}` }
      api.clock.advance(1_000)
      expect((await one.login({ pin: pins.old })).status).toBe(200)
      // Verified a moment ago, as what a login without a factor could carry.
      expect((await other.login({ pin: pins.old })).status).toBe(200)
      const withPin = await other.loginRequest({ pin: pins.old })
      const without = await other.loginRequest()
      const send = ({ form, dpop }: typeof withPin) => other.sendToken(form, { dpop })
      const change = () => one.call('PUT /factors/pin', { body: { pin: pins.next } })
      api.clock.advance(1_000)
      const [changed, ...logins] =
        round % 2 === 0
          ? await Promise.all([change(), send(withPin), send(without)])
          : await Promise.all([send(withPin), send(without), change()]).then((all) => all.reverse())
      expect(changed?.status).toBe(204)
      for (const { body } of logins) outcomes.add(body.code ?? 'ok')
      const after = await other.login()
      expect(after.status).toBe(200)
      expect(after.body).not.toHaveProperty('amr')
    }
    for (const outcome of outcomes) expect(['ok', 'factor_rejected']).toContain(outcome)
  }, 60_000)

  test('a token that was got with the old PIN does not set another one', async () => {
    const user = `outdated-${engine}`
    await addTestUser(api, 'acme', user)
    const of = { tenantId: 'acme', userId: user }
    const one = await enrolDevice(api, of, { pin: '1000' })
    const other = await enrolDevice(api, of, { pin: '1000' })
    await one.login({ pin: '1000' })
    await other.login({ pin: '1000' })
    api.clock.advance(1_000)
    const set = (device: TestDevice, pin: string) =>
      device.call('PUT /factors/pin', { body: { pin } })
    expect((await set(one, '2000')).status).toBe(204)
    expect((await set(other, '3000')).body.code).toBe('verification_required')
    expect((await other.login({ pin: '2000' })).status).toBe(200)
    expect((await set(other, '3000')).status).toBe(204)
  }, 60_000)
})
