import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ApiReply,
  createPlatformApi,
  type Json,
  type PlatformApi,
} from '#test/support/platform-api.ts'
import { addTestUser, enrolDevice, type TestDevice } from '#test/support/test-device.ts'

const approvals = '/api/v1/tenants/acme/approvals' as const
const unknownId = '01M7YS3ST0XB5RRF1ZM2Q40QVF'
const text = 'Approve wire transfer of 500 EUR to account 1234'

let api: PlatformApi
let backend: string
let stranger: string
let reader: string
let auditor: string
let device: TestDevice

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('shop')
  backend = await api.createAccount('acme', ['verify'], 'payments')
  stranger = await api.createAccount('acme', ['verify'], 'portal')
  reader = await api.createAccount('acme', ['tenant:read'])
  auditor = await api.createAccount('acme', ['audit:read'])
  await addTestUser(api, 'acme', 'jsmith')
  device = await enrolDevice(api, { userId: 'jsmith' })
  await device.login()
})
afterAll(() => api[Symbol.asyncDispose]())

const create = (body: Json = {}, as = backend, headers: Record<string, string> = {}) =>
  api.call(`POST ${approvals}`, { as, headers, body: { user: { id: 'jsmith' }, text, ...body } })

const get = (id: string, as = backend) => api.call(`GET ${approvals}/${id}`, { as })
const cancel = (id: string, as = backend) => api.call(`POST ${approvals}/${id}/cancel`, { as })
const evidence = (id: string, as = backend) => api.call(`GET ${approvals}/${id}/evidence`, { as })

const faults = ({ body }: ApiReply) =>
  body.errors.map(({ pointer, code }: Json) => [pointer, code]) as [string, string][]

async function accept(id: string): Promise<void> {
  await device.login()
  const { body } = await device.retrieve(id)
  const reply = await device.acceptWithFactor(body, { pin: '1234' })
  if (reply.status !== 200) throw new Error(JSON.stringify(reply.body))
}

