import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let tenantAdmin: string

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('guard')
  tenantAdmin = await api.createAccount('guard', ['tenant:write'])
})
afterAll(() => api[Symbol.asyncDispose]())

const now = '2026-11-21T10:00:00.000Z'

describe('createTenant', () => {
  test('201 with the tenant and its path', async () => {
    const { status, headers, body } = await api.call('POST /api/v1/tenants', {
      body: { id: 'acme.bank-1', name: 'Acme Bank' },
    })
    expect(status).toBe(201)
    expect(headers.location).toBe('/api/v1/tenants/acme.bank-1')
    expect(body).toEqual({
      id: 'acme.bank-1',
      number: expect.any(Number),
      name: 'Acme Bank',
      status: 'ACTIVE',
      createdAt: now,
      updatedAt: now,
    })
  })

  test('201 with a ULID when no id is given', async () => {
    const { body } = await api.call('POST /api/v1/tenants', { body: { name: 'x' } })
    expect(body.id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  })

  test('409 already_exists for an id in another case', async () => {
    await api.createTenant('Cased')
    const { status, body } = await api.call('POST /api/v1/tenants', {
      body: { id: 'cASED', name: 'x' },
    })
    expect([status, body.code]).toEqual([409, 'already_exists'])
  })

  test.each([
    [{}, '/name', 'required'],
    [{ name: '' }, '/name', 'out_of_range'],
    [{ name: 'x', id: '_platform' }, '/id', 'bad_format'],
    [{ name: 'x', number: 7 }, '/number', 'unknown_member'],
    [{ name: 7 }, '/name', 'wrong_type'],
  ])('400 for %j', async (draft, pointer, code) => {
    const { status, body } = await api.call('POST /api/v1/tenants', { body: draft })
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ pointer, code }] })
  })

  test('403 for a tenant administrator, whatever the body', async () => {
    for (const body of [{ name: 'x' }, 'not json']) {
      const reply = await api.call('POST /api/v1/tenants', { as: tenantAdmin, body })
      expect(reply.status).toBe(403)
    }
  })

  test('201 again with Idempotency-Replayed for the same key, and one tenant', async () => {
    const send = (name: string) =>
      api.call('POST /api/v1/tenants', {
        headers: { 'idempotency-key': 'tenant-1' },
        body: { name },
      })
    const [first, second] = [await send('Once'), await send('Once')]
    expect(first.headers['idempotency-replayed']).toBeUndefined()
    expect(second.headers['idempotency-replayed']).toBe('true')
    expect(second.body).toEqual(first.body)
    expect(second.headers.location).toBe(first.headers.location)
    const other = await send('Twice')
    expect([other.status, other.body.code]).toEqual([409, 'idempotency_key_reused'])
  })
})

describe('listTenants', () => {
  test('200 in pages, filtered by status', async () => {
    for (const id of ['list-1', 'list-2', 'list-3']) await api.createTenant(id)
    await api.call('PATCH /api/v1/tenants/list-2', { body: { status: 'DISABLED' } })
    const ids: string[] = []
    let cursor = ''
    do {
      const { status, body } = await api.call(`GET /api/v1/tenants?limit=2${cursor}`)
      expect(status).toBe(200)
      ids.push(...body.items.map(({ id }: { id: string }) => id))
      cursor = body.nextCursor === undefined ? '' : `&cursor=${body.nextCursor}`
    } while (cursor !== '')
    expect(ids.filter((id) => id.startsWith('list-'))).toEqual(['list-1', 'list-2', 'list-3'])
    expect(new Set(ids).size).toBe(ids.length)
    const { body } = await api.call('GET /api/v1/tenants?status=DISABLED')
    expect(body.items.map(({ id }: { id: string }) => id)).toContain('list-2')
    expect(body.items.every((item: { status: string }) => item.status === 'DISABLED')).toBe(true)
  })

  test('400 cursor_invalid, 400 for unknown filters, 403 for a tenant', async () => {
    const strange = await api.call('GET /api/v1/tenants?cursor=abcd')
    expect([strange.status, strange.body.code]).toEqual([400, 'cursor_invalid'])
    for (const query of [
      'limit=0',
      'limit=201',
      'status=DELETED',
      'nonsense=1',
      'limit=1&limit=2',
    ]) {
      expect((await api.call(`GET /api/v1/tenants?${query}`)).status).toBe(400)
    }
    expect((await api.call('GET /api/v1/tenants', { as: tenantAdmin })).status).toBe(403)
  })
})

