import { createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { derFromRaw } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { spkiFromJwk } from '@countersign/protocol/certificate/public-key.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PinHasher } from '#custody/pin-hasher.ts'
import { sha256Hex } from '#custody/secrets.ts'
import { testCaller } from '#test/support/core.ts'
import type { TestKey } from '#test/support/device-keys.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { addTestUser, sendToDeviceApi, TestDevice, testApp } from '#test/support/test-device.ts'

/** The contract's published vectors, over HTTP. */
const vectors: Json = JSON.parse(
  readFileSync(
    new URL('../../../../protocol/test-vectors/device-vectors.json', import.meta.url),
    'utf8',
  ),
)
const { deviceId, userId, tenantId } = vectors.constants

let api: PlatformApi
let device: TestDevice

function keyOf(label: string): TestKey {
  const { privateJwk, thumbprint } = vectors.keys[label]
  const privateKey = createPrivateKey({ key: privateJwk, format: 'jwk' })
  return {
    privateKey,
    spki: spkiFromJwk(privateJwk) ?? new Uint8Array(),
    thumbprint,
    sign: async (bytes) =>
      derFromRaw(sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}

function negative(name: string): Json {
  const found = vectors.negative.find((one: Json) => one.name === name)
  if (found === undefined) throw new Error(`No vector "${name}".`)
  return found
}

function at(seconds: number): void {
  api.clock.set(seconds * 1000)
}

beforeEach(async () => {
  api = await createPlatformApi()
  at(vectors.constants.now)
  await api.createTenant(tenantId)
  await addTestUser(api, tenantId, userId)
  device = new TestDevice(api, { deviceKey: keyOf('device'), bioKey: keyOf('bio') })
}, 60_000)
afterEach(() => api[Symbol.asyncDispose]())

async function addCode(): Promise<void> {
  const nowMs = api.clock()
  await api.app.composed.storage.transaction(({ enrolmentCodes }) =>
    enrolmentCodes.insert({
      tenantId,
      id: api.app.composed.nextId(),
      codeHash: vectors.enrolment.codeHash,
      userId,
      externalUserId: null,
      deviceName: null,
      createdBy: 'bootstrap',
      createdAtMs: nowMs,
      expiresAtMs: nowMs + 600_000,
    }),
  )
}

/** The device of the vectors as it stands after its enrolment, with its id, PIN and token. */
async function addDevice(): Promise<void> {
  const pinHash = await new PinHasher().hash('1234')
  const nowMs = api.clock()
  const publicJwk = (label: string) => {
    const { kty, crv, x, y } = vectors.keys[label].privateJwk
    return { kty, crv, x, y }
  }
  await api.app.composed.storage.transaction(async (stores) => {
    const { integrity } = vectors.enrolment.request.app
    for (const [label, purpose] of [
      ['device', 'DEVICE'],
      ['bio', 'BIO'],
    ] as const) {
      const { thumbprint } = vectors.keys[label]
      const key = { thumbprint, ownerTenantId: tenantId, deviceId, purpose }
      await stores.enrolledKeys.take(key, nowMs)
    }
    await stores.devices.insert({
      tenantId,
      id: deviceId,
      keyThumbprint: vectors.keys.device.thumbprint,
      publicKey: publicJwk('device'),
      enrolledVia: 'DEVICE',
      name: null,
      model: null,
      osName: null,
      osVersion: null,
      app: { ...testApp, integrity },
      pushToken: null,
      locales: [],
      createdAtMs: nowMs,
    })
    const { proof, bioProof } = vectors.enrolment
    await stores.deviceLinks.put({
      tenantId,
      deviceId,
      userId,
      bio: {
        jwk: publicJwk('bio'),
        thumbprint: vectors.keys.bio.thumbprint,
        statement: bioProof.jws,
      },
      keyStatement: proof.jws,
      linkedAtMs: nowMs,
    })
    await stores.devicePins.setFirst(tenantId, userId, pinHash, nowMs)
    await stores.deviceSessions.insert({
      tenantId,
      tokenHash: sha256Hex(vectors.dpop.accessToken),
      deviceId,
      userId,
      scope: 'device',
      factor: 'pin',
      verifiedAtMs: nowMs,
      sessionEpoch: 1,
      linkEpoch: 1,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + 300_000,
    })
  })
  device.id = deviceId
  device.userId = userId
  device.accessToken = vectors.dpop.accessToken
}

function call(method: string, path: string, dpop: string): ReturnType<typeof sendToDeviceApi> {
  const authorization = `DPoP ${vectors.dpop.accessToken}`
  return sendToDeviceApi(api, { method, path, headers: { authorization, dpop } })
}

describe('enrolment', () => {
  test('the published request enrols', async () => {
    await addCode()
    const reply = await device.post('/device/v1/enrolments', vectors.enrolment.request)
    expect(reply).toMatchObject({
      status: 201,
      body: { userId, tenantId, factors: ['bio', 'pin'] },
    })
    device.id = reply.body.deviceId
    device.userId = userId
    const login = { ...vectors.enrolment.request.app }
    expect((await device.login({ pin: '1234', assertion: { app: login } })).status).toBe(200)
    expect((await device.call('GET /device')).body).toMatchObject({
      keyThumbprint: vectors.keys.device.thumbprint,
      name: 'Pixel of Ada',
      pushRegistered: true,
      locales: ['de-DE', 'en'],
    })
  })

  test.each(['enrolment proof for another code', 'enrolment proof without signature'])(
    '%s',
    async (name) => {
      await addCode()
      const { proof, status, code } = negative(name)
      const { bioProof: _, ...request } = vectors.enrolment.request
      const reply = await device.post('/device/v1/enrolments', { ...request, proof })
      expect(reply).toMatchObject({ status, body: { code } })
    },
  )
})

describe('calls', () => {
  test('the published proofs open the calls that they name', async () => {
    await addDevice()
    for (const { method, url, jws, claims } of vectors.dpop.proofs) {
      // A stream that is let in does not end.
      if (url.endsWith('/events')) continue
      at(claims.iat)
      const reply = await call(method, new URL(url).pathname, jws)
      expect(reply.status).not.toBe(401)
    }
  })

  test.each(['DPoP key is not the device key', 'DPoP for another URL', 'DPoP proof used twice'])(
    '%s',
    async (name) => {
      await addDevice()
      const { dpop, status, code, repeat = 1 } = negative(name)
      at(1_779_359_410)
      for (let first = 1; first < repeat; first++) {
        expect((await call('GET', '/device/v1/device', dpop)).status).toBe(200)
      }
      expect(await call('GET', '/device/v1/device', dpop)).toMatchObject({ status, body: { code } })
    },
  )

  test.each(vectors.clock.cases)(
    'clock: signed at $iat, now $now',
    async (...[{ iat, now, pass }]) => {
      await addDevice()
      at(now)
      const { status, body } = await device.call('GET /device', { dpop: { iat } })
      expect({ status, code: body.code }).toEqual(
        pass ? { status: 200, code: undefined } : { status: 401, code: 'clock_skew' },
      )
    },
  )
})

describe('logins', () => {
  test('the published assertion, with a proof that has a nonce of this server', async () => {
    await addDevice()
    const { clientAssertion } = vectors.token
    at(clientAssertion.claims.iat)
    const { dpop, form } = await device.loginRequest({
      pin: '1234',
      form: { client_assertion: clientAssertion.jws },
    })
    expect(await device.sendToken(form, { dpop })).toMatchObject({
      status: 200,
      body: {
        token_type: 'DPoP',
        user_id: userId,
        amr: ['pin'],
        auth_time: clientAssertion.claims.iat,
      },
    })
  })

  test('the published forms fit; only their nonce is not of this server', async () => {
    await addDevice()
    for (const { dpop, body } of [vectors.token.bio, vectors.token.pin]) {
      at(dpop.claims.iat)
      const reply = await device.sendToken(body, { dpop: dpop.jws })
      expect(reply.body.code).toBe('use_dpop_nonce')
    }
  })

  test('token request without server nonce', async () => {
    await addDevice()
    const { dpop, status, code } = negative('token request without server nonce')
    at(1_779_359_405)
    const reply = await device.sendToken(vectors.token.pin.body, { dpop })
    expect(reply).toMatchObject({ status, body: { code } })
  })

  test.each([
    ['client assertion of a foreign key', 'client_assertion'],
    ['login assertion signed by the device key', 'bio_assertion'],
  ])('%s', async (name, member) => {
    await addDevice()
    const vector = negative(name)
    at(1_779_359_405)
    const { dpop, form } = await device.loginRequest({ form: { [member]: vector[member] } })
    const { status, body } = await device.sendToken(form, { dpop })
    expect({ status, code: body.code }).toEqual({ status: vector.status, code: vector.code })
  })
})

describe('factors and certificates', () => {
  test('the published statement replaces the biometric key', async () => {
    await addDevice()
    const { claims, proof, bioProof } = vectors.replaceBioKey
    at(claims.iat)
    await device.login({ pin: '1234' })
    const body = { proof: proof.jws, bioProof: bioProof.jws }
    expect((await device.call('PUT /factors/bio', { body })).status).toBe(204)
    device.bioKey = keyOf('bio-2')
    expect((await device.login({ bio: true })).body.amr).toEqual(['bio'])
  })

  test('the published CSR is certified for the device and its user', async () => {
    await addDevice()
    const { csr, profile } = vectors.certificate
    const asked = await device.call('POST /certificates', { body: { profile, csr } })
    expect(asked.body).toMatchObject({ code: 'signer_unavailable', status: 409 })
    const { pki } = api.app.core
    await pki.signers.create(testCaller(tenantId, ['tenant:write']), tenantId)
    await pki.issuance.issueDue()
    const queued = await device.call('POST /certificates', { body: { profile, csr } })
    expect(queued.status).toBe(202)
    await pki.issuance.issueDue()
    const issued = await device.call(`GET /certificates/${queued.body.certRef}`)
    expect(issued.body.status).toBe('ISSUED')
  })
})
