import { Webhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { until } from '#test/support/delivery.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { type Received, type Receiver, startReceiver } from '#test/support/receiver.ts'

let api: PlatformApi
let admin: string
let reader: string
let stranger: string
let receiver: Receiver
const path = '/api/v1/tenants/acme/webhook-endpoints'
const ulid = expect.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
const missingId = '01M7YRRT80PZV8SFY9HJ8VX87P'

beforeAll(async () => {
  api = await createPlatformApi({ COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8' })
  for (const id of ['acme', 'other']) await api.createTenant(id)
  admin = await api.createAccount('acme', ['tenant:write'])
  reader = await api.createAccount('acme', ['tenant:read'])
  stranger = await api.createAccount('other', ['tenant:write'])
})
afterAll(() => api[Symbol.asyncDispose]())
beforeEach(async () => {
  receiver = await startReceiver()
})
afterEach(async () => {
  const { body } = await api.call(`GET ${path}?limit=200`, { as: admin })
  for (const { id } of body.items) await api.call(`DELETE ${path}/${id}`, { as: admin })
  await receiver[Symbol.asyncDispose]()
})

const create = (changes: object = {}, headers: Record<string, string> = {}) =>
  api.call(`POST ${path}`, { as: admin, headers, body: { url: receiver.url, ...changes } })
/** One that hears of new users only: checkpoints come whenever they like. */
async function created(changes: object = {}): Promise<{ id: string; secret: string }> {
  const { status, body } = await create({ eventTypes: ['user.created'], ...changes })
  expect(status).toBe(201)
  return { id: body.endpoint.id, secret: body.secret }
}
const get = (id: string) => api.call(`GET ${path}/${id}`, { as: admin })
const patch = (id: string, body: object) => api.call(`PATCH ${path}/${id}`, { as: admin, body })
const sendTest = (id: string, headers: Record<string, string> = {}) =>
  api.call(`POST ${path}/${id}/test`, { as: admin, headers })
const delivery = (id: string, deliveryId: string) =>
  api.call(`GET ${path}/${id}/deliveries/${deliveryId}`, { as: admin })
const redeliver = (id: string, deliveryId: string) =>
  api.call(`POST ${path}/${id}/deliveries/${deliveryId}/redeliver`, { as: admin })
async function ended(id: string, deliveryId: string): Promise<Json> {
  let body: Json
  await until(async () => {
    body = (await delivery(id, deliveryId)).body
    return body.status !== 'PENDING'
  })
  return body
}
/** Has the delivery tried again until it is over. */
async function exhausted(id: string, deliveryId: string): Promise<Json> {
  let body: Json
  let attemptCount = 0
  await until(async () => {
    body = (await delivery(id, deliveryId)).body
    if (body.status !== 'PENDING') return true
    if (body.attempts.length > attemptCount) api.clock.set(Date.parse(body.nextAttemptAt))
    attemptCount = body.attempts.length
    return false
  }, 15_000)
  return body
}
const createUser = (id: string) =>
  api.call('POST /api/v1/tenants/acme/users', { as: admin, body: { id, loginName: id } })
/** As a receiver checks it with the library of Standard Webhooks; its clock is the real one. */
function verify(secret: string, { headers, body }: Received): Json {
  const sentAtSeconds = Number(headers['webhook-timestamp'])
  expect(sentAtSeconds * 1000).toBeLessThanOrEqual(api.clock())
  const realNow = Date.now
  Date.now = () => sentAtSeconds * 1000
  try {
    return new Webhook(secret).verify(body.toString(), headers)
  } finally {
    Date.now = realNow
  }
}

describe('createWebhookEndpoint', () => {
  test('201 with a secret that is told once', async () => {
    const { status, headers, body } = await create({ eventTypes: ['user.created'] })
    expect(status).toBe(201)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers.location).toBe(`${path}/${body.endpoint.id}`)
    const now = new Date(api.clock()).toISOString()
    expect(body).toEqual({
      endpoint: {
        id: ulid,
        url: receiver.url,
        description: '',
        eventTypes: ['user.created'],
        enabled: true,
        disabledReason: null,
        createdAt: now,
        updatedAt: now,
        secretRotatedAt: now,
      },
      secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
    })
    expect((await get(body.endpoint.id)).body).toEqual(body.endpoint)
  })

  test('201 with all event types and the given secret; disabled by the ADMINISTRATOR if asked', async () => {
    const secret = 'whsec_Y291bnRlcnNpZ24td2ViaG9vay10ZXN0LXZlY3RvciE='
    const { body } = await create({ secret, enabled: false, description: 'x' })
    expect(body.secret).toBe(secret)
    expect(body.endpoint).toMatchObject({ enabled: false, disabledReason: 'ADMINISTRATOR' })
    expect(body.endpoint.eventTypes).toHaveLength(23)
  })

  test('201 again without the secret for the same Idempotency-Key', async () => {
    const [first, second] = [
      await create({}, { 'idempotency-key': 'w1' }),
      await create({}, { 'idempotency-key': 'w1' }),
    ]
    expect(second.headers['idempotency-replayed']).toBe('true')
    expect(second.body).toEqual({ endpoint: first.body.endpoint })
  })

  test.each([
    'https://169.254.169.254/latest/meta-data',
    'https://10.0.0.1/',
    'http://hooks.acme.example/',
    'https://[::ffff:10.0.0.1]/',
    'https://user:secret@hooks.acme.example/',
  ])('400 url_not_allowed for %s', async (url) => {
    const { status, body } = await create({ url })
    expect([status, body.code, body.errors[0].pointer]).toEqual([400, 'url_not_allowed', '/url'])
  })

  test('400 url_not_allowed outside settings.callbacks.allowedOrigins', async () => {
    const settings = '/api/v1/tenants/acme/settings'
    const change = (allowedOrigins: string[]) =>
      api.call(`PATCH ${settings}`, { as: admin, body: { callbacks: { allowedOrigins } } })
    await change(['https://*.acme.example'])
    const outside = await create({ url: 'https://hooks.other.example/' })
    const inside = await create({ url: 'https://hooks.acme.example/' })
    await change([])
    expect([outside.status, outside.body.code, inside.status]).toEqual([
      400,
      'url_not_allowed',
      201,
    ])
  })

  test('400 validation_failed for a secret that is no canonical base64', async () => {
    const { status, body } = await create({
      secret: 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=',
    })
    expect([status, body.code, body.errors[0].pointer]).toEqual([
      400,
      'validation_failed',
      '/secret',
    ])
  })

  test('409 limit_reached at 50 endpoints', async () => {
    for (let count = 0; count < 50; count++) await created()
    const { status, body } = await create()
    expect([status, body.code]).toEqual([409, 'limit_reached'])
  })

  test('403 without tenant:write, 404 for another tenant', async () => {
    const body = { url: receiver.url }
    expect((await api.call(`POST ${path}`, { as: reader, body })).status).toBe(403)
    expect((await api.call(`POST ${path}`, { as: stranger, body })).status).toBe(404)
  })
})

describe('listWebhookEndpoints', () => {
  test('200 in order of creation, page by page; another tenant has its own', async () => {
    const ids = [(await created()).id, (await created()).id, (await created()).id]
    const first = await api.call(`GET ${path}?limit=2`, { as: reader })
    expect(first.body.items.map(({ id }: Json) => id)).toEqual(ids.slice(0, 2))
    const rest = await api.call(`GET ${path}?limit=2&cursor=${first.body.nextCursor}`, {
      as: reader,
    })
    expect(rest.body.items.map(({ id }: Json) => id)).toEqual(ids.slice(2))
    expect(rest.body.nextCursor).toBeUndefined()
    const foreign = await api.call('GET /api/v1/tenants/other/webhook-endpoints', { as: stranger })
    expect(foreign.body).toEqual({ items: [] })
  })
})

describe('getWebhookEndpoint', () => {
  test('200; 404 for a missing one and for another tenant', async () => {
    const { id } = await created()
    expect((await api.call(`GET ${path}/${id}`, { as: reader })).status).toBe(200)
    expect((await get(missingId)).status).toBe(404)
    const foreign = `GET /api/v1/tenants/other/webhook-endpoints/${id}` as const
    expect((await api.call(foreign, { as: stranger })).status).toBe(404)
  })
})

describe('updateWebhookEndpoint', () => {
  test('200 with what was changed; the events follow at once', async () => {
    const { id } = await created({ eventTypes: ['user.deleted'] })
    await createUser('update-1')
    const { status, body } = await patch(id, { eventTypes: ['user.created'], description: 'two' })
    expect(status).toBe(200)
    expect(body).toMatchObject({ id, eventTypes: ['user.created'], description: 'two' })
    await createUser('update-2')
    await receiver.waitFor(1)
    const events = receiver.received.map(({ body: text }) => JSON.parse(text.toString()))
    expect(events.map(({ data }) => data.user.id)).toEqual(['update-2'])
  })

  test('200: disabled by the ADMINISTRATOR it hears nothing, enabled it does again', async () => {
    const { id } = await created()
    const off = await patch(id, { enabled: false })
    expect(off.body).toMatchObject({ enabled: false, disabledReason: 'ADMINISTRATOR' })
    await createUser('update-3')
    const on = await patch(id, { enabled: true })
    expect(on.body).toMatchObject({ enabled: true, disabledReason: null })
    await createUser('update-4')
    await receiver.waitFor(1)
    expect(JSON.parse(receiver.received[0]?.body.toString() ?? '').data.user.id).toBe('update-4')
  })

  test('400 url_not_allowed, 404 for a missing one', async () => {
    const { id } = await created()
    const { status, body } = await patch(id, { url: 'https://127.1.1.1.example:1/' })
    expect(status).toBe(200)
    expect(body.url).toBe('https://127.1.1.1.example:1/')
    const refused = await patch(id, { url: 'https://192.168.0.1/' })
    expect([refused.status, refused.body.code]).toEqual([400, 'url_not_allowed'])
    expect((await patch(missingId, { enabled: true })).status).toBe(404)
  })
})

describe('deleteWebhookEndpoint', () => {
  test('204; what waits is not sent, and the log is gone', async () => {
    receiver.answerWith(500)
    const { id } = await created()
    const { body } = await sendTest(id)
    await receiver.waitFor(1)
    expect((await api.call(`DELETE ${path}/${id}`, { as: admin })).status).toBe(204)
    expect((await get(id)).status).toBe(404)
    expect((await delivery(id, body.id)).status).toBe(404)
    api.clock.advance(60_000)
    await until(async () => (await api.app.composed.storage.read.outbox.countWaiting()) === 0)
    expect(receiver.received).toHaveLength(1)
    expect((await api.call(`DELETE ${path}/${id}`, { as: admin })).status).toBe(404)
  })
})

test('a tenant that is deleted is told nothing more, and nothing of it waits', async () => {
  receiver.answerWith(500)
  await api.createTenant('doomed')
  const tenant = '/api/v1/tenants/doomed'
  const body = { url: receiver.url, eventTypes: ['user.created'] }
  await api.call(`POST ${tenant}/webhook-endpoints`, { body })
  await api.call(`POST ${tenant}/users`, { body: { loginName: 'somebody' } })
  await receiver.waitFor(1)
  await api.call(`PATCH ${tenant}`, { body: { status: 'DISABLED' } })
  expect((await api.call(`DELETE ${tenant}`)).status).toBe(204)
  api.clock.advance(60_000)
  await until(async () => (await api.app.composed.storage.read.outbox.countWaiting()) === 0)
  expect(receiver.received).toHaveLength(1)
})

describe('rotateWebhookSecret', () => {
  test('200: both secrets sign during the time of grace, only the new one afterwards', async () => {
    const old = await created()
    const { status, headers, body } = await api.call(`POST ${path}/${old.id}/rotate-secret`, {
      as: admin,
      body: { graceSeconds: 60 },
    })
    expect([status, headers['cache-control']]).toEqual([200, 'no-store'])
    expect(body.secret).not.toBe(old.secret)
    await sendTest(old.id)
    await receiver.waitFor(1)
    const [both] = receiver.received
    if (both === undefined) throw new Error('Nothing came.')
    expect(both.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    for (const secret of [old.secret, body.secret]) expect(verify(secret, both).data).toBeDefined()

    api.clock.advance(60_000)
    await sendTest(old.id)
    await receiver.waitFor(2)
    const [, one] = receiver.received
    if (one === undefined) throw new Error('Nothing came.')
    expect(verify(body.secret, one).type).toBe('webhook.test')
    expect(() => verify(old.secret, one)).toThrow('No matching signature found')
  })

  test('200 without the secret for the same Idempotency-Key; no grace, one signature at once', async () => {
    const { id, secret: old } = await created()
    const rotate = () =>
      api.call(`POST ${path}/${id}/rotate-secret`, {
        as: admin,
        headers: { 'idempotency-key': 'r1' },
        body: { graceSeconds: 0 },
      })
    const [first, second] = [await rotate(), await rotate()]
    expect(second.body).toEqual({ endpoint: first.body.endpoint })
    await sendTest(id)
    await receiver.waitFor(1)
    const [received] = receiver.received
    if (received === undefined) throw new Error('Nothing came.')
    expect(verify(first.body.secret, received)).toBeDefined()
    expect(() => verify(old, received)).toThrow('No matching signature found')
  })

  test('404 for a missing one', async () => {
    const { status } = await api.call(`POST ${path}/${missingId}/rotate-secret`, {
      as: admin,
      body: {},
    })
    expect(status).toBe(404)
  })
})

describe('sendWebhookTest', () => {
  test('202, and it arrives as the contract says, checked by an independent receiver', async () => {
    const { id, secret } = await created({ eventTypes: ['user.created'], enabled: false })
    const { status, body } = await sendTest(id)
    expect(status).toBe(202)
    expect(body).toMatchObject({ endpointId: id, eventType: 'webhook.test', attempts: [] })
    await receiver.waitFor(1)
    const [received] = receiver.received
    if (received === undefined) throw new Error('Nothing came.')
    expect(received.headers['content-type']).toBe('application/json')
    expect(received.headers['webhook-id']).toBe(body.messageId)
    expect(verify(secret, received)).toEqual(body.payload)
    expect(await ended(id, body.id)).toMatchObject({
      status: 'DELIVERED',
      nextAttemptAt: null,
      attempts: [{ statusCode: 204, error: null }],
    })
  })

  test('202 once for the same Idempotency-Key', async () => {
    const { id } = await created()
    const [first, second] = [
      await sendTest(id, { 'idempotency-key': 't1' }),
      await sendTest(id, { 'idempotency-key': 't1' }),
    ]
    expect(second.body.id).toBe(first.body.id)
    await ended(id, first.body.id)
    expect(receiver.received).toHaveLength(1)
  })

  test('404 for a missing one', async () => {
    expect((await sendTest(missingId)).status).toBe(404)
  })
})

describe('listWebhookDeliveries', () => {
  test('200, newest first, by status and event type, page by page', async () => {
    const { id } = await created()
    await createUser('log-1')
    const tests = [(await sendTest(id)).body.id, (await sendTest(id)).body.id]
    for (const deliveryId of tests) await ended(id, deliveryId)
    const list = async (query: string) =>
      (await api.call(`GET ${path}/${id}/deliveries?${query}`, { as: reader })).body
    const all = await list('')
    expect(all.items.map(({ eventType }: Json) => eventType)).toEqual([
      'webhook.test',
      'webhook.test',
      'user.created',
    ])
    expect((await list('eventType=user.created')).items).toHaveLength(1)
    expect((await list('status=FAILED')).items).toEqual([])
    const page = await list('status=DELIVERED&limit=1')
    expect(page.items[0].id).toBe(tests[1])
    const next = await list(`status=DELIVERED&limit=1&cursor=${page.nextCursor}`)
    expect(next.items[0].id).toBe(tests[0])
  })

  test('400 for another list’s cursor, 404 for a missing endpoint', async () => {
    const { id } = await created()
    const bad = await api.call(`GET ${path}/${id}/deliveries?cursor=abc`, { as: reader })
    expect([bad.status, bad.body.code]).toEqual([400, 'cursor_invalid'])
    const missing = await api.call(`GET ${path}/${missingId}/deliveries`, { as: reader })
    expect(missing.status).toBe(404)
  })
})

describe('getWebhookDelivery', () => {
  test('200; 404 under another endpoint and for a missing one', async () => {
    const [one, other] = [await created(), await created({ enabled: false })]
    const { body } = await sendTest(one.id)
    expect((await delivery(one.id, body.id)).status).toBe(200)
    expect((await delivery(other.id, body.id)).status).toBe(404)
    expect((await delivery(one.id, missingId)).status).toBe(404)
  })

  test('200 FAILED after ten attempts, at the waits of the contract', async () => {
    receiver.answerWith(500)
    const { id } = await created()
    const { body } = await sendTest(id)
    const over = await exhausted(id, body.id)
    expect(over.status).toBe('FAILED')
    expect(over.attempts).toHaveLength(10)
    const times: number[] = over.attempts.map(({ at }: Json) => Date.parse(at))
    const waits = times.slice(1).map((at, index) => (at - (times[index] ?? 0)) / 1000)
    const hour = 3_600
    const expected = [5, 300, 1800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour]
    for (const [index, seconds] of expected.entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(seconds)
      expect(waits[index]).toBeLessThanOrEqual(seconds * 1.1 + 1)
    }
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })

  test('200 with GONE at the endpoint after 410, which is not repeated', async () => {
    receiver.answerWith(410)
    const { id } = await created()
    const { body } = await sendTest(id)
    expect(await ended(id, body.id)).toMatchObject({
      status: 'FAILED',
      attempts: [{ statusCode: 410 }],
    })
    expect((await get(id)).body).toMatchObject({ enabled: false, disabledReason: 'GONE' })
  })

  test('200 with FAILING at the endpoint after five days without success', async () => {
    receiver.answerWith(503)
    const { id } = await created()
    await createUser('failing-1')
    const { body } = await api.call(`GET ${path}/${id}/deliveries`, { as: admin })
    expect((await exhausted(id, body.items[0].id)).status).toBe('FAILED')
    expect((await get(id)).body.enabled).toBe(true)
    api.clock.advance(2 * 86_400_000)
    await createUser('failing-2')
    await until(async () => (await get(id)).body.enabled === false)
    expect((await get(id)).body.disabledReason).toBe('FAILING')
  })
})

describe('redeliverWebhook', () => {
  test('202: the same id and payload, a new signature, a new series', async () => {
    receiver.answerWith(410)
    const { id, secret } = await created()
    const { body } = await sendTest(id)
    await ended(id, body.id)
    await patch(id, { enabled: true })
    receiver.answerWith(200)
    api.clock.advance(7_000)
    const again = await redeliver(id, body.id)
    expect([again.status, again.body.status]).toEqual([202, 'PENDING'])
    expect((await ended(id, body.id)).attempts.map(({ statusCode }: Json) => statusCode)).toEqual([
      410, 200,
    ])
    const [first, second] = receiver.received
    if (first === undefined || second === undefined) throw new Error('Not both came.')
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id'])
    expect(second.body).toEqual(first.body)
    expect(second.headers['webhook-timestamp']).not.toBe(first.headers['webhook-timestamp'])
    expect(verify(secret, second)).toEqual(body.payload)
  })

  test('409 while PENDING; of twenty at once one is 202', async () => {
    const { id } = await created()
    const { body } = await sendTest(id)
    await ended(id, body.id)
    receiver.answerWith(() => {})
    const replies = await Promise.all(Array.from({ length: 20 }, () => redeliver(id, body.id)))
    expect(replies.filter(({ status }) => status === 202)).toHaveLength(1)
    expect(replies.filter(({ status }) => status === 409)).toHaveLength(19)
  })

  test('409 while the endpoint is disabled, 404 for a missing delivery', async () => {
    const { id } = await created()
    await createUser('redeliver-1')
    await receiver.waitFor(1)
    const { body } = await api.call(`GET ${path}/${id}/deliveries`, { as: admin })
    await ended(id, body.items[0].id)
    await patch(id, { enabled: false })
    const { status, body: problem } = await redeliver(id, body.items[0].id)
    expect([status, problem.code]).toEqual([409, 'state_conflict'])
    expect((await redeliver(id, missingId)).status).toBe(404)
  })
})

describe('receiveCountersignEvent', () => {
  test('every event that is built comes with its object as the API answers it', async () => {
    await created({
      eventTypes: [
        'user.created',
        'user.updated',
        'user.locked',
        'user.unlocked',
        'user.deleted',
        'otp-token.assigned',
        'otp-token.unassigned',
      ],
    })
    const tenant = '/api/v1/tenants/acme'
    const as = await api.createAccount('acme', ['tenant:write', 'verify'])
    const user = `${tenant}/users/told`
    const told: [string, Json][] = []
    const call = async (type: string, target: `${string} /${string}`, body?: object) => {
      const reply = await api.call(target, { as, ...(body === undefined ? {} : { body }) })
      expect(reply.status).toBeLessThan(300)
      if (type !== '') told.push([type, reply.body])
      return reply.body
    }
    const showUser = async (type: string) => call(type, `GET ${user}`)
    await call('user.created', `POST ${tenant}/users`, { id: 'told', loginName: 'told' })
    await call('user.updated', `PATCH ${user}`, { displayName: 'Told' })
    const { token } = await call('', `POST ${tenant}/otp-tokens`, { user: { id: 'told' } })
    told.push(['otp-token.assigned', token])

    await call('', `PATCH ${tenant}/settings`, { lockout: { userMaxFailures: 1 } })
    await call('', `POST ${tenant}/verify`, { user: { id: 'told' }, code: '000000' })
    await showUser('user.locked')
    await call('user.unlocked', `POST ${user}/unlock`)
    await api.app.core.userLocks.lock(testCaller('acme', ['tenant:write']), 'acme', 'told')
    await showUser('user.locked')

    await call('', `DELETE ${tenant}/otp-tokens/${token.id}/assignments/told`)
    await call('otp-token.unassigned', `GET ${tenant}/otp-tokens/${token.id}`)
    await call('', `POST ${user}/identifiers`, { scheme: 'email', value: 'a@b.example' })
    await showUser('user.updated')
    await showUser('user.deleted')
    await call('', `DELETE ${user}`)
    await receiver.waitFor(told.length)
    const events: Json[] = receiver.received
      .toSorted((one, other) =>
        (one.headers['webhook-id'] ?? '') < (other.headers['webhook-id'] ?? '') ? -1 : 1,
      )
      .map(({ body }) => JSON.parse(body.toString()))
    expect(events.map(({ type }) => type)).toEqual(told.map(([type]) => type))
    for (const [index, [, object]] of told.entries()) {
      const { tenantId, user: shown, token: shownToken } = events[index].data
      expect(tenantId).toBe('acme')
      expect(shown ?? shownToken).toEqual(object)
    }
    expect(events[2].data.userId).toBe('told')
  })

  test('a checkpoint comes as the API lists it', async () => {
    await created({ eventTypes: ['audit.checkpoint-created'] })
    await createUser('checkpoint-1')
    const auditor = await api.createAccount('acme', ['audit:read'])
    const { body } = await api.call('POST /api/v1/tenants/acme/audit/checkpoints', { as: auditor })
    await receiver.waitFor(1)
    const { type, data } = JSON.parse(receiver.received[0]?.body.toString() ?? '')
    expect([type, data]).toEqual([
      'audit.checkpoint-created',
      { checkpoint: body, tenantId: 'acme' },
    ])
  })
})
