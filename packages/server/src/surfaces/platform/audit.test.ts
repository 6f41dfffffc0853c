import { ChainVerifier, parseExportLine } from '@countersign/protocol/journal/chain-verifier.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let admin: string
let auditor: string
let stranger: string
const root = '/api/v1/tenants/acme/audit'

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('other')
  admin = await api.createAccount('acme', ['tenant:write'])
  auditor = await api.createAccount('acme', ['audit:read'])
  stranger = await api.createAccount('other', ['audit:read'])
  for (let number = 1; number <= 12; number++) {
    const body = { id: `user-${number}`, loginName: `user-${number}` }
    await api.call('POST /api/v1/tenants/acme/users', { as: admin, body })
  }
  await api.app.composed.sealer.sealAll()
})
afterAll(() => api[Symbol.asyncDispose]())

async function exportLines(query = ''): Promise<string[]> {
  const reply = await fetch(`${api.origin}${root}/export${query}`, {
    headers: { authorization: `Bearer ${auditor}` },
  })
  expect(reply.status).toBe(200)
  expect(reply.headers.get('content-type')).toContain('application/x-ndjson')
  return (await reply.text()).split('\n').slice(0, -1)
}

describe('listAuditRecords', () => {
  test('200 records in order of seq, narrowed by filters, in pages', async () => {
    const whole = await api.call(`GET ${root}/records?action=user.*`, { as: auditor })
    expect(whole).toMatchObject({ status: 200 })
    expect(whole.body.items).toHaveLength(12)
    const first = await api.call(`GET ${root}/records?action=user.*&limit=5`, { as: auditor })
    const cursor = first.body.nextCursor
    const second = await api.call(`GET ${root}/records?action=user.*&limit=5&cursor=${cursor}`, {
      as: auditor,
    })
    expect([...first.body.items, ...second.body.items]).toEqual(whole.body.items.slice(0, 10))
    const newest = await api.call(`GET ${root}/records?order=desc&limit=1`, { as: auditor })
    expect(newest.body.items[0].userId).toBe('user-12')
    const ofOne = await api.call(`GET ${root}/records?userId=user-3`, { as: auditor })
    expect(ofOne.body.items).toHaveLength(1)
  })

  test('400 for a cursor of other filters, 403 without the scope, 404 for another tenant', async () => {
    const first = await api.call(`GET ${root}/records?limit=2`, { as: auditor })
    const cursor = first.body.nextCursor
    expect(
      await api.call(`GET ${root}/records?limit=2&outcome=FAILURE&cursor=${cursor}`, {
        as: auditor,
      }),
    ).toMatchObject({ status: 400, body: { code: 'cursor_invalid' } })
    expect(await api.call(`GET ${root}/records`, { as: admin })).toMatchObject({ status: 403 })
    expect(await api.call(`GET ${root}/records`, { as: stranger })).toMatchObject({ status: 404 })
    const platform = '/api/v1/tenants/_platform/audit/records'
    expect(await api.call(`GET ${platform}`, { as: auditor })).toMatchObject({ status: 404 })
    expect(await api.call(`GET ${platform}`)).toMatchObject({ status: 200 })
  })
})

describe('getAuditRecord', () => {
  test('200 one record by seq, 404 beyond the chain', async () => {
    const one = await api.call(`GET ${root}/records/1`, { as: auditor })
    expect(one).toMatchObject({ status: 200, body: { seq: 1, tenantId: 'acme' } })
    expect(await api.call(`GET ${root}/records/99999`, { as: auditor })).toMatchObject({
      status: 404,
    })
    expect(await api.call(`GET ${root}/records/0`, { as: auditor })).toMatchObject({ status: 404 })
  })
})

describe('exportAuditRecords', () => {
  test('R14: 200 lines that verify by themselves', async () => {
    const verifier = new ChainVerifier()
    for (const line of await exportLines()) {
      const record = parseExportLine(line)
      if (record === undefined) throw new Error('not canonical')
      verifier.add(record)
    }
    expect(verifier).toMatchObject({ faults: [], firstSeq: 1 })
    expect(verifier.checkedCount).toBeGreaterThanOrEqual(12)
  })

  test('200 a range', async () => {
    const lines = await exportLines('?fromSeq=3&toSeq=5')
    expect(lines.map((line) => parseExportLine(line)?.seq)).toEqual([3, 4, 5])
  })
})

describe('verifyAuditLog', () => {
  test('200 valid, also in a range and against a checkpoint kept outside', async () => {
    const checkpoint = (await api.call(`POST ${root}/checkpoints`, { as: auditor })).body.jws
    const whole = await api.call(`POST ${root}/verify`, { as: auditor, body: { checkpoint } })
    expect(whole).toMatchObject({ status: 200, body: { valid: true, faults: [] } })
    const part = await api.call(`POST ${root}/verify`, {
      as: auditor,
      body: { fromSeq: 4, toSeq: 6 },
    })
    expect(part.body).toMatchObject({ valid: true, checked: 3, firstSeq: 4, lastSeq: 6 })
    const beyond = await api.call(`POST ${root}/verify`, { as: auditor, body: { toSeq: 99999 } })
    expect(beyond.body).toMatchObject({ valid: false, faults: [{ code: 'MISSING_TAIL' }] })
  })

  test('200 a checkpoint of another tenant is no checkpoint of this one', async () => {
    const other = await api.call('POST /api/v1/tenants/other/audit/checkpoints', { as: stranger })
    const reply = await api.call(`POST ${root}/verify`, {
      as: auditor,
      body: { checkpoint: other.body.jws },
    })
    expect(reply.body).toMatchObject({
      valid: false,
      faults: [{ code: 'CHECKPOINT_SIGNATURE_INVALID' }],
    })
  })
})

describe('listAuditCheckpoints', () => {
  test('200 in order of creation', async () => {
    const reply = await api.call(`GET ${root}/checkpoints`, { as: auditor })
    expect(reply.status).toBe(200)
    expect(reply.body.items.length).toBeGreaterThanOrEqual(1)
    expect(reply.body.items[0]).toMatchObject({ firstSeq: 1, previous: null })
  })
})

describe('createAuditCheckpoint', () => {
  test('200 over the newest record, the same one while nothing is added', async () => {
    const one = await api.call(`POST ${root}/checkpoints`, { as: auditor })
    const two = await api.call(`POST ${root}/checkpoints`, { as: auditor })
    expect(two.body).toEqual(one.body)
    await api.call('POST /api/v1/tenants/acme/users', {
      as: admin,
      body: { loginName: 'one-more' },
    })
    const three = await api.call(`POST ${root}/checkpoints`, { as: auditor })
    expect(three.body.seq).toBeGreaterThan(one.body.seq)
  })
})
