import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { expect, test } from 'vitest'
import { DerError } from '../der/der-reader.ts'
import { rawSignature } from './es256.ts'

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
