import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import {
  createOkmInstallation,
  type OkmInstallation,
  operationSamples,
  statusesOf,
} from './okm.fixture.ts'

/** The example of the contract. */
const draft = {
  endpoint_url: 'https://hooks.example.com/audit',
  start_time: '2022-12-25 12:33:30+05:30',
  fetch_limit: 100,
  read_interval: 60,
}
const badKey = {
  status: false,
  error_code: 'AUDIT_UNAUTHORIZED',
  error_msg: 'Missing/MisMatch API KEY',
}
const missing = {
  status: false,
  error_code: 'NOT_FOUND',
  error_msg: 'Subscription record not found',
}

describe.each(engines)('the audit subscription on %s', (engine) => {
  let okm: OkmInstallation
  let record: object

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  const call = (
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    key: string = okm.tokens.invu,
  ) => okm.call(method, `/audit${path}`, body, { token: '', headers: { 'api-key': key } })

  test.each(operationSamples.filter(({ schemes }) => schemes.includes('apiKey')))(
    '401 without a key that may subscribe: $operation.id',
    async ({ method, path }) => {
      const headers = { 'api-key': await okm.addAccount('invu', ['okms:write']) }
      const platform = { 'api-key': await okm.addAccount(null, ['audit:subscribe']) }
      for (const options of [
        { token: '' },
        { token: okm.tokens.invu },
        { token: '', headers: { 'api-key': 'wrong' } },
        { token: '', headers: { 'api-key': '' } },
        { token: '', headers },
        { token: '', headers: platform },
      ]) {
        const { status, body } = await okm.call(method, path, undefined, options)
        expect([status, body]).toEqual([401, badKey])
      }
    },
  )

  describe('createAuditSubscription', () => {
    test('201 once; a second one is 400, of another customer not', async () => {
      const { status, body } = await call('POST', '/subscribe', draft)
      expect(status).toBe(201)
      expect(body).toEqual({
        status: true,
        msg: 'Audit record subscribed successfully',
        data: {
          id: expect.any(Number),
          start_time: '2022-12-25T07:03:30.000Z',
          last_read_at: null,
          endpoint_url: draft.endpoint_url,
          fetch_limit: 100,
          read_interval: 60,
          status: 'active',
          createdAt: '2026-11-21T10:00:00.000Z',
          updatedAt: '2026-11-21T10:00:00.000Z',
        },
      })
      record = body.data
      const again = await call('POST', '/subscribe', draft)
      expect([again.status, again.body]).toEqual([
        400,
        {
          status: false,
          error_code: 'ALREADY_EXISTS',
          error_msg: 'Audit subscription already exists',
        },
      ])
      expect((await call('POST', '/subscribe', draft, okm.tokens.acme)).status).toBe(201)
    })

    test.each<[object, string, string]>([
      [{ fetch_limit: 0 }, 'fetch_limit', 'must be between 1 and 1000'],
      [{ fetch_limit: '100' }, 'fetch_limit', 'must be an integer'],
      [{ read_interval: 86_401 }, 'read_interval', 'must be between 1 and 86400'],
      [{ start_time: 'yesterday' }, 'start_time', 'must be a date and time as in ISO 8601'],
      [
        { start_time: '2022-02-30 00:00:00Z' },
        'start_time',
        'must be a date and time as in ISO 8601',
      ],
      [{ endpoint_url: 'hooks' }, 'endpoint_url', 'must be an absolute URI'],
      [{ endpoint_url: 'http://hooks.example.com/' }, 'endpoint_url', 'is outside the allow-list'],
      [{ endpoint_url: 'https://169.254.169.254/' }, 'endpoint_url', 'is outside the allow-list'],
      [{ endpoint_url: undefined }, 'endpoint_url', 'required'],
    ])('400 with %j', async (change, field, reason) => {
      const { status, body } = await call('POST', '/subscribe', { ...draft, ...change })
      expect([status, body]).toEqual([
        400,
        {
          status: false,
          error_code: 'VALIDATION_FAILED',
          error_msg: 'Validation failed for the request',
          errors: [{ field, reason }],
        },
      ])
    })
  })

  describe('getAuditSubscriptionStatus', () => {
    test('200 active', async () => {
      const { status, body } = await call('GET', '/subscription/status')
      expect([status, body]).toEqual([
        200,
        {
          status: true,
          msg: 'Audit subscription status fetched successfully',
          data: { status: 'active' },
        },
      ])
    })
  })

  describe('updateAuditSubscriptionStatus', () => {
    test('200 with the record in an array; once more changes nothing', async () => {
      okm.clock.advance(1000)
      const { status, body } = await call('PUT', '/subscription/pause')
      expect(status).toBe(200)
      expect(body).toEqual({
        status: true,
        msg: 'Subscription status updated successfully',
        data: [{ ...record, status: 'pause', updatedAt: '2026-11-21T10:00:01.000Z' }],
      })
      okm.clock.advance(1000)
      expect((await call('PUT', '/subscription/pause')).body).toEqual(body)
      expect((await call('GET', '/subscription/status')).body.data).toEqual({ status: 'pause' })
      const resumed = await call('PUT', '/subscription/resume')
      expect(resumed.body.data[0].status).toBe('active')
      const other = await call('GET', '/subscription/status', undefined, okm.tokens.acme)
      expect(other.body.data).toEqual({ status: 'active' })
    })

    test('400 for another action', async () => {
      const { status, body } = await call('PUT', '/subscription/stop')
      expect([status, body]).toEqual([
        400,
        {
          status: false,
          error_code: 'VALIDATION_FAILED',
          error_msg: 'Validation failed for the request',
          errors: [{ field: 'status', reason: 'must be pause or resume' }],
        },
      ])
    })
  })

  describe('removeAuditSubscription', () => {
    test('200 with what was removed, once; then 200 with nothing', async () => {
      const replies = await Promise.all(
        Array.from({ length: 5 }, () => call('DELETE', '/unsubscribe')),
      )
      expect(statusesOf(replies)).toEqual([200, 200, 200, 200, 200])
      const removed = replies.filter(({ body }) => body.data.length > 0)
      expect(removed.map(({ body }) => [body.msg, body.data[0].endpoint_url])).toEqual([
        ['Audit record unsubscribed successfully', draft.endpoint_url],
      ])
      expect((await call('DELETE', '/unsubscribe')).body).toEqual({
        status: true,
        msg: 'No audit subscription found',
        data: [],
      })
    })

    test('404 for whatever needs a subscription from then on; a new one can be made', async () => {
      for (const [method, path] of [
        ['GET', '/subscription/status'],
        ['PUT', '/subscription/pause'],
      ] as const) {
        const { status, body } = await call(method, path)
        expect([status, body]).toEqual([404, missing])
      }
      expect((await call('POST', '/subscribe', draft)).status).toBe(201)
    })
  })
})
