import { createHmac } from 'node:crypto'
import { writeAuditHeader } from '@countersign/protocol/cabinet/audit-header.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, refusal, testCaller, waitingRecords } from '#test/support/core.ts'
import { loopbackAllowed, startDispatcher, until } from '#test/support/delivery.ts'
import { type Received, type Receiver, startReceiver } from '#test/support/receiver.ts'
import { OutboundRule } from '../tenants/outbound-rule.ts'
import { SettingsService } from '../tenants/settings-service.ts'
import type { AuditBody } from './audit-service.ts'
import type { AuditEvent } from './audit-upload.ts'
import { defaultCabinetConfig, type JsonObject } from './cabinet.ts'
import {
  acme,
  benchParts,
  beta,
  type CabinetBench,
  cabinetDraft,
  createCabinetBench,
  device,
} from './cabinets.fixture.ts'

let bodyCount = 0

/** A body that no other test sends. */
function binary(eventCount = 3): AuditBody & { readonly bytes: Buffer } {
  const header = writeAuditHeader({ eventCount, address: '10.9.8.7' })
  const bytes = Buffer.concat([header, Buffer.from(`events ${++bodyCount} \u0000\xff`, 'latin1')])
  return { kind: 'binary', contentType: 'application/octet-stream', bytes }
}

function readable(count: number): AuditBody {
  const events = Array.from({ length: count }, () => ({ id: `e${++bodyCount}`, event: 'Checkout' }))
  const bytes = Buffer.from(JSON.stringify({ events }))
  return { kind: 'json', contentType: 'application/json', bytes, eventCount: count }
}

