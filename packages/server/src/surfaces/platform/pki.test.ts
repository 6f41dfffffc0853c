import {
  createHash,
  createPublicKey,
  verify as verifySignature,
  X509Certificate,
} from 'node:crypto'
import { parseCertificate } from '@countersign/protocol/certificate/certificate.ts'
import {
  type CertificateId,
  parseOcspRequest,
  writeOcspRequest,
} from '@countersign/protocol/certificate/ocsp-request.ts'
import { parseOcspResponse } from '@countersign/protocol/certificate/ocsp-response.ts'
import { fromPem } from '@countersign/protocol/certificate/pem.ts'
import { readPoint } from '@countersign/protocol/certificate/public-key.ts'
import { parseRevocationList } from '@countersign/protocol/certificate/revocation-list.ts'
import { encodeHex } from '@countersign/protocol/encoding/hex.ts'
import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Caller } from '#domain/callers/caller.ts'
import { rootId } from '#domain/certificates/issuer.ts'
import { createTestKey, csrOf } from '#test/support/device-keys.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let reader: string
let admin: string
let signerId: string

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  await api.createTenant('shop')
  reader = await api.createAccount('acme', ['tenant:read'])
  admin = await api.createAccount('acme', ['tenant:write'])
  const { pki } = api.app.core
  const signer = await pki.signers.create(Caller.system(), 'acme')
  signerId = signer.id
  await pki.issuance.issueDue()
})
afterAll(() => api[Symbol.asyncDispose]())

/** A certificate of a device that nobody had before; its reference. */
async function issue(userId = 'jsmith'): Promise<string> {
  const { pki } = api.app.core
  const key = createTestKey()
  const deviceId = api.app.composed.nextId()
  const caller = new Caller({
    type: 'DEVICE',
    id: deviceId,
    address: null,
    surface: 'device',
    requestId: null,
    tenantId: 'acme',
    scopes: [],
  })
  const owner = { tenantId: 'acme', deviceId, userId, deviceKey: key.thumbprint, bioKey: null }
  const csr = await csrOf(key)
  const { id } = await pki.certificates.request(caller, owner, { profile: 'AST_DEVICE', csr })
  await pki.issuance.issueDue()
  return id
}

const pathOf = (id: string, tenantId = 'acme') =>
  `/api/v1/tenants/${tenantId}/certificates/${id}` as const

describe('listCertificates', () => {
  test('200 pages of those that fit all filters', async () => {
    const ids = [await issue('lister'), await issue('lister'), await issue('lister')]
    const list = (query: string) =>
      api.call(`GET /api/v1/tenants/acme/certificates?userId=lister&${query}`, { as: reader })
    const first = await list('limit=2')
    expect(first.status).toBe(200)
    const second = await list(`limit=2&cursor=${first.body.nextCursor}`)
    const found = [...first.body.items, ...second.body.items]
    expect(found.map(({ id }: { id: string }) => id)).toEqual(ids)
    expect(found[0]).toMatchObject({ status: 'ISSUED', issuer: signerId, profile: 'AST_DEVICE' })
    expect((await list('status=REVOKED')).body.items).toEqual([])
    expect((await list('issuer=root')).body.items).toEqual([])
    expect((await list(`limit=2&status=ISSUED&cursor=${first.body.nextCursor}`)).status).toBe(400)
  })

  test('401 without credential, 403 without scope, 404 for another tenant', async () => {
    const path = 'GET /api/v1/tenants/acme/certificates'
    expect((await api.call(path, { as: null })).status).toBe(401)
    const verifier = await api.createAccount('acme', ['verify'])
    expect((await api.call(path, { as: verifier })).status).toBe(403)
    const stranger = await api.createAccount('shop', ['tenant:write'])
    expect((await api.call(path, { as: stranger })).status).toBe(404)
  })
})

