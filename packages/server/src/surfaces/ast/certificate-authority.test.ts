import { X509Certificate } from 'node:crypto'
import { decodeJwt, jwtVerify } from 'jose'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { platformAdmin } from '#test/support/core.ts'
import {
  type Answer,
  type AstInstallation,
  createAstInstallation,
  publicUrl,
} from './ast.fixture.ts'

let ast: AstInstallation
let count = 0
/** A tenant that nothing has happened in, and its administrator. */
let tenant: string
let token: string

beforeEach(async () => {
  ast ??= await createAstInstallation()
  tenant = `bank-${++count}`
  await ast.core.tenants.create(platformAdmin, { id: tenant, name: tenant })
  token = await ast.addAccount(tenant, ['ast:write'])
})
afterAll(() => ast[Symbol.asyncDispose]())

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

const v1 = (method: Method, body?: unknown): Promise<Answer> =>
  ast.call(`${method} /v1/tenants/${tenant}/signers`, { token, body })
const v2 = (method: Method, path = '', body?: unknown): Promise<Answer> =>
  ast.call(`${method} /v2/tenants/${tenant}/signers${path}`, { token, body })
const statusOf = (certRef: string): Promise<Answer> =>
  ast.call(`GET /v1/tenants/${tenant}/certificates/admin/${certRef}`, { token })

/** A signer whose certificate is issued; its id. */
async function issuedSigner(): Promise<string> {
  const { body } = await v2('POST')
  await ast.core.pki.issuance.issueDue()
  return body.id
}

const unknownId = '01F6MJ6J1AA8HWB7G6XRJB709E'
const conflict = { code: '4090', subsystem: 510 }
const noSigner = { code: '4041', subsystem: 510 }

function certificateOf(base64: string): X509Certificate {
  return new X509Certificate(Buffer.from(base64, 'base64'))
}

describe('createTenantSigner', () => {
  test('202 the first signer, ACTIVE, with a request under its id', async () => {
    const { status, body } = await v1('POST', { name: 'signer' })
    expect(status).toBe(202)
    expect(body).toMatchObject({ tenant, name: 'signer', generation: 0, state: 'ACTIVE' })
    expect((await statusOf(body.id)).body).toMatchObject({ certRef: body.id, signer: body.id })
  })

  test('409 while the tenant has a signer: version 1 never rotates', async () => {
    const { body: first } = await v1('POST', { name: 'signer' })
    const { status, body } = await v1('POST', { name: 'other' })
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: '4091', subsystem: 510 })
    expect((await v2('GET', '/current')).body.info.id).toBe(first.id)
  })

  test('400 without a name', async () => {
    expect((await v1('POST', {})).status).toBe(400)
    expect((await v1('POST')).status).toBe(400)
  })
})

describe('getTenantSigner', () => {
  test('200 the ACTIVE signer with its certificate, once there is one', async () => {
    const { body: made } = await v2('POST')
    await ast.core.pki.issuance.issueDue()
    const { status, body } = await v1('GET')
    expect(status).toBe(200)
    expect(body.info).toMatchObject({ id: made.id, state: 'ACTIVE' })
    expect(certificateOf(body.certificate).ca).toBe(true)
  })

  test('404 without a signer', async () => {
    const { status, body } = await v1('GET')
    expect(status).toBe(404)
    expect(body).toMatchObject(noSigner)
  })
})

describe('reissueTenantSigner', () => {
  test('202 a new certificate for the same key', async () => {
    await issuedSigner()
    const { body: before } = await v1('GET')
    ast.clock.advance(60_000)
    expect((await v1('PUT')).status).toBe(202)
    await ast.core.pki.issuance.issueDue()
    const { body: after } = await v1('GET')
    expect(after.info.id).toBe(before.info.id)
    const [old, renewed] = [certificateOf(before.certificate), certificateOf(after.certificate)]
    expect(renewed.serialNumber).not.toBe(old.serialNumber)
    expect(renewed.publicKey.equals(old.publicKey)).toBe(true)
  })

  test('PATCH does the same', async () => {
    const id = await issuedSigner()
    const target = `PATCH /v1/tenants/${tenant}/signers` as const
    const { status, body } = await ast.callUnchecked(target, { token, body: {} })
    expect(status).toBe(202)
    expect(body.id).toBe(id)
  })

  test('404 without a signer', async () => {
    expect((await v1('PUT', { ignoreNotIssued: true })).status).toBe(404)
  })
})

