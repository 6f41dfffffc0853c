import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHex, encodeHex } from './hex.ts'

test('whatever is encoded is decoded to the same bytes, in either case', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 128 }), (bytes) => {
      expect(decodeHex(encodeHex(bytes))).toEqual(bytes)
      expect(decodeHex(encodeHex(bytes).toUpperCase())).toEqual(bytes)
    }),
  )
})

test('encodes a part of a larger buffer alone', () => {
  expect(encodeHex(Uint8Array.of(1, 2, 255, 4).subarray(2, 3))).toBe('ff')
})

test.each(['0', '0g', '0x10', '00 00', ' 00', '00\n', '\uff10\uff10', '00\u0000'])(
  'refuses %j',
  (text) => {
    expect(decodeHex(text)).toBeUndefined()
  },
)
