import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contractOf } from '#test/support/contract-files.ts'
import { type AstInstallation, createAstInstallation } from './ast.fixture.ts'
import { operations } from './operations.ts'

let ast: AstInstallation

beforeAll(async () => {
  ast = await createAstInstallation()
})
afterAll(() => ast[Symbol.asyncDispose]())

const sampleId = '01F6MJ6J1AA8HWB7G6XRJB709E'

/** A call of every operation that is built and not public, in a tenant. */
const samples = contractOf('ast')
  .operations.filter(({ id, security }) => Object.hasOwn(operations, id) && security.length > 0)
  .map(({ id, method, path, extensions }) => ({
    id,
    roles: extensions['x-role'] as readonly string[],
    targetIn: (tenant: string) =>
      `${method} ${path
        .replace(/\{tenant(Id)?\}/, tenant)
        .replaceAll(/\{\w+\}/g, sampleId)}` as `GET /${string}`,
  }))

describe.each(samples)('$id', ({ roles, targetIn }) => {
  test('401 without a credential, or with one that nobody has', async () => {
    for (const token of ['', 'csk_nobody', 'eyJhbGciOiJub25lIn0.e30.']) {
      const { status, body, headers } = await ast.call(targetIn('acme'), { token })
      expect(status).toBe(401)
      expect(body).toEqual({ message: 'No valid credential.', code: '4010', subsystem: 519 })
      expect(headers['www-authenticate']).toContain('Bearer')
    }
  })

  test('403 for a credential of another tenant, whether or not the tenant exists', async () => {
    for (const tenant of ['acme', 'nobody', 'SHOP']) {
      const { status, body } = await ast.call(targetIn(tenant), { token: ast.stranger })
      expect(status).toBe(403)
      expect(body).toMatchObject({ code: '4030', subsystem: 519 })
    }
  })

  test('403 without the role, before anything else is looked at', async () => {
    const foreign = await ast.addAccount('acme', ['tenant:write', 'verify'])
    const tokens = roles.includes('admin-write') ? [foreign, ast.reader] : [foreign]
    for (const token of tokens) {
      const { status, body } = await ast.call(targetIn('acme'), { token })
      expect(status).toBe(403)
      expect(body).toMatchObject({ code: '4030', subsystem: 519 })
    }
  })
})

describe('the gateway', () => {
  test('404 in the words of this surface for paths that nobody serves', async () => {
    for (const path of ['/v1', '/v3/tenants/acme/signers', '/v2/tenants/acme/nothing'] as const) {
      const { status, body } = await ast.callUnchecked(`GET ${path}`)
      expect(status).toBe(404)
      expect(body).toMatchObject({ code: '4040', subsystem: 519 })
    }
  })

  test('405 with Allow for another method', async () => {
    const { status, body, headers } = await ast.call('PUT /v2/tenants/acme/signers')
    expect(status).toBe(405)
    expect(body).toMatchObject({ code: '4050', subsystem: 519 })
    expect(headers.allow).toContain('POST')
  })

  test('400 for bodies that cannot be read, that do not fit, and for ids that are no ULID', async () => {
    const create = (body: unknown) => ast.call('POST /v2/tenants/acme/signers', { body })
    expect((await create('{"name":')).body).toMatchObject({ code: '4003', subsystem: 519 })
    const { status, body } = await create({ name: '' })
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: '4000', subsystem: 519 })
    expect(body.message).toContain('/name')
    for (const id of ['81F6MJ6J1AA8HWB7G6XRJB709E', '01f6mj6j1aa8hwb7g6xrjb709e', 'Current', 'x']) {
      const answer = await ast.call(`GET /v2/tenants/acme/signers/${id}`)
      expect(answer.status).toBe(400)
    }
  })

  test('415 for another media type, 413 for a body without end', async () => {
    const target = 'POST /v2/tenants/acme/signers'
    const headers = { 'content-type': 'application/xml' }
    const { status, body } = await ast.call(target, { headers, body: '<name/>' })
    expect(status).toBe(415)
    expect(body).toMatchObject({ code: '4150', subsystem: 519 })
    const long = await ast.call(target, { body: { name: 'x'.repeat(2_000_000) } })
    expect(long.status).toBe(413)
  })

  test('404 for a tenant that is not there, told to accounts of the platform alone', async () => {
    const { status, body } = await ast.call('GET /v2/tenants/nobody/signers/current', {
      token: ast.platform,
    })
    expect(status).toBe(404)
    expect(body).toMatchObject({ code: '4041', subsystem: 519 })
  })
})