describe('deleteTenantSigner', () => {
  test('204 while nobody has asked it for a certificate, then 404', async () => {
    await issuedSigner()
    expect((await v1('DELETE')).status).toBe(204)
    expect((await v1('GET')).status).toBe(404)
    expect((await v1('DELETE')).status).toBe(404)
  })
})

describe('createSigner', () => {
  test('202 with the default name; the next one takes its place, which verifies on', async () => {
    const { status, body: first } = await v2('POST')
    expect(status).toBe(202)
    expect(first).toMatchObject({ name: 'signer-0', generation: 0, state: 'ACTIVE' })
    const { body: second } = await v2('POST', '', { name: 'Signer B' })
    expect(second).toMatchObject({ name: 'Signer B', generation: 1, state: 'ACTIVE' })
    expect((await v2('GET', `/${first.id}`)).body.info.state).toBe('RETIRED')
    expect((await v2('GET', '/current')).body.info.id).toBe(second.id)
  })

  test('one ACTIVE signer however many are made at once', async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => v2('POST')))
    expect(made.map(({ status }) => status)).toEqual(Array(6).fill(202))
    const states = await Promise.all(
      made.map(async ({ body }) => (await v2('GET', `/${body.id}`)).body.info.state),
    )
    expect(states.filter((state) => state === 'ACTIVE')).toHaveLength(1)
    expect(new Set(made.map(({ body }) => body.generation)).size).toBe(6)
  })

  test('400 for a name that is empty, too long or no text', async () => {
    for (const name of ['', 'x'.repeat(256), 'a\u0007b', 5]) {
      expect((await v2('POST', '', { name })).status).toBe(400)
    }
    expect((await v2('GET', '/current')).status).toBe(404)
  })

  test('the journal says who did it', async () => {
    await v2('POST')
    const records = await ast.journal(tenant)
    const made = records.find(({ action }) => action === 'signer.created')
    expect(JSON.parse(made?.text ?? '{}')).toMatchObject({ surface: 'ast' })
  })
})

describe('getSigner', () => {
  test('200 without certificate until it is issued', async () => {
    const { body: made } = await v2('POST')
    const early = await v2('GET', '/current')
    expect(early.body.info).toMatchObject({ id: made.id, state: 'ACTIVE' })
    await ast.core.pki.issuance.issueDue()
    const { status, body } = await v2('GET', `/${made.id}`)
    expect(status).toBe(200)
    expect(certificateOf(body.certificate).subject).toContain(`O=${tenant}`)
  })

  test('404 for what is not there, and for another tenant’s', async () => {
    expect((await v2('GET', '/current')).body).toMatchObject(noSigner)
    const id = await issuedSigner()
    expect((await v2('GET', `/${unknownId}`)).status).toBe(404)
    const other = await ast.call(`GET /v2/tenants/shop/signers/${id}`, { token: ast.stranger })
    expect(other.status).toBe(404)
    expect(other.body).toMatchObject(noSigner)
  })
})

describe('deleteSigner', () => {
  test('204 for an unused one; none takes its place', async () => {
    const first = await issuedSigner()
    const second = await issuedSigner()
    expect((await v2('DELETE', `/${second}`)).status).toBe(204)
    expect((await v2('GET', `/${second}`)).status).toBe(404)
    expect((await v2('GET', '/current')).status).toBe(404)
    expect((await v2('GET', `/${first}`)).body.info.state).toBe('RETIRED')
  })

  test('409 once somebody has asked it for a certificate', async () => {
    const id = await issuedSigner()
    await ast.composed.storage.transaction(({ pki }) => pki.issuers.markUsed(tenant, id))
    const { status, body } = await v2('DELETE', '/current')
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: '4092', subsystem: 510 })
  })
})