describe.each(engines)('audit records of key cabinets on %s', (engine) => {
  let bench: CabinetBench
  let receiver: Receiver
  let count = 0

  beforeAll(async () => {
    const core = await createCabinetBench({ engine })
    receiver = await startReceiver()
    const parts = benchParts(core.core, {
      outboundAllow: loopbackAllowed,
      auditDestinationUrl: `${receiver.url}/operator`,
    })
    bench = { ...core, ...parts }
  })
  afterAll(async () => {
    await receiver[Symbol.asyncDispose]()
    await bench[Symbol.asyncDispose]()
  })

  async function registered(
    subscribeUrls: JsonObject = {},
    config = defaultCabinetConfig,
  ): Promise<{ id: string; serial: string }> {
    const id = `audit ${++count}`.replace(' ', '-')
    const serial = `05FF-${engine}-${count}`
    const draft = cabinetDraft({ id, serial, subscribeUrls, config })
    await bench.services.cabinets.register(acme, 'acme', draft)
    return { id, serial }
  }

  const upload = (serial: string, body: AuditBody) =>
    bench.services.cabinetAudit.upload(device(serial), serial, body)

  /** Sends what waits until so many calls have come to paths that end so. */
  async function deliver(path: string, expected: number): Promise<readonly Received[]> {
    await using sending = startDispatcher(bench.core, bench.deliveryKinds)
    const found = () => receiver.received.filter((call) => call.path.endsWith(path))
    await until(() => found().length >= expected)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(sending.failures).toEqual([])
    return found()
  }

  test('an upload is forwarded as it came, once to each address, signed', async () => {
    const own = `${receiver.url}/own-${engine}`
    const { id, serial } = await registered({ audit: [own, own] })
    const body = binary(7)
    bench.core.clock.advance(5_000)
    await upload(serial.toLowerCase(), body)
    const [first, ...more] = await deliver(`/own-${engine}`, 1)
    expect(more).toEqual([])
    expect(first?.body).toEqual(body.bytes)
    expect(first?.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'x-okm-serial': serial,
      'x-okm-id': id,
      'x-okm-customer': 'acme',
      'x-okm-event-count': '7',
      'x-countersign-timestamp': String(bench.core.clock() / 1000),
    })
    const secret = await bench.core.settings.callbackSecretOf('acme')
    const mac = createHmac('sha256', Buffer.from(secret.replace('whsec_', ''), 'base64'))
      .update(`${first?.headers['x-countersign-timestamp']}.`)
      .update(body.bytes)
    expect(first?.headers['x-countersign-signature']).toBe(`sha256=${mac.digest('hex')}`)
    const operator = await deliver('/operator', 1)
    expect(operator.filter((call) => call.body.equals(body.bytes))).toHaveLength(1)
    const cabinet = await bench.services.cabinets.get(acme, 'acme', id)
    expect(cabinet.lastSyncAtMs).toBe(bench.core.clock())
  })

  test("a tenant's own destination replaces the operator's", async () => {
    const tenantUrl = `${receiver.url}/tenant-${engine}`
    const patch = { okm: { auditDestinationUrl: tenantUrl } }
    const outbound = new OutboundRule(loopbackAllowed)
    const settings = new SettingsService({ ...bench.core, outbound })
    const admin = testCaller('beta', ['tenant:write'])
    await settings.update(admin, 'beta', { patch })
    const serial = `05ee-${engine}`
    await bench.services.cabinets.register(beta, 'beta', cabinetDraft({ id: 'own', serial }))
    const body = binary()
    await upload(serial, body)
    await deliver(`/tenant-${engine}`, 1)
    const operator = receiver.received.filter(({ path }) => path.endsWith('/operator'))
    expect(operator.filter((call) => call.body.equals(body.bytes))).toEqual([])
  })

  test('of twenty equal uploads at once one is taken in; again after a day', async () => {
    const { serial } = await registered()
    const other = await registered()
    const body = binary()
    const before = await taken()
    await Promise.all(Array.from({ length: 20 }, () => upload(serial, body)))
    expect(await taken()).toBe(before + 1)
    await upload(serial.toLowerCase(), { ...body, contentType: 'application/x-other' })
    expect(await taken()).toBe(before + 1)
    await upload(other.serial, body)
    expect(await taken()).toBe(before + 2)
    bench.core.clock.advance(86_399_999)
    await upload(serial, body)
    expect(await taken()).toBe(before + 2)
    bench.core.clock.advance(1)
    await upload(serial, body)
    expect(await taken()).toBe(before + 3)
  })

  const taken = () => bench.core.storage.read.cabinets.tally.get('acme', 'event')

  test('what is cut off, unknown, unregistered or switched off is not taken in', async () => {
    const { serial } = await registered()
    const before = await taken()
    const short: AuditBody = { ...binary(), bytes: Buffer.alloc(27) }
    await expect(upload(serial, short)).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer: '/body', message: 'shorter than the 28-byte header' }],
    })
    await expect(upload('no-such', binary())).rejects.toThrow(refusal('cabinet_not_found'))
    const unclaimed = `05dd-${engine}`
    const urls = { configUrl: '/c', auditUrl: '/a', isBurntInPath: false, report: {} }
    await bench.services.cabinetPolls.poll(device(unclaimed), { serial: unclaimed, ...urls })
    await expect(upload(unclaimed, binary())).rejects.toThrow(refusal('cabinet_not_found'))
    const silent = await registered({}, { ...defaultCabinetConfig, auditEnabled: false })
    await upload(silent.serial, binary())
    const cabinet = await bench.services.cabinets.get(acme, 'acme', silent.id)
    expect(cabinet.lastSyncAtMs).toBe(bench.core.clock())
    expect(await taken()).toBe(before)
  })

  test('records of keys that name no cabinet go to the operator', async () => {
    const body = binary(2)
    await bench.services.cabinetAudit.uploadOfKeys(device('-'), body)
    await until(async () => {
      const calls = await deliver('/operator', 1)
      return calls.some((call) => call.body.equals(body.bytes))
    })
    const call = receiver.received.find(({ body: bytes }) => bytes.equals(body.bytes))
    expect(call?.headers['x-okm-serial']).toBe(undefined)
    expect(call?.headers['x-countersign-signature']).toMatch(/^sha256=[0-9a-f]{64}$/)
  })

  test('a poll tells the status addresses when, from where and with which firmware', async () => {
    const url = `${receiver.url}/status-${engine}`
    const { id, serial } = await registered({ status: [url] })
    const urls = { configUrl: '/c', auditUrl: '/a', isBurntInPath: false }
    const polls = ['1', '2', '3'].map((kasFirmware) => ({
      serial,
      ...urls,
      report: { kasFirmware },
    }))
    for (const request of polls) {
      bench.core.clock.advance(1_000)
      await bench.services.cabinetPolls.poll(device(serial), request)
    }
    const calls = await deliver(`/status-${engine}`, 3)
    const bodies = calls.map(({ body }) => JSON.parse(body.toString('utf8')) as unknown)
    const nowMs = bench.core.clock()
    expect(bodies).toEqual(
      ['1', '2', '3'].map((version, index) => ({
        id,
        serial,
        customer: 'acme',
        last_sync_time: new Date(nowMs - (2 - index) * 1_000).toISOString(),
        last_ip: '10.1.2.3',
        fw_version: version,
      })),
    )
  })

  describe('the audit subscription', () => {
    const draft = { startAtMs: 0, fetchLimit: 3, readIntervalSeconds: 10 }
    const eventsIn = (calls: readonly Received[]) =>
      calls.map(({ body }) => JSON.parse(body.toString('utf8')) as AuditEvent[])

    test('a tenant has one, which can be paused, resumed and removed', async () => {
      const { auditSubscriptions } = bench.services
      const endpointUrl = `${receiver.url}/one`
      const subscription = { ...draft, endpointUrl }
      const calls = Array.from({ length: 10 }, () =>
        auditSubscriptions.subscribe(acme, 'acme', subscription),
      )
      const outcomes = await Promise.allSettled(calls)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      const made = await auditSubscriptions.get(acme, 'acme')
      expect(made).toMatchObject({ ...subscription, status: 'ACTIVE', lastReadAtMs: null })
      expect(await auditSubscriptions.setStatus(acme, 'acme', 'PAUSED')).toMatchObject({
        id: made.id,
        status: 'PAUSED',
      })
      expect((await auditSubscriptions.setStatus(acme, 'acme', 'PAUSED')).status).toBe('PAUSED')
      expect((await auditSubscriptions.setStatus(acme, 'acme', 'ACTIVE')).status).toBe('ACTIVE')
      await expect(auditSubscriptions.get(beta, 'beta')).rejects.toThrow(
        refusal('subscription_not_found'),
      )
      expect((await auditSubscriptions.remove(acme, 'acme'))?.id).toBe(made.id)
      expect(await auditSubscriptions.remove(acme, 'acme')).toBe(undefined)
      const records = (await waitingRecords(bench.core, 'acme')).slice(-4)
      expect(records.map(({ action }) => action)).toEqual([
        'audit-subscription.created',
        'audit-subscription.paused',
        'audit-subscription.resumed',
        'audit-subscription.removed',
      ])
      await expect(
        auditSubscriptions.subscribe(acme, 'acme', { ...subscription, fetchLimit: 1001 }),
      ).rejects.toMatchObject({ faults: [{ pointer: '/fetch_limit' }] })
      await expect(
        auditSubscriptions.subscribe(acme, 'acme', { ...subscription, endpointUrl: 'ftp://x/' }),
      ).rejects.toThrow(refusal('url_not_allowed'))
    })

    test('events come in order, so many at a time, every so many seconds, each once', async () => {
      const path = `/feed-${engine}`
      const { auditSubscriptions } = bench.services
      const { serial } = await registered()
      await upload(serial, readable(1))
      bench.core.clock.advance(1_000)
      const endpointUrl = receiver.url + path
      const startAtMs = bench.core.clock()
      await auditSubscriptions.subscribe(acme, 'acme', { ...draft, endpointUrl, startAtMs })
      const firstId = bodyCount + 1
      await upload(serial, readable(2))
      const raw = binary(9)
      await upload(serial, raw)
      await upload(serial, readable(4))
      for (let batch = 1; batch <= 3; batch++) {
        await bench.eventFeed.run()
        await deliver(path, batch)
        await bench.eventFeed.run()
        bench.core.clock.advance(10_000)
      }
      await bench.eventFeed.run()
      const batches = eventsIn(await deliver(path, 3))
      expect(batches.map((events) => events.length)).toEqual([3, 3, 1])
      const events = batches.flat()
      expect(events.map(({ id }) => id).filter((id) => String(id).startsWith('e'))).toEqual(
        [0, 1, 3, 4, 5, 6].map((offset) => `e${firstId + offset}`),
      )
      expect(events[2]).toMatchObject({
        domain: 'KasEvent',
        event: 'AuditUpload',
        id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00$/),
        data: { serial, event_count: 9, ip: '10.9.8.7', raw_base64: raw.bytes.toString('base64') },
      })
      await auditSubscriptions.remove(acme, 'acme')
    })

    test('nothing is lost while it is paused or its receiver is away', async () => {
      const path = `/away-${engine}`
      const { auditSubscriptions } = bench.services
      const { serial } = await registered()
      const startAtMs = bench.core.clock() + 1
      bench.core.clock.advance(1)
      const endpointUrl = receiver.url + path
      await auditSubscriptions.subscribe(acme, 'acme', { ...draft, endpointUrl, startAtMs })
      await auditSubscriptions.setStatus(acme, 'acme', 'PAUSED')
      const firstId = bodyCount + 1
      await upload(serial, readable(2))
      await bench.eventFeed.run()
      await auditSubscriptions.setStatus(acme, 'acme', 'ACTIVE')
      receiver.answerWith(500)
      await bench.eventFeed.run()
      await deliver(path, 1)
      await auditSubscriptions.setStatus(acme, 'acme', 'PAUSED')
      bench.core.clock.advance(60_000)
      {
        // The batch that was under way is dropped: the subscription remembers where it stands.
        await using _ = startDispatcher(bench.core, bench.deliveryKinds)
        await until(async () => {
          const reading = await bench.core.storage.read.cabinets.subscriptions.find('acme')
          return reading !== undefined && reading.batchEnd === undefined
        })
      }
      receiver.answerWith(204)
      await auditSubscriptions.setStatus(acme, 'acme', 'ACTIVE')
      await bench.eventFeed.run()
      const batches = eventsIn(await deliver(path, 2))
      expect(batches.at(-1)?.map(({ id }) => id)).toEqual([`e${firstId}`, `e${firstId + 1}`])
      await auditSubscriptions.remove(acme, 'acme')
    })
  })

  test('uploads and marks of repeats go when their time is over', async () => {
    const { serial } = await registered()
    await upload(serial, binary())
    const { uploads } = bench.core.storage.read.cabinets
    expect(await uploads.findFirstSince('acme', bench.core.clock())).toBeDefined()
    bench.core.clock.advance(3 * 86_400_000)
    await bench.uploadExpiry.removeUploads('acme', 3)
    expect(await uploads.findFirstSince('acme', 0)).toBeDefined()
    await bench.uploadExpiry.removeUploads('acme', 1)
    expect(await uploads.findFirstSince('acme', 0)).toBe(undefined)
    await bench.uploadExpiry.removeSeen()
    const left = await bench.core.storage.transaction(({ cabinets }) =>
      cabinets.uploads.removeSeen(Number.MAX_SAFE_INTEGER, 500),
    )
    expect(left).toBe(0)
  })
})