describe('getCertificate', () => {
  test('200 with PEM that Node reads', async () => {
    const { status, body } = await api.call(`GET ${pathOf(await issue())}`, { as: reader })
    expect(status).toBe(200)
    const certificate = new X509Certificate(body.pem)
    expect(certificate.serialNumber.toLowerCase()).toBe(body.serialNumber)
    expect(new Date(certificate.validTo).toISOString()).toBe(body.notAfter)
  })

  test('404 for what is not there, or another tenant’s', async () => {
    const id = await issue()
    const missing = pathOf('01M7YRRT80694J86B922VC3AN4')
    expect((await api.call(`GET ${missing}`, { as: reader })).status).toBe(404)
    expect((await api.call(`GET ${pathOf(id, 'shop')}`, { as: api.adminSecret })).status).toBe(404)
  })
})

describe('revokeCertificate', () => {
  test('200 REVOKED, at once on the list and in OCSP; again 200, unchanged', async () => {
    const id = await issue()
    const { body: before } = await api.call(`GET ${pathOf(id)}`, { as: reader })
    expect(await ocspStatus(before.pem)).toMatchObject({ status: 'good' })
    expect(await listedSerials()).not.toContain(before.serialNumber)
    const revoke = (reason: string) =>
      api.call(`POST ${pathOf(id)}/revoke`, { as: admin, body: { reason } })
    const { status, body } = await revoke('KEY_COMPROMISE')
    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'REVOKED', revocationReason: 'KEY_COMPROMISE' })
    expect(await listedSerials()).toContain(before.serialNumber)
    expect(await ocspStatus(before.pem)).toMatchObject({ status: 'revoked', reason: 1 })
    expect((await revoke('SUPERSEDED')).body).toEqual(body)
  })

  test('409 for a signer, 403 for a reader, 404 for nothing, 400 for no reason', async () => {
    const body = { reason: 'SUPERSEDED' }
    const call = (id: string, request: object) => api.call(`POST ${pathOf(id)}/revoke`, request)
    expect(await call(signerId, { as: admin, body })).toMatchObject({
      status: 409,
      body: { code: 'state_conflict' },
    })
    expect((await call(signerId, { as: reader, body })).status).toBe(403)
    expect((await call('01M7YRRT80694J86B922VC3AN4', { as: admin, body: {} })).status).toBe(404)
    expect((await call(signerId, { as: admin, body: { reason: 'BORED' } })).status).toBe(400)
  })
})

describe('getIssuerCertificate', () => {
  test('200 DER of the root and of signers, for anybody', async () => {
    const root = await api.call(`GET /pki/acme/issuers/${rootId}/certificate`, { as: null })
    expect(root.status).toBe(200)
    expect(root.headers['content-type']).toBe('application/pkix-cert')
    expect(root.headers['cache-control']).toBe('public, max-age=3600')
    const signer = await api.call(`GET /pki/acme/issuers/${signerId}/certificate`, { as: null })
    const issuer = new X509Certificate(root.bytes)
    expect(new X509Certificate(signer.bytes).checkIssued(issuer)).toBe(true)
  })

  test('404 for an issuer or a tenant that is not there', async () => {
    for (const path of [
      'acme/issuers/01M7YRRT80694J86B922VC3AN4',
      'nobody/issuers/root',
      'shop/issuers/x',
    ]) {
      expect((await api.call(`GET /pki/${path}/certificate`, { as: null })).status).toBe(404)
    }
    expect(
      (await api.call(`GET /pki/shop/issuers/${signerId}/certificate`, { as: null })).status,
    ).toBe(404)
  })
})

describe('getIssuerChain', () => {
  test('200 PEM, the issuer first and its root last', async () => {
    const { status, bytes, headers } = await api.call(`GET /pki/acme/issuers/${signerId}/chain`, {
      as: null,
    })
    expect(status).toBe(200)
    expect(headers['content-type']).toContain('application/pem-certificate-chain')
    const chain = (fromPem('CERTIFICATE', bytes.toString()) ?? []).map(parseCertificate)
    expect(chain).toHaveLength(2)
    expect(chain[0]?.issuer).toEqual(chain[1]?.subject)
    expect(chain[1]?.issuer).toEqual(chain[1]?.subject)
  })
})