describe('getSignerChain', () => {
  test('200 the signer and its root, each signed by the next', async () => {
    await issuedSigner()
    const { status, body } = await v2('GET', '/current/chain')
    expect(status).toBe(200)
    const [signer, root] = body.chain.map(certificateOf) as X509Certificate[]
    expect(body.chain).toHaveLength(2)
    expect(root !== undefined && signer?.verify(root.publicKey)).toBe(true)
    expect(root?.verify(root.publicKey)).toBe(true)
  })

  test('409 before the certificate is issued and after the signer is revoked', async () => {
    const { body: made } = await v2('POST')
    await v2('POST', `/${made.id}/revoke`)
    const { status, body } = await v2('GET', `/${made.id}/chain`)
    expect(status).toBe(409)
    expect(body).toMatchObject(conflict)
  })
})

describe('renewSigner', () => {
  test('409 while one is asked for, also with ignoreNotIssued', async () => {
    await using quiet = await createAstInstallation()
    const { pki } = quiet.core
    const signers = '/v2/tenants/acme/signers'
    const { id } = (await quiet.call(`POST ${signers}`)).body
    await pki.issuance.issueDue()
    // Nothing is issued from here on.
    await pki.issuance.stop()
    expect((await quiet.call(`POST ${signers}/current/renew`)).status).toBe(202)
    for (const ignoreNotIssued of [false, true]) {
      const renewal = { body: { ignoreNotIssued } }
      const { status, body } = await quiet.call(`POST ${signers}/${id}/renew`, renewal)
      expect(status).toBe(409)
      expect(body).toMatchObject(conflict)
    }
    // The certificate that it has works on.
    expect((await quiet.call(`GET ${signers}/current`)).body.certificate).toBeDefined()
    const request = await quiet.call(`GET /v1/tenants/acme/certificates/admin/${id}`)
    expect(request.body.status).toBe('REQUESTED')
  })
})

describe('revokeSigner', () => {
  test('204: its certificate is gone, and so is the ACTIVE signer; nobody is promoted', async () => {
    const first = await issuedSigner()
    const second = await issuedSigner()
    expect((await v2('POST', '/current/revoke')).status).toBe(204)
    const { body } = await v2('GET', `/${second}`)
    expect(body.info.state).toBe('REVOKED')
    expect(body).not.toHaveProperty('certificate')
    expect((await v2('GET', '/current')).status).toBe(404)
    expect((await v2('GET', `/${first}`)).body.info.state).toBe('RETIRED')
  })

  test('409 the second time, and for a renewal', async () => {
    const id = await issuedSigner()
    await v2('POST', `/${id}/revoke`)
    expect((await v2('POST', `/${id}/revoke`)).body).toMatchObject(conflict)
    expect((await v2('POST', `/${id}/renew`, { ignoreNotIssued: true })).status).toBe(409)
  })
})

describe('getCertificateStatus', () => {
  test('200 of a signer under its id: who issues it, when, and for whom not', async () => {
    const id = await issuedSigner()
    const { status, body } = await statusOf(id)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      certRef: id,
      status: 'ISSUED',
      signer: id,
      user: null,
      client: null,
      certProfile: 'TENANT_SIGNER',
    })
    expect(Date.parse(body.issuedAt)).toBeGreaterThanOrEqual(Date.parse(body.requestedAt))
  })

  test('404 for a reference that nobody has, 400 for what is no reference', async () => {
    const { status, body } = await statusOf(unknownId)
    expect(status).toBe(404)
    expect(body).toMatchObject({ code: '4042', subsystem: 510 })
    expect((await statusOf('current')).status).toBe(400)
  })
})

