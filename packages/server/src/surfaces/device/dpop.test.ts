import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestKey } from '#test/support/device-keys.ts'
import { hashOf, newJti, signJws } from '#test/support/device-signing.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { enrolDevice, sendToDeviceApi, type TestDevice } from '#test/support/test-device.ts'

let api: PlatformApi
let device: TestDevice

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  device = await enrolDevice(api)
  await device.login()
})
afterAll(() => api[Symbol.asyncDispose]())

const path = '/device/v1/device'

function send(headers: Record<string, unknown>): ReturnType<typeof sendToDeviceApi> {
  return sendToDeviceApi(api, { method: 'GET', path, headers: headers as Record<string, string> })
}

describe('the proof of a call', () => {
  test('401 dpop_invalid for another method, URL, token, key, or none at all', async () => {
    const authorization = `DPoP ${device.accessToken}`
    const cases: [string, string | undefined][] = [
      ['none', undefined],
      ['no JWS', 'x.y.z'],
      ['method', device.proof('POST', path)],
      ['path', device.proof('GET', '/device/v1/approvals')],
      ['host', device.proof('GET', path, { htu: `https://elsewhere.test${path}` })],
      ['query in htu', device.proof('GET', path, { htu: `https://countersign.test${path}?a=1` })],
      ['trailing slash', device.proof('GET', `${path}/`)],
      ['another token', device.proof('GET', path, { ath: hashOf('dat_another') })],
      ['no token', device.proof('GET', path, { ath: undefined })],
      ['claims beside those of the contract', signJws('login', device.deviceKey, {})],
    ]
    for (const [name, dpop] of cases) {
      const reply = await send({ authorization, ...(dpop === undefined ? {} : { dpop }) })
      expect({ name, status: reply.status, code: reply.body.code }).toEqual({
        name,
        status: 401,
        code: 'dpop_invalid',
      })
      expect(reply.headers['www-authenticate']).toBe(
        'DPoP error="invalid_dpop_proof", algs="ES256"',
      )
    }
  })

  test('a key that is not the device’s opens nothing, even with the token', async () => {
    const dpop = signJws('dpop', createTestKey(), {
      jti: newJti(),
      htm: 'GET',
      htu: `https://countersign.test${path}`,
      iat: device.nowSeconds,
      ath: hashOf(device.accessToken),
    })
    const reply = await send({ authorization: `DPoP ${device.accessToken}`, dpop })
    expect(reply.body.code).toBe('dpop_invalid')
  })

  test('counts once, and a second one beside it is refused', async () => {
    const authorization = `DPoP ${device.accessToken}`
    const dpop = device.proof('GET', path)
    expect((await send({ authorization, dpop })).status).toBe(200)
    expect(await send({ authorization, dpop })).toMatchObject({
      status: 401,
      body: { code: 'replayed' },
    })
    const two = [device.proof('GET', path), device.proof('GET', path)]
    expect((await send({ authorization, dpop: two })).body.code).toBe('dpop_invalid')
  })

  test('the query is no part of what is signed', async () => {
    const dpop = device.proof('GET', path)
    const authorization = `DPoP ${device.accessToken}`
    const reply = await sendToDeviceApi(api, {
      method: 'GET',
      path: `${path}?x=1`,
      headers: { authorization, dpop },
    })
    expect(reply.status).toBe(200)
  })

  test('needs no nonce; one that is not current asks for another', async () => {
    const nonce = await device.nonce()
    expect((await device.call('GET /device', { dpop: { nonce } })).status).toBe(200)
    const refused = await device.call('GET /device', { dpop: { nonce: 'A'.repeat(43) } })
    expect(refused).toMatchObject({
      status: 401,
      headers: {
        'dpop-nonce': expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
        'www-authenticate': 'DPoP error="use_dpop_nonce", algs="ES256"',
      },
      body: { code: 'use_dpop_nonce' },
    })
  })

  test('its time may be 120 s off, and no more', async () => {
    const at = (off: number) =>
      device.call('GET /device', { dpop: { iat: device.nowSeconds + off } })
    for (const off of [-120, 120]) expect((await at(off)).status).toBe(200)
    for (const off of [-121, 121]) {
      expect(await at(off)).toMatchObject({
        status: 401,
        body: { code: 'clock_skew', serverTime: new Date(api.clock()).toISOString() },
      })
    }
  })
})

describe('the token of a call', () => {
  test('401 token_invalid for none, a false one, another scheme, or two of them', async () => {
    const dpop = () => device.proof('GET', path)
    const cases: [string, unknown][] = [
      ['none', undefined],
      ['unknown', `DPoP dat_${'A'.repeat(43)}`],
      ['Bearer', `Bearer ${device.accessToken}`],
      ['long', `DPoP ${'A'.repeat(5_000)}`],
      ['two', [`DPoP ${device.accessToken}`, `DPoP ${device.accessToken}`]],
      ['empty', 'DPoP '],
    ]
    for (const [name, authorization] of cases) {
      const headers = authorization === undefined ? {} : { authorization }
      const reply = await send({ ...headers, dpop: dpop() })
      expect({ name, status: reply.status, code: reply.body.code }).toEqual({
        name,
        status: 401,
        code: 'token_invalid',
      })
    }
  })

  test('is looked at before the path, the path before the body, and a wrong method needs neither', async () => {
    const anonymous = { accessToken: null, dpop: null, body: '{' } as const
    expect((await device.call('POST /links', anonymous)).body.code).toBe('token_invalid')
    const unknown = await device.call('GET /approvals/none', {})
    expect(unknown).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect((await device.call('POST /links', { body: '{' })).body.code).toBe('malformed_body')
    expect((await device.call('PUT /device', {})).body.code).toBe('method_not_allowed')
    const body = { pin: '1234', pan: 1 }
    expect(await device.call('PUT /factors/pin', { body })).toMatchObject({
      status: 400,
      body: { code: 'validation_failed' },
    })
  })

  test('of one tenant opens nothing of another', async () => {
    await api.createTenant('shop')
    const other = await enrolDevice(api, { tenantId: 'shop' })
    await other.login({ pin: '1234' })
    const { body: issued } = await other.certify()
    expect((await device.call(`GET /certificates/${issued.certRef}`)).status).toBe(404)
    expect((await device.call(`DELETE /links/${other.userId}`)).status).toBe(404)
  })
})
