import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase64, decodeBase64url } from './base64.ts'
import { type Base64Alphabet, decodePlain, encodePlain } from './base64-plain.ts'

const alphabets: readonly Base64Alphabet[] = ['base64', 'base64url']
const almost = fc.string({
  unit: fc.constantFrom(...'ABCZaz09+/-_=QYw \n'),
  maxLength: 12,
})

describe('Base64 without Buffer', () => {
  test.each(alphabets)('%s is written as Buffer writes it, and read back', (alphabet) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = encodePlain(bytes, alphabet)
        expect(text).toBe(Buffer.from(bytes).toString(alphabet))
        expect(decodePlain(text, alphabet)).toEqual(Uint8Array.from(bytes))
      }),
    )
  })

  test('R16: what is no canonical spelling is refused as it is with Buffer', () => {
    fc.assert(
      fc.property(fc.oneof(almost, fc.string({ unit: 'binary', maxLength: 12 })), (text) => {
        expect(decodePlain(text, 'base64')).toEqual(decodeBase64(text))
        expect(decodePlain(text, 'base64url')).toEqual(decodeBase64url(text))
      }),
      { numRuns: 5_000 },
    )
  })

  test.each(['A', 'AB', 'AAA', 'AB==', 'AAB=', '=', '====', 'A===', 'AA=A', 'AAAA='])(
    'R16: %j as Base64 as with Buffer',
    (text) => {
      expect(decodePlain(text, 'base64')).toEqual(decodeBase64(text))
      expect(decodePlain(text, 'base64url')).toEqual(decodeBase64url(text))
    },
  )
})
