import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { TestCabinet } from './cabinet.fixture.ts'
import { createOkmInstallation, type OkmInstallation, statusesOf } from './okm.fixture.ts'

const day = 86_400_000
const destination = 'https://siem.example.com/okm'
const hooks = ['https://hooks.example.com/a', 'https://hooks.example.com/b']
/** The example of the contract. */
const event = {
  id: '003b2c62-d4e8-0033-0007-4be538e39261',
  eventTime: '2023-01-20 18:05:45+05:30',
  domain: 'KeyEvent',
  event: 'Checkout',
  data: { keySN: '0000041100000001', userID: 1001, okmSN: '0203cc1fc4123456' },
  result: 'success',
  errorCode: null,
  operator: { id: '1', fullname: 'Test User' },
  UserFullName: 'Test User',
}
const bytes = (fill: number, length = 60) => Buffer.alloc(length, fill)

describe.each(engines)('audit uploads on %s', (engine) => {
  let okm: OkmInstallation

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine, auditDestinationUrl: destination })
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  const register = async (id: string, more: object = {}, customer: 'invu' | 'acme' = 'invu') => {
    const body = { id, serial: `serial-${id}`, customer, subscribe_urls: { audit: hooks }, ...more }
    const { status } = await okm.call('POST', '/okms', body, { token: okm.tokens[customer] })
    if (status !== 201) throw new Error(`${id} was answered ${status}`)
  }
  const post = (id: string, body: unknown, headers: Record<string, string> = {}) =>
    okm.device('POST', `/audit/serial-${id}`, body, { headers })
  /** How many more forwards wait after the work. */
  const forwarded = async (work: () => Promise<unknown>, tenantId = 'invu') => {
    const before = (await okm.waiting(tenantId)).length
    await work()
    return (await okm.waiting(tenantId)).slice(before).map(({ target }) => target)
  }
  const syncOf = async (id: string) =>
    (await okm.call('GET', `/okms/${id}`)).body.data.okm.last_sync_time

  describe('uploadAuditRecords', () => {
    test('204 and empty; kept for everybody who is to get it, and the time of the call is known', async () => {
      await register('first')
      okm.clock.advance(1000)
      const targets = await forwarded(async () => {
        const { status, text } = await post('first', bytes(1))
        expect([status, text]).toEqual([204, ''])
      })
      expect(targets).toHaveLength(3)
      expect(await syncOf('first')).toBe(new Date(okm.clock()).toISOString())
      expect((await okm.call('GET', '/okms/first')).body.data.okm.fw_version).toBeNull()
    })

    test('204 for equal bytes within a day, passed on once; again after it; per serial', async () => {
      await register('repeat')
      await register('repeat2')
      expect(await forwarded(() => post('repeat', bytes(2)))).toHaveLength(3)
      expect(await forwarded(() => okm.device('POST', '/audit/SERIAL-REPEAT', bytes(2)))).toEqual(
        [],
      )
      expect(await forwarded(() => post('repeat2', bytes(2)))).toHaveLength(3)
      okm.clock.advance(day + 1)
      expect(await forwarded(() => post('repeat', bytes(2)))).toHaveLength(3)
    })

    test('R4: passed on once when equal bytes come ten times at once', async () => {
      await register('raced')
      const targets = await forwarded(async () => {
        const replies = await Promise.all(Array.from({ length: 10 }, () => post('raced', bytes(3))))
        expect(statusesOf(replies)).toEqual(Array(10).fill(204))
      })
      expect(targets).toHaveLength(3)
    })

    test('204 without Content-Type, and with readable events', async () => {
      await register('kinds')
      const { statusCode } = await okm.app.inject({
        method: 'POST',
        url: '/okm/api/v1/audit/serial-kinds',
        payload: bytes(5),
      })
      expect(statusCode).toBe(204)
      const events = await forwarded(() => post('kinds', { events: [event, event] }))
      expect(events).toHaveLength(3)
    })

    test('204 and not passed on while audit is off; the time of the call is known', async () => {
      await register('off', { config: { audit_enabled: false } })
      okm.clock.advance(1000)
      expect(await forwarded(() => post('off', bytes(6)))).toEqual([])
      expect(await syncOf('off')).toBe(new Date(okm.clock()).toISOString())
    })

    test('404 for a serial that nobody registered, and for one that only called', async () => {
      await okm.device('GET', '/config/serial-unclaimed')
      for (const id of ['nowhere', 'unclaimed']) {
        const { status, body } = await post(id, bytes(7))
        expect([status, body]).toEqual([
          404,
          { error_code: 'NOT_FOUND', error_msg: `OKM with serial serial-${id} not found` },
        ])
      }
    })

    test.each([0, 1, 27])('400 for %i bytes', async (length) => {
      const { status, body } = await post('first', bytes(8, length))
      expect([status, body.errors]).toEqual([
        400,
        [
          {
            field: 'body',
            reason: length === 0 ? 'The body is empty.' : 'shorter than the 28-byte header',
          },
        ],
      ])
    })

    test('204 for the header alone and for 1 MiB; 413 for one byte more', async () => {
      expect((await post('first', bytes(9, 28))).status).toBe(204)
      expect((await post('first', bytes(9, 1_048_576))).status).toBe(204)
      const { status, body } = await post('first', bytes(9, 1_048_577))
      expect([status, body]).toEqual([
        413,
        { error_code: 'PAYLOAD_TOO_LARGE', error_msg: 'Payload too large' },
      ])
    })

    test('415 for text; nothing is passed on', async () => {
      const targets = await forwarded(async () => {
        const { status, body } = await post('first', 'x'.repeat(40), {
          'content-type': 'text/plain',
        })
        expect([status, body.error_code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
      })
      expect(targets).toEqual([])
    })

    test.each<[unknown, string]>([
      [{}, 'events'],
      [{ events: [] }, 'events'],
      [{ events: Array(1001).fill(event) }, 'events'],
      [{ events: [{ ...event, id: 'x' }] }, 'events[0].id'],
      [{ events: [{ ...event, domain: undefined }] }, 'events[0].domain'],
      ['{"events":[],"events":[]}', 'body'],
      ['{"events":', 'body'],
    ])('400 for events that do not fit: %#', async (body, field) => {
      const targets = await forwarded(async () => {
        const answer = await post('first', body)
        expect([answer.status, answer.body.errors[0].field]).toEqual([400, field])
      })
      expect(targets).toEqual([])
    })

    test('two customers with equal bytes and ids: each gets its own', async () => {
      await register('same')
      const mine = { subscribe_urls: { audit: ['https://acme.example.com/'] }, serial: 'same-acme' }
      await register('same', mine, 'acme')
      expect(await forwarded(() => post('same', bytes(10)))).toHaveLength(3)
      const acme = () => okm.device('POST', '/audit/same-acme', bytes(10))
      expect(await forwarded(acme, 'acme')).toHaveLength(2)
      expect(await forwarded(acme)).toEqual([])
    })
  })

  describe('uploadAuditRecordsLegacy', () => {
    test('200 with the address that is to be used; the cabinet sends there, and nothing twice', async () => {
      await register('burnt')
      const cabinet = new TestCabinet(okm, 'serial-burnt')
      const targets = await forwarded(async () => {
        const { status, body } = await cabinet.upload(bytes(11))
        expect([status, body]).toEqual([200, { auditUrl: '/okm/api/v1/audit' }])
        expect((await cabinet.upload(bytes(11))).status).toBe(204)
      })
      expect([targets.length, cabinet.auditPath]).toEqual([3, '/okm/api/v1/audit'])
    })

    test('404 for a serial that nobody registered; 415 for readable events; 400 when it is cut off', async () => {
      const send = (serial: string, body: unknown) =>
        okm.device('POST', `/embeddedv1/audit/kas/${serial}`, body, { base: '' })
      expect((await send('nowhere', bytes(12))).status).toBe(404)
      expect((await send('serial-burnt', { events: [event] })).status).toBe(415)
      expect((await send('serial-burnt', bytes(12, 27))).status).toBe(400)
    })
  })

  describe('uploadLoraKeyAuditRecords', () => {
    test('204: for the destination of the operator, of no customer', async () => {
      const send = () => okm.device('POST', '/embeddedv1/audit/key', bytes(13), { base: '' })
      expect(await forwarded(send)).toEqual([])
      const platform = await forwarded(
        async () => expect((await send()).status).toBe(204),
        '_platform',
      )
      expect(platform).toHaveLength(1)
      const short = await okm.device('POST', '/embeddedv1/audit/key', bytes(13, 5), { base: '' })
      expect(short.status).toBe(400)
    })
  })
})
