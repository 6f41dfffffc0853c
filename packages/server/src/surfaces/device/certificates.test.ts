import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestKey, csrOf } from '#test/support/device-keys.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { enrolDevice } from '#test/support/test-device.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('getTrustAnchors', () => {
  test('200: the anchor and the signer that the first enrolment made', async () => {
    const device = await enrolDevice(api)
    await api.app.core.pki.issuance.issueDue()
    await device.login()
    const { status, body } = await device.call('GET /trust-anchors')
    expect(status).toBe(200)
    expect(body.anchors).toHaveLength(1)
    expect(body.signers).toMatchObject([
      { state: 'ACTIVE', chain: [expect.any(String), body.anchors[0]] },
    ])
  })
})

describe('requestCertificate', () => {
  test('202 with a reference; 403 without a verified user, 422 for a CSR or key that does not fit', async () => {
    const device = await enrolDevice(api)
    await device.login()
    const ask = (csr: string, profile = 'AST_DEVICE') =>
      device.call('POST /certificates', { body: { profile, csr } })
    const csr = encodeBase64(await csrOf(device.deviceKey))
    expect((await ask(csr)).body).toMatchObject({ status: 403, code: 'verification_required' })
    await device.login({ pin: '1234' })
    const asked = await ask(csr)
    expect(asked).toMatchObject({
      status: 202,
      headers: { location: `/device/v1/certificates/${asked.body.certRef}`, 'retry-after': '1' },
      body: { profile: 'AST_DEVICE', status: 'REQUESTED' },
    })
    expect((await ask(csr, 'TLS_CLIENT')).body).toMatchObject({ code: 'key_not_allowed' })
    const foreign = encodeBase64(await csrOf(device.deviceKey, createTestKey()))
    expect((await ask(foreign)).body).toMatchObject({ status: 422, code: 'csr_invalid' })
  })
})

describe('listCertificates', () => {
  test('200: newest first, without certificate and chain', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    await device.certify('AST_DEVICE')
    await device.certify('SIGNATURE')
    const { status, body } = await device.call('GET /certificates')
    expect(status).toBe(200)
    expect(body).toMatchObject([{ profile: 'SIGNATURE' }, { profile: 'AST_DEVICE' }])
    expect(body[0]).not.toHaveProperty('certificate')
  })
})

describe('getCertificate', () => {
  test('200 with certificate and chain once issued; 404 for another device', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const issued = await device.certify()
    expect(issued.body).toMatchObject({
      status: 'ISSUED',
      chain: [expect.any(String), expect.any(String)],
    })
    const other = await enrolDevice(api)
    await other.login()
    expect(await other.call(`GET /certificates/${issued.body.certRef}`)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
  })
})

describe('renewCertificate', () => {
  test('202 back to REQUESTED under the same reference; the former one works on', async () => {
    const device = await enrolDevice(api)
    await device.login({ pin: '1234' })
    const { body: first } = await device.certify()
    const csr = encodeBase64(await csrOf(device.deviceKey))
    const renewed = await device.call(`POST /certificates/${first.certRef}/renew`, {
      body: { csr },
    })
    expect(renewed).toMatchObject({
      status: 202,
      body: { certRef: first.certRef, status: 'REQUESTED' },
    })
    // There is one at every moment; the new one may be there already.
    const { body: meanwhile } = await device.call(`GET /certificates/${first.certRef}`)
    if (meanwhile.status === 'REQUESTED') expect(meanwhile.certificate).toBe(first.certificate)
    else expect(meanwhile.certificate).toBeDefined()
    await api.app.core.pki.issuance.issueDue()
    const issued = await device.call(`GET /certificates/${first.certRef}`)
    expect(issued.body.status).toBe('ISSUED')
    expect(issued.body.certificate).not.toBe(first.certificate)
  })
})