describe('getTenant', () => {
  test('200 for its own accounts and for the platform', async () => {
    for (const as of [tenantAdmin, api.adminSecret]) {
      const { status, body } = await api.call('GET /api/v1/tenants/guard', { as })
      expect([status, body.id]).toEqual([200, 'guard'])
    }
  })

  test('404 for other tenants, for none, and for what cannot be one', async () => {
    await api.createTenant('foreign')
    for (const [as, id] of [
      [tenantAdmin, 'foreign'],
      [tenantAdmin, 'missing'],
      [api.adminSecret, 'missing'],
      [api.adminSecret, 'Guard'],
      [api.adminSecret, '_platform'],
      [api.adminSecret, 'a%20b'],
      [api.adminSecret, '%00'],
    ] as const) {
      const { status, body } = await api.call(`GET /api/v1/tenants/${id}`, { as })
      expect([id, status, body.code]).toEqual([id, 404, 'not_found'])
    }
  })

  test('401 without a credential', async () => {
    const { status, headers } = await api.call('GET /api/v1/tenants/guard', { as: null })
    expect(status).toBe(401)
    expect(headers['www-authenticate']).toContain('Bearer')
  })

  test('403 without tenant:read, also where the tenant is missing', async () => {
    const as = await api.createAccount('guard', ['verify'])
    for (const id of ['guard', 'missing', 'foreign']) {
      expect((await api.call(`GET /api/v1/tenants/${id}`, { as })).status).toBe(403)
    }
  })
})

describe('updateTenant', () => {
  test('200 disabled: its credentials are 401 on every call, the platform still sees it', async () => {
    await api.createTenant('closed')
    const as = await api.createAccount('closed', ['tenant:read'])
    const { status, body } = await api.call('PATCH /api/v1/tenants/closed', {
      body: { status: 'DISABLED' },
    })
    expect([status, body.status]).toEqual([200, 'DISABLED'])
    expect((await api.call('GET /api/v1/tenants/closed', { as })).status).toBe(401)
    expect((await api.call('GET /api/v1/tenants/closed')).status).toBe(200)
    await api.call('PATCH /api/v1/tenants/closed', { body: { status: 'ACTIVE' } })
    expect((await api.call('GET /api/v1/tenants/closed', { as })).status).toBe(200)
  })

  test('200 renamed', async () => {
    await api.createTenant('named')
    const { body } = await api.call('PATCH /api/v1/tenants/named', { body: { name: 'New' } })
    expect(body).toMatchObject({ name: 'New', status: 'ACTIVE' })
  })

  test('404 before 400; 400 for an empty change', async () => {
    const missing = await api.call('PATCH /api/v1/tenants/missing', { body: {} })
    expect(missing.status).toBe(404)
    expect((await api.call('PATCH /api/v1/tenants/guard', { body: {} })).status).toBe(400)
    const deleted = await api.call('PATCH /api/v1/tenants/guard', { body: { status: 'DELETED' } })
    expect(deleted.status).toBe(400)
  })

  test('403 for its own administrator', async () => {
    const { status } = await api.call('PATCH /api/v1/tenants/guard', {
      as: tenantAdmin,
      body: { name: 'x' },
    })
    expect(status).toBe(403)
  })
})

describe('deleteTenant', () => {
  test('204 when disabled; then it is 404 and its id stays taken', async () => {
    await api.createTenant('gone')
    await api.call('PATCH /api/v1/tenants/gone', { body: { status: 'DISABLED' } })
    expect((await api.call('DELETE /api/v1/tenants/gone')).status).toBe(204)
    expect((await api.call('GET /api/v1/tenants/gone')).status).toBe(404)
    expect((await api.call('DELETE /api/v1/tenants/gone')).status).toBe(404)
    const again = await api.call('POST /api/v1/tenants', { body: { id: 'gone', name: 'x' } })
    expect(again.status).toBe(409)
  })

  test('409 state_conflict while active, 403 for its administrator', async () => {
    const { status, body } = await api.call('DELETE /api/v1/tenants/guard')
    expect([status, body.code]).toEqual([409, 'state_conflict'])
    const own = await api.call('DELETE /api/v1/tenants/guard', { as: tenantAdmin })
    expect(own.status).toBe(403)
  })
})