describe('getCrl', () => {
  test('200 a list that the issuer signed, valid for seven days, renewed after one', async () => {
    const { status, headers, bytes } = await api.call(`GET /pki/acme/issuers/${signerId}/crl`, {
      as: null,
    })
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/pkix-crl')
    const list = parseRevocationList(bytes, 1_000_000)
    expect(list.nextUpdateMs - list.thisUpdateMs).toBe(7 * 86_400_000)
    const issuer = new X509Certificate(
      (await api.call(`GET /pki/acme/issuers/${signerId}/certificate`, { as: null })).bytes,
    )
    expect(
      verifySignature(
        'sha256',
        list.tbs,
        { key: issuer.publicKey, dsaEncoding: 'ieee-p1363' },
        list.signature,
      ),
    ).toBe(true)
    const again = await api.call(`GET /pki/acme/issuers/${signerId}/crl`, { as: null })
    expect(again.bytes).toEqual(bytes)
    api.clock.advance(86_400_000)
    const next = await api.call(`GET /pki/acme/issuers/${signerId}/crl`, { as: null })
    expect(parseRevocationList(next.bytes, 1_000_000).thisUpdateMs).toBeGreaterThan(
      list.thisUpdateMs,
    )
    const rootList = await api.call(`GET /pki/acme/issuers/${rootId}/crl`, { as: null })
    expect(rootList.status).toBe(200)
  })
})

describe('getCrlShard', () => {
  test('200 the first part; 404 for parts without certificates', async () => {
    const path = `/pki/acme/issuers/${signerId}/crl` as const
    const plain = await api.call(`GET ${path}`, { as: null })
    expect((await api.call(`GET ${path}/0`, { as: null })).bytes).toEqual(plain.bytes)
    expect((await api.call(`GET ${path}/1`, { as: null })).status).toBe(404)
    expect((await api.call(`GET ${path}/x`, { as: null })).status).toBe(404)
  })
})

describe('queryOcsp', () => {
  test('200 good, signed by the issuer, with the nonce of the request', async () => {
    const { body } = await api.call(`GET ${pathOf(await issue())}`, { as: reader })
    const nonce = Buffer.from('0123456789abcdef')
    const response = await ask(writeOcspRequest([await idOf(body.pem)], nonce))
    if (typeof response === 'number') throw new Error(`refused: ${response}`)
    expect(response.answers[0]?.answer).toEqual({ status: 'good' })
    expect(Buffer.from(response.nonce ?? [])).toEqual(nonce)
    const signer = await api.call(`GET /pki/acme/issuers/${signerId}/certificate`, { as: null })
    const { publicKey } = parseCertificate(signer.bytes)
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' })
    const options = { key, dsaEncoding: 'ieee-p1363' } as const
    expect(verifySignature('sha256', response.tbs, options, response.signature)).toBe(true)
  })

  test('200 unknown for a serial that the issuer never gave out', async () => {
    const { body } = await api.call(`GET ${pathOf(await issue())}`, { as: reader })
    const id = { ...(await idOf(body.pem)), serial: Uint8Array.of(0x12, 0x34) }
    const response = await ask(writeOcspRequest([id]))
    expect(response).toMatchObject({ answers: [{ answer: { status: 'unknown' } }] })
  })

  test('200 unauthorized for an issuer of another tenant, malformedRequest for rubbish', async () => {
    const { body } = await api.call(`GET ${pathOf(await issue())}`, { as: reader })
    const request = writeOcspRequest([await idOf(body.pem)])
    expect(await ask(request, 'shop')).toBe(6)
    expect(await ask(Buffer.from('rubbish'))).toBe(1)
    expect(await ask(Buffer.alloc(0))).toBe(1)
    expect(await ask(Uint8Array.from([...request, 0]))).toBe(1)
  })

  test('404 for no tenant, 413 beyond 4 KiB, 415 for another media type', async () => {
    const raw = { contentType: 'application/ocsp-request', payload: new Uint8Array(10) }
    expect((await api.call('POST /pki/nobody/ocsp', { as: null, raw })).status).toBe(404)
    const large = { ...raw, payload: new Uint8Array(4_097) }
    expect((await api.call('POST /pki/acme/ocsp', { as: null, raw: large })).status).toBe(413)
    const json = { ...raw, contentType: 'application/json' }
    expect((await api.call('POST /pki/acme/ocsp', { as: null, raw: json })).status).toBe(415)
  })
})

