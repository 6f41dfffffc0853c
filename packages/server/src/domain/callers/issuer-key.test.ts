import { describe, expect, test } from 'vitest'
import { findKey, readKeySet } from './issuer-key.ts'

/** RFC 7517, appendix A.1. */
const ec = {
  kty: 'EC',
  crv: 'P-256',
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  use: 'sig',
  kid: '1',
}
const rsa = {
  kty: 'RSA',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
  alg: 'RS256',
  kid: '2',
}
const keysOf = (...keys: unknown[]) => readKeySet(Buffer.from(JSON.stringify({ keys })))

describe('a published set', () => {
  test('gives the keys for signatures, with the members that count', () => {
    const { use: _, ...bareEc } = ec
    expect(keysOf({ ...ec, x5c: ['MIIB'], x5u: 'https://evil.example' }, rsa)).toEqual([
      bareEc,
      rsa,
    ])
    expect(keysOf(rsa, ec)).toEqual(keysOf(ec, rsa))
  })

  test.each([
    ['for encryption', { ...rsa, use: 'enc' }],
    ['for other operations', { ...rsa, key_ops: ['encrypt'] }],
    ['that are symmetric', { kty: 'oct', k: 'AAAA', alg: 'HS256' }],
    ['with their private half', { ...ec, d: 'AAAA' }],
    ['of RSA with 1024 bits', { ...rsa, n: rsa.n.slice(0, 171) }],
    ['of RSA with the exponent 1', { ...rsa, e: 'AQ' }],
    ['of RSA with an even exponent', { ...rsa, e: 'AQAC' }],
    ['of RSA with an exponent that costs', { ...rsa, e: rsa.n }],
    ['of another curve', { ...ec, crv: 'secp256k1' }],
    ['of a kind that is a list', { ...ec, kty: ['EC'] }],
    ['without a coordinate', { ...ec, y: undefined }],
    ['in padded base64', { ...ec, x: `${ec.x}=` }],
    ['with a kid that is a number', { ...ec, kid: 1 }],
    ['with a kid without end', { ...ec, kid: 'x'.repeat(256) }],
    ['that are no object', 'key'],
    ['that are null', null],
  ])('leaves out keys %s', (_name, key) => {
    expect(keysOf(ec, key)).toHaveLength(1)
  })

  test.each(['', '[]', 'null', '{}', '{"keys":null}', '{"keys":[],"keys":[]}', '{"keys":[]}x'])(
    'is not %j',
    (text) => {
      expect(readKeySet(Buffer.from(text))).toBeUndefined()
    },
  )

  test('has fifty keys that count at most', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, kid) => ({ ...ec, kid: `${kid}` }))
    expect(keysOf(...many(50))).toHaveLength(50)
    expect(keysOf(...many(51))).toBeUndefined()
  })
})

describe('a token means', () => {
  const { use: _, ...bareEc } = ec
  const both = [
    { ...bareEc, kty: 'EC' as const },
    { ...rsa, kty: 'RSA' as const },
  ]

  test.each([
    ['the key of its kid and algorithm', 'ES256', '1', '1'],
    ['no key of another kind', 'RS256', '1', undefined],
    ['no key of another curve', 'ES384', '1', undefined],
    ['no key that says another algorithm', 'PS256', '2', undefined],
    ['the only one that fits, without a kid', 'RS256', undefined, '2'],
    ['nothing by a kid that is null', 'RS256', null, undefined],
  ] as const)('%s', (_name, algorithm, kid, found) => {
    expect(findKey(both, algorithm, kid)?.kid).toBe(found)
  })

  test('none of several', () => {
    expect(findKey([...both, ...both], 'ES256', '1')).toBeUndefined()
  })
})