describe('createSdkConfig', () => {
  const astUrl = 'https://gateway.example.com'
  const services = [{ name: 'astCa', url: 'https://ca.example.com' }]
  const configure = (body: unknown, headers: Record<string, string> = {}) =>
    ast.call(`POST /v1/tenants/${tenant}/sdkconfig`, { token, body, headers })

  /** The chain of the tenant's signer as certificates of servers, which the server does not look into. */
  async function someCertificates(): Promise<string[]> {
    await issuedSigner()
    return (await v2('GET', '/current/chain')).body.chain
  }

  test('200 a JWT that the ACTIVE signer has signed, with what was given', async () => {
    const chain = await someCertificates()
    const [signer = '', root = ''] = chain
    const lines = signer.replaceAll(/.{64}/g, '$&\r\n')
    const url = root.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
    const { status, body } = await configure({
      tlsBundle: [lines, url],
      astUrl,
      services,
      tenant: 'x',
    })
    expect(status).toBe(200)
    const key = certificateOf(signer).publicKey
    const { payload, protectedHeader } = await jwtVerify(body.sdkConfig, key, {
      currentDate: new Date(ast.clock()),
    })
    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'JWT', x5c: chain })
    const iat = Math.floor(ast.clock() / 1000)
    expect(payload).toEqual({ iss: publicUrl, iat, tenant, astUrl, tlsBundle: chain, services })
  })

  test('200 for a body as public clients write it: a certificate in lines with one behind the last, a member that nobody declared', async () => {
    const [certificate = ''] = await someCertificates()
    const inLines = certificate.replaceAll(/.{76}/g, '$&\n')
    const sample = { tlsBundle: [`${inLines}\n`], astUrl, services: [], tenant: 'master' }
    const { status, body } = await configure(JSON.stringify(sample, undefined, 2))
    expect(status).toBe(200)
    expect(decodeJwt(body.sdkConfig)).toMatchObject({
      tlsBundle: [certificate],
      tenant,
      services: [],
    })
  })

  test('200 with this server’s address where none is given; the JWT alone for those who want it', async () => {
    const tlsBundle = await someCertificates()
    const { status, headers, text } = await configure({ tlsBundle }, { accept: 'application/jwt' })
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/jwt')
    expect(decodeJwt(text)).toMatchObject({ astUrl: `${publicUrl}/ast`, services: [] })
    const either = await configure({ tlsBundle }, { accept: 'application/jwt, */*;q=0.1' })
    expect(either.headers['content-type']).toContain('application/json')
  })

  test('400 for what is no certificate, for none, and for addresses that are none', async () => {
    const [certificate = ''] = await someCertificates()
    const good = { tlsBundle: [certificate] }
    for (const body of [
      {},
      { tlsBundle: [] },
      { tlsBundle: Array(51).fill(certificate) },
      { tlsBundle: [certificate, 'AAAA'] },
      { tlsBundle: [`${certificate.slice(0, -8)}AAAA`] },
      { tlsBundle: ['&'] },
      { ...good, astUrl: 'ftp://example.com' },
      { ...good, services: [{ name: '', url: astUrl }] },
    ]) {
      const { status, body: error } = await configure(body)
      expect(status).toBe(400)
      expect(error).toMatchObject({ code: '4000', subsystem: 519 })
    }
    const { body } = await configure({ tlsBundle: [certificate, 'AAAA'] })
    expect(body.message).toContain('/tlsBundle/1')
  })

  test('404 without an ACTIVE signer, 409 before it has a certificate', async () => {
    const tlsBundle = await someCertificates()
    await v2('POST', '/current/revoke')
    expect((await configure({ tlsBundle })).body).toMatchObject(noSigner)
    await using quiet = await createAstInstallation()
    await quiet.core.pki.issuance.stop()
    await quiet.call('POST /v2/tenants/acme/signers')
    const { status, body } = await quiet.call('POST /v1/tenants/acme/sdkconfig', {
      body: { tlsBundle },
    })
    expect(status).toBe(409)
    expect(body).toMatchObject(conflict)
  })
})
