import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApprovalDraft } from '#domain/approvals/approval-draft.ts'
import { engines, type TestEngine, testCaller, testMasterKeyBytes } from '#test/support/core.ts'
import { openTestStream, type StreamOptions, type TestStream } from '#test/support/event-stream.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import { addTestUser, createCode, enrolDevice, type TestDevice } from '#test/support/test-device.ts'

const backend = testCaller('acme', ['tenant:write', 'verify'])

describe.each(engines)('on %s', (engine: TestEngine) => {
  let api: PlatformApi
  let drop = async (): Promise<void> => {}

  beforeAll(async () => {
    let env = {}
    if (engine === 'postgres') {
      const database = await createTestDatabase()
      drop = database.drop
      env = {
        COUNTERSIGN_DATABASE_URL: database.url,
        COUNTERSIGN_MASTER_KEY: Buffer.from(testMasterKeyBytes).toString('base64'),
      }
    }
    api = await createPlatformApi(env)
    await api.createTenant('acme')
    await api.createTenant('shop')
  })
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]()
    await drop()
  })

  async function newDevice(userId: string | null = null): Promise<TestDevice> {
    const device = await enrolDevice(api, { userId }, userId === null ? undefined : { pin: '1234' })
    await device.login({ pin: '1234' })
    return device
  }

  async function ask(device: TestDevice, draft: Partial<ApprovalDraft> = {}): Promise<string> {
    const user = { id: device.userId }
    const { id } = await api.app.core.approvals.create(backend, 'acme', {
      user,
      text: '500,00 EUR to Max Muster',
      ...draft,
    })
    return id
  }

  const cancel = (id: string) => api.app.core.approvals.cancel(backend, 'acme', id)
  const open = (device: TestDevice, options?: StreamOptions): Promise<TestStream> =>
    openTestStream(api.origin, device, options)

  describe('streamEvents', () => {
    test('200: what waits is replayed, what comes is told, each once and in order', async () => {
      const device = await newDevice()
      const waiting = await ask(device)
      using stream = await open(device)
      expect(stream.status).toBe(200)
      expect(stream.headers['content-type']).toMatch(/^text\/event-stream/)
      expect(stream.headers['cache-control']).toBe('no-store, no-transform')
      await stream.until(({ events }) => events.length === 1)
      expect(stream.text).toMatch(/^retry: 3000\n\nid: /)
      const message = await ask(device, { kind: 'MESSAGE' })
      await stream.until(({ events }) => events.length === 2)
      await cancel(waiting)
      await stream.until(({ events }) => events.length === 3)
      expect(stream.types).toEqual([
        'approval.available',
        'message.available',
        'approval.cancelled',
      ])
      expect(stream.events[0]?.data).toMatchObject({ id: waiting, data: { approvalId: waiting } })
      expect(stream.events[1]?.data.data.approvalId).toBe(message)
      expect(stream.events[2]?.data.data).toEqual({ approvalId: waiting, reason: 'cancelled' })
      expect(stream.events.map(({ id }) => id)).toEqual(stream.ids)
    })

    test('200 after a position: what came since, with what waits; never back, without a position nothing old', async () => {
      const device = await newDevice()
      const gone = await ask(device)
      const waiting = await ask(device)
      await cancel(gone)
      using first = await open(device)
      await first.until(({ events }) => events.length === 1)
      expect(first.ids).toEqual([waiting])
      const later = await ask(device)
      await cancel(later)
      await first.until(({ types }) => types.includes('approval.cancelled'))
      const cancelled = first.events.find(({ event }) => event === 'approval.cancelled')
      // Nobody listens any more.
      first[Symbol.dispose]()
      const missed = await ask(device)
      await cancel(missed)

      using again = await open(device, { lastEventId: cancelled?.id ?? '' })
      await again.until(({ events }) =>
        events.some(
          ({ data }) => data.type === 'approval.cancelled' && data.data.approvalId === missed,
        ),
      )
      expect(again.events[0]?.data.id).toBe(waiting)
      expect(again.events[0]?.id).toBeUndefined()
      const withId = again.events.filter(({ id }) => id !== undefined)
      expect(withId.map(({ data }) => data.data.approvalId)).toEqual([missed])
    })

    test('200: a position that nobody knows, or of another device, counts as none', async () => {
      const device = await newDevice()
      const other = await newDevice()
      const theirs = await ask(other)
      const gone = await ask(device)
      await cancel(gone)
      const waiting = await ask(device)
      for (const lastEventId of [
        theirs,
        '01M7YRRT808A9NYTDXX0X5X0P4',
        '01KS51D0WT0000000000000EV2',
      ]) {
        using stream = await open(device, { lastEventId })
        await stream.until(({ events }) => events.length > 0)
        expect(stream.ids).toEqual([waiting])
        expect(stream.events[0]?.id).toBe(waiting)
      }
    })

    test('another user of the same device, another device and another tenant are told nothing', async () => {
      const device = await newDevice()
      const sibling = await newDevice(device.userId)
      const stranger = await newDevice()
      const shared = await newDevice()
      await shared.link(await createCode(api, 'acme', device.userId), { pin: '1234' })
      using quiet = await open(shared)
      using strange = await open(stranger)
      using own = await open(device)
      using twin = await open(sibling)
      const forOne = await ask(device, { devices: { deviceIds: [device.id] } })
      await own.until(({ ids }) => ids.includes(forOne))
      const forShared = await ask(shared)
      await quiet.until(({ ids }) => ids.includes(forShared))
      const forStranger = await ask(stranger)
      await strange.until(({ ids }) => ids.includes(forStranger))
      await cancel(forOne)
      await own.until(({ types }) => types.includes('approval.cancelled'))
      const forBoth = await ask(device)
      await twin.until(({ ids }) => ids.includes(forBoth))
      expect(twin.ids).toEqual([forBoth])
      expect(quiet.ids).toEqual([forShared])
      expect(strange.ids).toEqual([forStranger])
    })

    test('a user of the same id in another tenant is told what is of that tenant, and nothing else', async () => {
      const device = await newDevice()
      const { userId } = device
      await addTestUser(api, 'shop', userId)
      const foreign = await enrolDevice(api, { tenantId: 'shop', userId }, { pin: '1234' })
      await foreign.login({ pin: '1234' })
      const waiting = await ask(device)
      // A position in the other tenant's stream is none here.
      using theirs = await open(foreign, { lastEventId: waiting })
      using ours = await open(device)
      await ours.until(({ ids }) => ids.includes(waiting))
      const later = await ask(device)
      await cancel(waiting)
      const shop = testCaller('shop', ['tenant:write', 'verify'])
      const draft = { user: { id: userId }, text: 'Of the shop' }
      const { id } = await api.app.core.approvals.create(shop, 'shop', draft)
      await theirs.until(({ ids }) => ids.includes(id))
      await ours.until(({ types }) => types.includes('approval.cancelled'))
      expect(theirs.ids).toEqual([id])
      expect(ours.ids).not.toContain(id)
      expect(ours.ids).toContain(later)
      const listed = await foreign.call('GET /approvals')
      expect(listed.body.map((one: { approvalId: string }) => one.approvalId)).toEqual([id])
      for (const ofOurs of [waiting, later]) {
        expect((await foreign.retrieve(ofOurs)).status).toBe(404)
      }
    })

    test('a lock is told and ends the stream; afterwards what waits is replayed, the lock is not', async () => {
      const device = await newDevice()
      const waiting = await ask(device)
      using stream = await open(device)
      await stream.until(({ ids }) => ids.includes(waiting))
      const { devices } = api.app.core
      await devices.lock(backend, 'acme', { id: device.id, reason: 'Lost phone' })
      await stream.ended()
      expect(stream.events.at(-1)?.data).toMatchObject({
        type: 'client.locked',
        data: { lockReason: 'Lost phone' },
      })
      expect((await open(device)).status).toBe(403)
      await devices.unlock(backend, 'acme', device.id)
      await device.login({ pin: '1234' })
      using again = await open(device, { lastEventId: waiting })
      const later = await ask(device)
      await again.until(({ ids }) => ids.includes(later))
      expect(again.ids).toEqual([waiting, later])
    })

    test.each([
      ['disconnected', 'backend'],
      ['unlinked', 'unlinked'],
      ['deleted', 'deleted'],
    ] as const)('a device that is %s is told so, and its stream ends', async (how, reason) => {
      const device = await newDevice()
      using stream = await open(device)
      await stream.until(({ text }) => text.startsWith('retry'))
      if (how === 'disconnected') await api.app.core.devices.disconnect(backend, 'acme', device.id)
      else if (how === 'deleted') await device.call('DELETE /device')
      else expect((await device.call(`DELETE /links/${device.userId}`)).status).toBe(204)
      await stream.ended()
      expect(stream.events.map(({ data }) => [data.type, data.data])).toEqual([
        ['client.disconnect', { reason }],
      ])
    })

    test('a stream outlives its token, and ends when its user is disabled: at a heartbeat, without a word', async () => {
      const device = await newDevice()
      using stream = await open(device)
      api.clock.advance(301_000)
      await beatAll(api)
      await stream.until(({ text }) => text.includes(': hb\n\n'))
      const waiting = await ask(device)
      await stream.until(({ ids }) => ids.includes(waiting))
      await api.app.core.users.update(testCaller('acme', ['tenant:write']), 'acme', device.userId, {
        status: 'DISABLED',
      })
      await beatAll(api)
      await stream.ended()
      expect(stream.ids).toEqual([waiting])
    })

    test('heartbeats while a stream is being opened do not end it', async () => {
      const device = await newDevice()
      const waiting = await ask(device)
      let isOpen = false
      const opening = open(device).finally(() => {
        isOpen = true
      })
      while (!isOpen) {
        await beatAll(api)
        await new Promise((resolve) => setImmediate(resolve))
      }
      using stream = await opening
      await stream.until(({ ids }) => ids.includes(waiting))
      expect(stream.isEnded).toBe(false)
    })

    test('a stream ends after an hour', async () => {
      const device = await newDevice()
      using stream = await open(device)
      api.clock.advance(3_599_000)
      await beatAll(api)
      await stream.until(({ text }) => text.includes(': hb'))
      api.clock.advance(1_000)
      await beatAll(api)
      await stream.ended()
    })

    test('a wake-up that was lost costs three heartbeats', async () => {
      const device = await newDevice()
      using stream = await open(device)
      const nowMs = api.clock()
      await api.app.composed.storage.transaction(({ deviceEvents }) =>
        deviceEvents.append(
          { tenantId: 'acme', deviceId: device.id },
          {
            id: api.app.composed.nextId(),
            userId: device.userId,
            type: 'property.changed',
            data: { owner: 'user', name: 'limit', change: 'updated', version: 2 },
            createdAtMs: nowMs,
          },
        ),
      )
      for (let beats = 0; beats < 3; beats++) await beatAll(api)
      await stream.until(({ types }) => types.includes('property.changed'))
    })

    test('a third stream of a user on a device ends the oldest', async () => {
      const device = await newDevice()
      using first = await open(device)
      using second = await open(device)
      using third = await open(device)
      await first.ended()
      const waiting = await ask(device)
      await second.until(({ ids }) => ids.includes(waiting))
      await third.until(({ ids }) => ids.includes(waiting))
    })

    test('406 for whoever takes no event stream, 400 for a position that is none, 401 for a void token', async () => {
      const device = await newDevice()
      expect((await open(device, { headers: { accept: 'application/json' } })).status).toBe(406)
      expect((await open(device, { lastEventId: '17' })).status).toBe(400)
      device.accessToken = 'A'.repeat(43)
      expect((await open(device)).status).toBe(401)
    })
  })

  describe('pollEvents', () => {
    const poll = (device: TestDevice, query = '') => device.call(`GET /events/poll${query}`)

    test('200 with the replay; after a position also with what came since', async () => {
      const device = await newDevice()
      expect((await poll(device)).body).toEqual({ events: [], more: false })
      const waiting = await ask(device)
      const gone = await ask(device)
      expect((await poll(device)).body.events).toMatchObject([{ id: waiting }, { id: gone }])
      await cancel(gone)
      const { body } = await poll(device, `?after=${gone}`)
      expect(body.events).toMatchObject([
        { id: waiting, type: 'approval.available' },
        { type: 'approval.cancelled', data: { approvalId: gone, reason: 'cancelled' } },
      ])
      expect((await poll(device)).body.events).toMatchObject([{ id: waiting }])
    })

    test('200: held while nothing is new, answered as soon as something comes', async () => {
      const device = await newDevice()
      const waiting = await ask(device)
      const held = poll(device, `?after=${waiting}&waitSeconds=25`)
      await expect.poll(() => api.app.core.eventFeed.count).toBeGreaterThan(0)
      const later = await ask(device)
      expect((await held).body.events).toMatchObject([{ id: waiting }, { id: later }])
      expect((await poll(device, `?after=${later}&waitSeconds=1`)).body.events).toHaveLength(2)
    })

    test('200: a lock is told to a poll that is held; then 403', async () => {
      const device = await newDevice()
      const held = poll(device, '?waitSeconds=25')
      await expect.poll(() => api.app.core.eventFeed.count).toBeGreaterThan(0)
      await api.app.core.devices.lock(backend, 'acme', { id: device.id, reason: null })
      expect((await held).body).toMatchObject({ events: [{ type: 'client.locked' }], more: false })
      expect((await poll(device)).status).toBe(403)
    })

    test('200: hundreds of events come in pages, none twice after a position, none left out', async () => {
      const device = await newDevice()
      const waiting = await ask(device)
      const place = { tenantId: 'acme', deviceId: device.id }
      const ids: string[] = []
      await api.app.composed.storage.transaction(async ({ deviceEvents }) => {
        ids.length = 0
        for (let version = 1; version <= 330; version++) {
          const id = api.app.composed.nextId()
          const data = { owner: 'user', name: 'limit', change: 'updated', version }
          const event = { id, userId: device.userId, type: 'property.changed', data }
          await deviceEvents.append(place, { ...event, createdAtMs: api.clock() })
          ids.push(id)
        }
      })
      const seen = new Set<string>()
      let position = waiting
      for (let more = true, pages = 0; more; pages++) {
        expect(pages).toBeLessThan(20)
        const { status, body } = await poll(device, `?after=${position}`)
        expect(status).toBe(200)
        for (const { id } of body.events) {
          seen.add(id)
          if (id > position) position = id
        }
        more = body.more
      }
      expect([...seen].filter((id) => id !== waiting)).toEqual(ids)

      using stream = await open(device, { lastEventId: waiting })
      await stream.until(({ events }) => events.length >= 331)
      expect(new Set(stream.ids)).toEqual(new Set([waiting, ...ids]))
    })

    test('400 for a wait that is too long', async () => {
      expect((await poll(await newDevice(), '?waitSeconds=26')).status).toBe(400)
    })
  })
})

/** One heartbeat for all streams: the timer's work, without waiting for it. */
async function beatAll({ app }: PlatformApi): Promise<void> {
  for (let slot = 0; slot < 100; slot++) app.core.eventFeed.beat()
}