describe('createApproval', () => {
  test('201 with everything as it was asked for, and where it stands', async () => {
    const asked = {
      reference: 'txn-20261121-001',
      data: { amount: '500.00', currency: 'EUR', payee: '1234' },
      timeouts: { retrievalSeconds: 300, decisionSeconds: 600 },
      authentication: { factor: 'PIN', explicit: true, maxAgeSeconds: 60 },
      devices: { deviceIds: [device.id], appName: 'acme-bank' },
      push: { title: 'Acme Bank', body: 'Please confirm a transfer' },
      auditNote: { order: 7 },
    }
    const { status, headers, body } = await create(asked)
    const { push: _push, auditNote: _note, ...shown } = asked
    expect({ status, body }).toMatchObject({
      status: 201,
      body: {
        ...shown,
        timeouts: { ...asked.timeouts, totalSeconds: null },
        kind: 'TRANSACTION',
        userId: 'jsmith',
        status: 'PENDING',
        text,
        surface: 'native',
        createdBy: 'payments',
        createdAt: '2026-11-21T10:00:00.000Z',
        expiresAt: '2026-11-21T10:05:00.000Z',
        decision: null,
      },
    })
    expect(headers.location).toBe(`${approvals}/${body.id}`)
    const stored = await api.app.composed.storage.read.approvals.find('acme', body.id)
    expect(stored?.push).toEqual(asked.push)
  })

  test('absent timeouts are those of the settings, null is no limit', async () => {
    expect((await create()).body).toMatchObject({
      timeouts: { retrievalSeconds: 300, decisionSeconds: 600, totalSeconds: null },
    })
    const none = { retrievalSeconds: null, decisionSeconds: null }
    expect((await create({ timeouts: none })).body).toMatchObject({
      timeouts: { ...none, totalSeconds: null },
      expiresAt: null,
    })
    const { body } = await create({ timeouts: { ...none, totalSeconds: 3 } })
    expect(body.expiresAt).toBe('2026-11-21T10:00:03.000Z')
  })

  test('400 for what is beyond its bounds; at the bound it is taken', async () => {
    const nested = (depth: number): Json => (depth === 0 ? 1 : { a: nested(depth - 1) })
    const filled = (bytes: number) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })
    const members = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${index}`, 1]))
    for (const body of [
      { data: nested(8) },
      { data: filled(16_384) },
      { data: members(100) },
      { data: { list: [[[[[[1]]]]]] } },
      { auditNote: filled(4_096) },
      { text: 'x'.repeat(10_000) },
    ]) {
      expect((await create(body)).status).toBe(201)
    }
    const refused: [Json, [string, string]][] = [
      [{ data: nested(9) }, ['/data', 'out_of_range']],
      [{ data: { list: [[[[[[[[1]]]]]]]] } }, ['/data', 'out_of_range']],
      [{ data: filled(16_385) }, ['/data', 'out_of_range']],
      [{ data: members(101) }, ['/data', 'out_of_range']],
      [{ auditNote: filled(4_097) }, ['/auditNote', 'out_of_range']],
      [{ text: 'x'.repeat(10_001) }, ['/text', 'out_of_range']],
      [{ text: '\u0001'.repeat(10_000), data: filled(16_384) }, ['/text', 'out_of_range']],
      [{ text: '' }, ['/text', 'out_of_range']],
      [{ timeouts: { totalSeconds: 0 } }, ['/timeouts/totalSeconds', 'out_of_range']],
      [{ devices: {} }, ['/devices', 'out_of_range']],
      [{ kind: 'MESSAGE', authentication: { factor: 'PIN' } }, ['/authentication', 'unsupported']],
    ]
    for (const [body, fault] of refused) {
      const reply = await create(body)
      expect(reply.status).toBe(400)
      expect(faults(reply)).toContainEqual(fault)
    }
  })

  test('400 reference_not_found for a user that is not there, in each way of naming one', async () => {
    for (const user of [{ id: 'nobody' }, { loginName: 'nobody' }, { scheme: 'x', value: 'y' }]) {
      const reply = await create({ user })
      expect(reply).toMatchObject({ status: 400, body: { code: 'reference_not_found' } })
      expect(faults(reply)).toEqual([['/user', 'not_found']])
    }
    expect((await create({ user: { loginName: 'JSMITH' } })).body.userId).toBe('jsmith')
  })

  test('409 already_exists for a reference that was ever used', async () => {
    const body = { reference: 'once' }
    expect((await create(body)).status).toBe(201)
    const { storage } = api.app.composed
    const used = await storage.read.approvals.findByReference('acme', 'once')
    await storage.transaction(({ approvals: store }) => store.erase('acme', used?.id ?? ''))
    expect(await create(body)).toMatchObject({ status: 409, body: { code: 'already_exists' } })
  })

  test('409 no_matching_device, user_disabled', async () => {
    await addTestUser(api, 'acme', 'nodevice')
    const noDevice = { status: 409, body: { code: 'no_matching_device' } }
    expect(await create({ user: { id: 'nodevice' } })).toMatchObject(noDevice)
    for (const devices of [
      { deviceIds: [unknownId] },
      { appName: 'other' },
      { platform: 'iOS' },
      { appVersion: '1.0.0' },
    ]) {
      expect(await create({ devices })).toMatchObject(noDevice)
    }
    const users = '/api/v1/tenants/acme/users'
    await api.call(`PATCH ${users}/nodevice`, { body: { status: 'DISABLED' } })
    expect(await create({ user: { id: 'nodevice' } })).toMatchObject({
      status: 409,
      body: { code: 'user_disabled' },
    })
  })

  test('an Idempotency-Key makes one approval', async () => {
    const headers = { 'idempotency-key': 'approval-1' }
    const first = await create({}, backend, headers)
    const again = await create({}, backend, headers)
    expect(again).toMatchObject({ status: 201, body: { id: first.body.id } })
    expect(again.headers['idempotency-replayed']).toBe('true')
  })

  test('401, 403, 404: without a credential, without the right, in another tenant', async () => {
    expect((await api.call(`POST ${approvals}`, { as: null })).status).toBe(401)
    expect(await create({}, reader)).toMatchObject({ status: 403 })
    const elsewhere = await api.createAccount('shop', ['tenant:write'])
    expect(await create({}, elsewhere)).toMatchObject({ status: 404 })
  })
})

describe('getApproval', () => {
  test('200 for whoever made it and for readers of the tenant, 404 for everybody else', async () => {
    const { body } = await create()
    expect(await get(body.id)).toMatchObject({ status: 200, body })
    expect(await get(body.id, reader)).toMatchObject({ status: 200, body })
    const missing = await get(unknownId, stranger)
    const hidden = await get(body.id, stranger)
    expect(missing.status).toBe(404)
    const { instance: _one, ...said } = hidden.body
    const { instance: _other, ...expected } = missing.body
    expect(said).toEqual(expected)
    const elsewhere = await api.createAccount('shop', ['tenant:read'])
    const path = `/api/v1/tenants/shop/approvals/${body.id}` as const
    expect((await api.call(`GET ${path}`, { as: elsewhere })).status).toBe(404)
    expect((await get(body.id, auditor)).status).toBe(403)
  })

  test('a deadline that has passed has passed, before any timer', async () => {
    const { body } = await create({ timeouts: { retrievalSeconds: 1 } })
    api.clock.advance(1_000)
    expect((await get(body.id)).body).toMatchObject({
      status: 'EXPIRED',
      failureReason: 'RETRIEVAL_TIMEOUT',
      completedAt: body.expiresAt,
      expiresAt: null,
    })
  })

  test('shows how a device decided', async () => {
    const { body } = await create()
    await accept(body.id)
    expect((await get(body.id)).body).toMatchObject({
      status: 'APPROVED',
      decision: { deviceId: device.id, factor: 'PIN' },
      failureReason: null,
    })
  })
})

describe('listApprovals', () => {
  test('newest first, in pages, by every filter; with verify alone the own ones', async () => {
    const maker = await api.createAccount('acme', ['verify'])
    api.clock.advance(10)
    const from = new Date(api.clock()).toISOString()
    const ids: string[] = []
    for (let index = 0; index < 5; index++) {
      const reference = `list-${index}`
      const kind = index === 4 ? 'MESSAGE' : 'TRANSACTION'
      ids.unshift((await create({ reference, kind }, maker)).body.id)
      api.clock.advance(10)
    }
    const to = new Date(api.clock()).toISOString()
    const list = async (query: string, as = maker) =>
      (await api.call(`GET ${approvals}?${query}` as const, { as })).body
    const idsOf = ({ items }: Json) => items.map(({ id }: Json) => id) as string[]
    const first = await list('limit=3')
    const second = await list(`limit=3&cursor=${first.nextCursor}`)
    expect([...idsOf(first), ...idsOf(second)]).toEqual(ids)
    expect(second.nextCursor).toBeUndefined()
    expect(idsOf(await list(''))).toEqual(ids)
    expect(idsOf(await list(`from=${from}&to=${to}`, reader))).toEqual(ids)
    expect(idsOf(await list('kind=MESSAGE'))).toEqual([ids[0]])
    expect(idsOf(await list('reference=list-2'))).toEqual([ids[2]])
    expect(idsOf(await list('userId=nobody'))).toEqual([])
    await cancel(ids[1] ?? '', maker)
    expect(idsOf(await list('status=CANCELLED'))).toEqual([ids[1]])
    expect(idsOf(await list('status=PENDING')).length).toBe(4)
    api.clock.advance(3_600_000)
    expect(idsOf(await list('status=PENDING'))).toEqual([])
    expect(idsOf(await list('status=EXPIRED'))).toEqual([ids[0], ...ids.slice(2)])
    expect(await list(`cursor=${first.nextCursor}`, reader)).toMatchObject({
      code: 'cursor_invalid',
    })
  })
})

describe('cancelApproval', () => {
  test('200, again 200; then the device is told and cannot decide', async () => {
    const { body } = await create()
    await device.login()
    const shown = await device.retrieve(body.id)
    const cancelled = { status: 200, body: { status: 'CANCELLED', failureReason: 'CANCELLED' } }
    expect(await cancel(body.id)).toMatchObject(cancelled)
    expect(await cancel(body.id)).toMatchObject(cancelled)
    expect(await device.acceptWithFactor(shown.body, { pin: '1234' })).toMatchObject({
      status: 409,
      body: { code: 'approval_final' },
    })
    const { read } = api.app.composed.storage
    const events = await read.deviceEvents.listAfter(
      { tenantId: 'acme', deviceId: device.id },
      '',
      200,
    )
    expect(events.filter(({ data }) => data.approvalId === body.id)).toMatchObject([
      { type: 'approval.cancelled', data: { reason: 'cancelled' } },
    ])
  })

  test('409 approval_final for one that ended otherwise, 404 for somebody else’s', async () => {
    const { body } = await create()
    expect((await cancel(body.id, stranger)).status).toBe(404)
    expect((await cancel(unknownId)).status).toBe(404)
    await accept(body.id)
    expect(await cancel(body.id)).toMatchObject({ status: 409, body: { code: 'approval_final' } })
  })
})

describe('getApprovalEvidence', () => {
  test('200 with all that a third party needs, once there is a checkpoint', async () => {
    await device.login({ pin: '1234' })
    expect((await device.certify()).body).toMatchObject({ status: 'ISSUED' })
    const { body } = await create({ reference: 'evidence-1' })
    await accept(body.id)
    const early = await evidence(body.id)
    expect(early).toMatchObject({
      status: 200,
      body: {
        approvalId: body.id,
        reference: 'evidence-1',
        tenantId: 'acme',
        userId: 'jsmith',
        deviceId: device.id,
        decision: 'APPROVED',
        factor: 'PIN',
        transactionData: null,
        keyStatement: null,
        auditRecord: { action: 'approval.approved', target: { id: body.id } },
      },
    })
    const { content, signatures, crls, auditRecord } = early.body
    const bytes = Buffer.from(content.bytes, 'base64')
    expect(content.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(auditRecord.detail.contentSha256).toBe(content.sha256)
    expect(JSON.parse(bytes.toString())).toEqual({ id: body.id, text })
    expect(signatures).toHaveLength(1)
    expect(signatures[0].certificateChain).toHaveLength(3)
    expect(crls).toHaveLength(2)
    await api.call('POST /api/v1/tenants/acme/audit/checkpoints')
    const late = await evidence(body.id)
    const statement = late.body.checkpoint.split('.')[1]
    expect(JSON.parse(Buffer.from(statement, 'base64url').toString()).seq).toBeGreaterThanOrEqual(
      auditRecord.seq,
    )
    expect({ ...late.body, checkpoint: null }).toEqual({ ...early.body, checkpoint: null })
  })

  test('409 not_signed while it is open, and when nothing was signed', async () => {
    const { body } = await create()
    const notSigned = { status: 409, body: { code: 'not_signed' } }
    expect(await evidence(body.id)).toMatchObject(notSigned)
    await device.login()
    await device.retrieve(body.id)
    await device.decide(body.id, { decision: 'reject', reason: 'user' })
    expect(await evidence(body.id)).toMatchObject(notSigned)
  })

  test('auditors and readers see all, whoever may verify what it made, others nothing', async () => {
    const { body } = await create()
    await accept(body.id)
    for (const as of [backend, reader, auditor]) {
      expect((await evidence(body.id, as)).status).toBe(200)
    }
    expect((await evidence(body.id, stranger)).status).toBe(404)
    const writer = await api.createAccount('acme', ['okms:read'])
    expect((await evidence(body.id, writer)).status).toBe(403)
  })
})
