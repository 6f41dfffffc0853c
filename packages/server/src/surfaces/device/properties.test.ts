import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PropertyDraft, plainTraits } from '#domain/properties/property.ts'
import { engines, testCaller, testMasterKeyBytes } from '#test/support/core.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { enrolDevice, type TestDevice } from '#test/support/test-device.ts'

const portal = testCaller('acme', ['ast:write'])

describe.each(engines)('properties on %s', (engine) => {
  let api: PlatformApi
  let drop = async (): Promise<void> => {}
  let phone: TestDevice
  let tablet: TestDevice
  let stranger: TestDevice
  beforeAll(async () => {
    let env = {}
    if (engine === 'postgres') {
      const database = await createTestDatabase()
      drop = database.drop
      const key = Buffer.from(testMasterKeyBytes).toString('base64')
      env = { COUNTERSIGN_DATABASE_URL: database.url, COUNTERSIGN_MASTER_KEY: key }
    }
    api = await createPlatformApi(env)
    await api.createTenant('acme')
    phone = await enrolDevice(api)
    tablet = await enrolDevice(api, { userId: phone.userId })
    stranger = await enrolDevice(api)
    for (const device of [phone, tablet, stranger]) await device.login()
  }, 60_000)
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    await drop()
  })

  const add = (draft: Partial<PropertyDraft> & { name: string }, device?: TestDevice) =>
    api.app.core.properties.create(
      portal,
      'acme',
      { userName: phone.userId, deviceId: device?.id ?? null },
      { ...plainTraits, type: 'UTF8STRING', value: 'blue', ...draft },
    )
  const text = (value: string) => ({ type: 'UTF8STRING', value })
  const put = (
    device: TestDevice,
    path: string,
    body: object,
    ifMatch: string | undefined = undefined,
  ) =>
    device.call(`PUT /properties/${path}`, {
      body,
      ...(ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }),
    })
  const get = (device: TestDevice, path: string) => device.call(`GET /properties/${path}`)
  const toldTo = async ({ tenantId, id }: TestDevice, name: string) => {
    const { deviceEvents } = api.app.composed.storage.read
    const events = await deviceEvents.listAfter({ tenantId, deviceId: id }, '', 1_000)
    return events.filter(({ data }) => data.name === name).map(({ data }) => data)
  }

  describe('listProperties', () => {
    test('200: of the user and of the user on this device, what devices may see, by owner and name', async () => {
      const other = await enrolDevice(api)
      await other.login()
      const owner = { userName: other.userId, deviceId: null }
      const plain = { ...plainTraits, type: 'UTF8STRING', value: 'x' } as const
      const make = (name: string, traits: object = {}, deviceId: string | null = null) =>
        api.app.core.properties.create(
          portal,
          'acme',
          { ...owner, deviceId },
          { ...plain, name, ...traits },
        )
      await make('zebra', { encryption: 'SERVER_SIDE_DB' })
      await make('apple', { visibility: ['EXTERNAL', 'CLIENT'] })
      await make('hidden', { visibility: ['EXTERNAL', 'INTERNAL'] })
      await make('mango', {}, other.id)
      const { status, body } = await other.call('GET /properties')
      expect(status).toBe(200)
      expect(body.map((one: { owner: string; name: string }) => [one.owner, one.name])).toEqual([
        ['device', 'mango'],
        ['user', 'apple'],
        ['user', 'zebra'],
      ])
      expect(body[2]).toEqual({
        propertyId: expect.any(String),
        owner: 'user',
        name: 'zebra',
        type: 'UTF8STRING',
        value: 'x',
        version: 1,
        readOnly: false,
        notify: false,
        inKeystorage: false,
        cpFlags: 0,
        updatedAt: new Date(api.clock()).toISOString(),
      })
      const ofUser = await other.call('GET /properties?owner=user')
      expect(ofUser.body).toHaveLength(2)
      expect((await other.call('GET /properties?owner=group')).status).toBe(400)
      expect((await stranger.call('GET /properties')).body).toEqual([])
    })

    test('200 with 500 of those that there are, values and all', async () => {
      const big = await enrolDevice(api)
      await big.login()
      const nowMs = api.clock()
      await api.app.composed.storage.transaction(async ({ properties }) => {
        for (let index = 0; index < 510; index++) {
          await properties.insert({
            ...plainTraits,
            tenantId: 'acme',
            userId: big.userId,
            deviceId: null,
            id: `01${String(index).padStart(24, '0')}`,
            name: `many-${String(index).padStart(3, '0')}`,
            type: 'UTF8STRING',
            version: 1,
            createdAtMs: nowMs,
            updatedAtMs: nowMs,
            stored: { text: 'v'.repeat(1_000), orderKey: null },
          })
        }
      })
      const { body } = await big.call('GET /properties')
      expect(body.map(({ name }: { name: string }) => name)).toEqual(
        Array.from({ length: 500 }, (_, index) => `many-${String(index).padStart(3, '0')}`),
      )
      expect(await put(big, 'user/one-more', text('x'))).toMatchObject({
        status: 409,
        body: { code: 'limit_reached' },
      })
    })
  })

  describe('getProperty', () => {
    test('200 with its version; 404 for what is hidden, missing, or of another user', async () => {
      await add({ name: 'daily/limit', type: 'INTEGER', value: '1000' })
      await add({ name: 'concealed', visibility: ['EXTERNAL'] })
      const path = `user/${encodeURIComponent('daily/limit')}`
      const { status, headers, body } = await get(phone, path)
      expect([status, headers.etag, body.version]).toEqual([200, '"1"', 1])
      expect(body).toMatchObject({ owner: 'user', type: 'INTEGER', value: '1000' })
      for (const missing of [
        'user/concealed',
        `device/${path.slice(5)}`,
        'user/a%00b',
        'user/xyz',
      ]) {
        expect(await get(phone, missing)).toMatchObject({
          status: 404,
          body: { code: 'not_found' },
        })
      }
      expect((await get(stranger, path)).status).toBe(404)
    })
  })

  describe('putProperty', () => {
    test('201 for a new one: visible to all, writable, told to the other devices if it is the user’s', async () => {
      const made = await put(phone, 'user/theme', text('dark'))
      expect([made.status, made.headers.etag]).toEqual([201, '"1"'])
      expect(made.body).toMatchObject({ owner: 'user', notify: true, cpFlags: 0, readOnly: false })
      expect(await toldTo(tablet, 'theme')).toEqual([
        { owner: 'user', name: 'theme', change: 'created', version: 1 },
      ])
      expect(await toldTo(phone, 'theme')).toEqual([])
      expect(await toldTo(stranger, 'theme')).toEqual([])
      const { deviceEvents } = api.app.composed.storage.read
      const place = { tenantId: 'acme', deviceId: tablet.id }
      const [first] = await deviceEvents.listAfter(place, '', 1)
      await put(phone, 'user/theme', text('darker'))
      const { body: polled } = await tablet.call(`GET /events/poll?after=${first?.id}`)
      expect(polled.events.at(-1)).toMatchObject({
        type: 'property.changed',
        data: { owner: 'user', name: 'theme', change: 'updated', version: 2 },
      })
      const own = await put(phone, 'device/theme', text('light'))
      expect([own.status, own.body.notify]).toEqual([201, false])
      expect((await get(tablet, 'user/theme')).body.value).toBe('darker')
      expect((await get(tablet, 'device/theme')).status).toBe(404)
    })

    test('200 for another value, and for the same one, which changes nothing', async () => {
      await put(phone, 'user/font', text('small'))
      const changed = await put(tablet, 'user/font', text('large'))
      expect([changed.status, changed.headers.etag, changed.body.value]).toEqual([
        200,
        '"2"',
        'large',
      ])
      const same = await put(tablet, 'user/font', text('large'))
      expect([same.status, same.body.version]).toEqual([200, 2])
      expect(await toldTo(phone, 'font')).toHaveLength(1)
    })

    test('403, 404 and 422 for what is read-only, hidden, or of another type', async () => {
      await add({ name: 'fixed', readOnly: true })
      await add({ name: 'unseen', visibility: ['INTERNAL'] })
      await add({ name: 'number', type: 'INTEGER', value: '5' })
      const codeOf = async (path: string, body: object) => {
        const reply = await put(phone, path, body)
        return [reply.status, reply.body.code]
      }
      expect(await codeOf('user/fixed', text('blue'))).toEqual([403, 'property_read_only'])
      expect(await codeOf('user/unseen', text('blue'))).toEqual([404, 'not_found'])
      expect(await codeOf('user/number', text('6'))).toEqual([422, 'value_invalid'])
      const integer = (value: string) => ({ type: 'INTEGER', value })
      expect(await codeOf('user/number', integer('six'))).toEqual([422, 'value_invalid'])
      expect(await codeOf('user/new-one', integer('1.5'))).toEqual([422, 'value_invalid'])
      expect(await codeOf('user/new-one', text(''))).toEqual([400, 'validation_failed'])
      expect(await codeOf('user/new-one', { ...text('x'), cpFlags: 512 })).toEqual([
        400,
        'validation_failed',
      ])
      expect((await get(phone, 'user/number')).body).toMatchObject({ value: '5', version: 1 })
      expect((await get(phone, 'user/new-one')).status).toBe(404)
    })

    test('412 by the rules of cpFlags: 768 must name the version, 512 need not, 0 may', async () => {
      const codes = async (name: string) => {
        const tries = [undefined, '"7"', '"1"'].map((tag, index) => ({ tag, value: `v${index}` }))
        const seen: unknown[] = []
        for (const { tag, value } of tries) {
          seen.push((await put(phone, `user/${name}`, text(value), tag)).status)
        }
        return seen
      }
      await add({ name: 'server-wins', cpFlags: 768 })
      await add({ name: 'device-wins', cpFlags: 512 })
      await add({ name: 'no-copy', cpFlags: 0 })
      expect(await codes('server-wins')).toEqual([412, 412, 200])
      expect(await codes('device-wins')).toEqual([200, 200, 200])
      expect(await codes('no-copy')).toEqual([200, 412, 412])
      const stale = await put(phone, 'user/server-wins', text('x'), '"1"')
      expect(stale.body).toMatchObject({ code: 'version_conflict' })
      expect((await put(phone, 'user/was-deleted', text('x'), '"1"')).status).toBe(412)
      expect((await put(phone, 'user/no-copy', text('x'), '1')).status).toBe(400)
      expect((await put(phone, 'user/no-copy', text('x'), '*')).status).toBe(400)
    })

    test('exactly one of several with the same If-Match wins, the others are 412', async () => {
      await add({ name: 'contended', cpFlags: 768, notify: true })
      const replies = await Promise.all(
        [phone, tablet, phone, tablet, phone, tablet].map((device, index) =>
          put(device, 'user/contended', text(`value ${index}`), '"1"'),
        ),
      )
      const winners = replies.filter(({ status }) => status === 200)
      expect(winners).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 412)).toHaveLength(5)
      const { body } = await get(phone, 'user/contended')
      expect(body).toMatchObject({ version: 2, value: winners[0]?.body.value })
    })

    test('exactly one of several makes a new one, the others change it', async () => {
      const replies = await Promise.all(
        [phone, tablet, phone, tablet].map((device, index) =>
          put(device, 'user/made-at-once', text(`value ${index}`)),
        ),
      )
      expect(replies.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(3)
      expect((await get(phone, 'user/made-at-once')).body.version).toBe(4)
    })

    test('keeps sealed what is sealed', async () => {
      const { id } = await add({ name: 'secret-one', encryption: 'SERVER_SIDE_DB' })
      expect((await put(phone, 'user/secret-one', text('red'))).status).toBe(200)
      const { properties } = api.app.composed.storage.read
      expect((await properties.find('acme', id))?.stored).toHaveProperty('sealed')
      expect((await get(tablet, 'user/secret-one')).body.value).toBe('red')
    })
  })

  test('of a deleted user nothing is left, also nothing that a device was writing in that moment', async () => {
    const { id: deviceId, userId } = await enrolDevice(api)
    const { storage } = api.app.composed
    const tenantId = 'acme'
    const link = { tenantId, deviceId, userId }
    let deletion: Promise<void> | undefined
    await storage.transaction(async ({ deviceLinks, properties }) => {
      const { epoch = 0 } = (await deviceLinks.find(link)) ?? {}
      expect(await deviceLinks.hold(link, epoch)).toBe(true)
      deletion ??= api.app.core.users.delete(
        testCaller(tenantId, ['tenant:write']),
        tenantId,
        userId,
      )
      await setTimeout(150)
      const times = { createdAtMs: api.clock(), updatedAtMs: api.clock() }
      const head = { ...plainTraits, ...times, tenantId, userId, id: 'late', version: 1 }
      const stored = { text: 'blue', orderKey: null }
      await properties.insert({ ...head, deviceId: null, name: 'late', type: 'UTF8STRING', stored })
    })
    await deletion
    expect(await storage.read.properties.hasAsMany(tenantId, userId, 1)).toBe(false)
  })
})