describe('queryOcspByGet', () => {
  test('200 the same answer for the request in the path, with a cache', async () => {
    const { body } = await api.call(`GET ${pathOf(await issue())}`, { as: reader })
    const request = Buffer.from(writeOcspRequest([await idOf(body.pem)])).toString('base64')
    const { status, headers, bytes } = await api.call(
      `GET /pki/acme/ocsp/${encodeURIComponent(request)}`,
      { as: null },
    )
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('application/ocsp-response')
    expect(headers['cache-control']).toBe('public, max-age=60')
    expect(parseOcspResponse(bytes)).toMatchObject({ answers: [{ answer: { status: 'good' } }] })
    const rubbish = await api.call('GET /pki/acme/ocsp/rubbish', { as: null })
    expect(parseOcspResponse(rubbish.bytes)).toBe(1)
  })
})

describe('getTenantJwks', () => {
  test('200 the public keys that any JOSE library checks a checkpoint with', async () => {
    const auditor = await api.createAccount('acme', ['audit:read'])
    const checkpoint = await api.call('POST /api/v1/tenants/acme/audit/checkpoints', {
      as: auditor,
    })
    const { status, body, headers } = await api.call('GET /pki/acme/jwks', { as: null })
    expect(status).toBe(200)
    expect(headers['cache-control']).toContain('public')
    expect(body.keys).toHaveLength(1)
    expect(Object.keys(body.keys[0]).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    const { payload, protectedHeader } = await compactVerify(
      checkpoint.body.jws,
      await importJWK(body.keys[0], 'ES256'),
    )
    expect(protectedHeader).toMatchObject({ typ: 'countersign-checkpoint+jws' })
    expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({ tenantId: 'acme', v: 1 })
    expect(await api.call('GET /pki/_platform/jwks', { as: null })).toMatchObject({ status: 200 })
    expect(await api.call('GET /pki/nobody/jwks', { as: null })).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
  })
})

async function ask(payload: Uint8Array, tenantId = 'acme') {
  const raw = { contentType: 'application/ocsp-request', payload }
  const { status, bytes } = await api.call(`POST /pki/${tenantId}/ocsp`, { as: null, raw })
  expect(status).toBe(200)
  return parseOcspResponse(bytes)
}

/** How OCSP names a certificate of the signer. */
async function idOf(pem: string): Promise<Omit<CertificateId, 'der'>> {
  const [der = new Uint8Array()] = fromPem('CERTIFICATE', pem) ?? []
  const { serial, issuer } = parseCertificate(der)
  const signer = await api.call(`GET /pki/acme/issuers/${signerId}/certificate`, { as: null })
  const sha1 = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest()
  const issuerKeyHash = sha1(readPoint(parseCertificate(signer.bytes).publicKey))
  return { hash: 'sha1', issuerNameHash: sha1(issuer), issuerKeyHash, serial }
}

async function ocspStatus(pem: string) {
  const request = writeOcspRequest([await idOf(pem)])
  expect(parseOcspRequest(request).certificates).toHaveLength(1)
  const response = await ask(request)
  if (typeof response === 'number') throw new Error(`refused: ${response}`)
  return response.answers[0]?.answer
}

async function listedSerials(): Promise<string[]> {
  const { bytes } = await api.call(`GET /pki/acme/issuers/${signerId}/crl`, { as: null })
  return parseRevocationList(bytes, 1_000_000).entries.map(({ serial }) => encodeHex(serial))
}
