import { createPublicKey, hash, type JsonWebKey } from 'node:crypto'
import { calculateJwkThumbprint } from 'jose'
import { describe, expect, test } from 'vitest'
import { findJwtFlaw } from '#domain/approvals/customer-jwt-check.ts'
import { keyOfPoint, pemOfKey, pointOfKey } from '#domain/devices/device-key-forms.ts'
import { contractOf } from '#test/support/contract-files.ts'

const { operations } = contractOf('keyless')

// biome-ignore lint/suspicious/noExplicitAny: examples of every shape
function exampleOf(operationId: string, name: string, isRequest = false): any {
  const operation = operations.find(({ id }) => id === operationId)
  const contents = isRequest
    ? (operation?.requestBody?.contents ?? [])
    : (operation?.responses.flatMap((response) => response.contents) ?? [])
  const found = contents.find(({ examples }) => name in examples)
  if (found === undefined) throw new Error(`${operationId} has no example ${name}.`)
  return found.examples[name]
}

const jwt: string = exampleOf('verifyJwt', 'pinJwt', true).jwt
const [key] = exampleOf('getCustomerJwks', 'one').keys
const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
const rule = {
  keys: new Map<string, JsonWebKey>([[key.kid, key]]),
  issuer: claims.iss,
  nowMs: claims.iat * 1000,
  ignoresExpiry: false,
}

describe('the examples of the contract are live', () => {
  test('the JWT verifies against the key of the key set while its time lasts', () => {
    expect(findJwtFlaw(jwt, rule)).toBeUndefined()
    expect(findJwtFlaw(jwt, { ...rule, nowMs: claims.exp * 1000 })).toBe('expired')
    expect(findJwtFlaw(jwt, { ...rule, issuer: 'https://countersign.test' })).toBe('wrong_issuer')
    expect(findJwtFlaw(jwt, { ...rule, keys: new Map() })).toBe('unknown_key')
    expect(exampleOf('verifyJwt', 'raw', true)).toBe(jwt)
  })

  test('the kid is the thumbprint of the key, and the PEM is the same key', async () => {
    expect(await calculateJwkThumbprint({ kty: 'RSA', n: key.n, e: key.e })).toBe(key.kid)
    const { publicKey } = exampleOf('getCustomerPublicKey', 'key')
    expect(createPublicKey(publicKey).export({ format: 'jwk' })).toMatchObject({
      n: key.n,
      e: key.e,
    })
    const written = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    expect(written).toBe(publicKey)
  })

  test('its claims hash the payload of the example operation and name the example device', () => {
    const { operationPayload } = exampleOf('getOperation', 'approved')
    expect(claims.operationPayloadHash).toBe(hash('sha256', operationPayload, 'base64url'))
    const [{ authentications }] = exampleOf('listUserAuthentications', 'one').content
    expect(claims.deviceId).toBe(authentications[0].deviceId)
  })

  test('the device key is a point, its thumbprint the deviceId, and its PEM is written as shown', async () => {
    const [device] = exampleOf('listUserDevices', 'one')
    const jwk = keyOfPoint(device.publicSigningKey)
    if (jwk === undefined) throw new Error('No point.')
    expect(pointOfKey(jwk)).toBe(device.publicSigningKey)
    const pem = Buffer.from(device.publicEncryptionKey, 'base64').toString()
    const shown = createPublicKey(pem).export({ format: 'jwk' }) as never
    expect(pemOfKey(shown)).toBe(pem)
    expect(claims.deviceId).toBe(await calculateJwkThumbprint(jwk))
  })
})

test.each([
  ['a point of 64 bytes', Buffer.alloc(64, 4).toString('base64')],
  ['a compressed point', Buffer.alloc(33, 2).toString('base64')],
  ['a point off the curve', Buffer.from([4, ...Array(64).fill(1)]).toString('base64')],
  ['base64url', `${'B_'.repeat(44)}`],
  ['nothing', ''],
])('%s is no device key', (_what, text) => {
  expect(keyOfPoint(text)).toBeUndefined()
})
