import { createECDH, generateKeyPairSync, sign, verify } from 'node:crypto'
import { expect, test } from 'vitest'
import { jwkFromSpki, writeSpki } from '../certificate/public-key.ts'
import { DerError } from '../der/der-reader.ts'
import { importEcPublicJwk, importEcPublicKey, rawSignature } from './es256.ts'

test('a signature in DER becomes that of a JWS, however short its numbers are', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (let round = 0; round < 300; round++) {
    const bytes = Buffer.from(String(round))
    const raw = rawSignature(sign('sha256', bytes, privateKey))
    expect(raw).toHaveLength(64)
    const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
    expect(verify('sha256', bytes, key, raw)).toBe(true)
  }
  expect(
    [...rawSignature(Buffer.from('3006020101020102', 'hex'))].filter((byte) => byte > 0),
  ).toEqual([1, 2])
})

test.each([
  '',
  '3000',
  '30060201010201',
  '300602010102010200',
  '30080201010201020201',
  '3006020181020102',
])('what is no signature is refused: %s', (hex) => {
  expect(() => rawSignature(Buffer.from(hex, 'hex'))).toThrow(DerError)
})

const spkiOf = (namedCurve: string): Uint8Array =>
  generateKeyPairSync('ec', { namedCurve }).publicKey.export({ format: 'der', type: 'spki' })

test('a public key is imported as it is, from both of its forms', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const bytes = Buffer.from('text')
  for (const imported of [importEcPublicKey(spki), importEcPublicJwk(jwkFromSpki(spki))]) {
    expect(imported?.equals(publicKey)).toBe(true)
    expect(verify('sha256', bytes, imported ?? '', sign('sha256', bytes, privateKey))).toBe(true)
  }
})

test('R17: whatever byte of a key is changed, it is another point or none, and never another kind of key', () => {
  const spki = spkiOf('P-256')
  for (let index = 0; index < spki.length; index++) {
    for (const change of [1, 0x80]) {
      const changed = Uint8Array.from(spki)
      changed[index] = (changed[index] ?? 0) ^ change
      // One of two values of x is on the curve, and y is never another one than its root.
      expect(importEcPublicKey(changed)).toBeUndefined()
    }
  }
})

test.each([
  ['of another curve', spkiOf('P-384')],
  ['of a curve that is as long', spkiOf('secp256k1')],
  [
    'of RSA',
    generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey.export({
      format: 'der',
      type: 'spki',
    }),
  ],
  ['with a byte behind it', Buffer.concat([spkiOf('P-256'), Buffer.of(0)])],
  ['that is cut off', spkiOf('P-256').subarray(0, -1)],
  ['that is nothing', new Uint8Array()],
  ['with a compressed point', compressedSpki()],
])('a key %s is none', (_name, spki) => {
  expect(importEcPublicKey(spki)).toBeUndefined()
})

test.each([
  ['another type', { kty: 'RSA' }],
  ['another curve', { crv: 'P-384' }],
  ['a coordinate too short', { x: 'AA' }],
  ['a coordinate off the curve', { y: Buffer.alloc(32, 1).toString('base64url') }],
  ['a coordinate in another spelling (R16)', { x: `${jwkFromSpki(spkiOf('P-256')).x}=` }],
])('a JWK with %s is none', (_name, change) => {
  const key = { ...jwkFromSpki(spkiOf('P-256')), ...change } as Parameters<
    typeof importEcPublicJwk
  >[0]
  expect(importEcPublicJwk(key)).toBeUndefined()
})

function compressedSpki(): Uint8Array {
  const pair = createECDH('prime256v1')
  pair.generateKeys()
  return writeSpki(pair.getPublicKey(null, 'compressed'))
}
