import { describe, expect, test } from 'vitest'
import {
  deviceVectors,
  jwkOf,
  singleByteMutations,
  spkiOf,
  verify,
} from '../test-vectors/device-vectors.fixture.ts'
import { isJwsSignedBy, JwsError, type JwsKind, jwsKinds, parseCompactJws } from './compact-jws.ts'

const { jws: statement } = deviceVectors.enrolment.proof
const { jws: decision } = deviceVectors.operation.pin.assertion
const kid = deviceVectors.keys.device.thumbprint
const jwk = { kty: 'EC', crv: 'P-256', x: jwkOf('device').x, y: jwkOf('device').y }
const signature = 'A'.repeat(86)
const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const jwsOf = (header: unknown, payload: unknown = {}): string =>
  `${part(header)}.${part(payload)}.${signature}`
const decisionTyp = 'countersign-decision+jwt'

describe('R16: a JWS has one spelling', () => {
  test.each([
    ['padding', (jws: string) => `${jws}=`],
    ['a blank behind it', (jws: string) => `${jws} `],
    ['a line end in it', (jws: string) => jws.replace('.', '\n.')],
    ['a fourth part', (jws: string) => `${jws}.`],
    ['no signature', (jws: string) => jws.slice(0, jws.lastIndexOf('.') + 1)],
    ['characters of Base64', (jws: string) => jws.replaceAll('-', '+').replaceAll('_', '/')],
    ['a character of another script', (jws: string) => jws.replace('A', '\uff21')],
  ])('%s is refused', (_name, change) => {
    expect(() => parseCompactJws(change(decision), 'decision')).toThrow(JwsError)
  })

  test('no character can be another one', async () => {
    expect(
      await isJwsSignedBy(parseCompactJws(decision, 'decision'), spkiOf('device'), verify),
    ).toBe(true)
    for (const mutated of singleByteMutations(Buffer.from(decision))) {
      const text = Buffer.from(mutated).toString('latin1')
      try {
        const jws = parseCompactJws(text, 'decision')
        expect(await isJwsSignedBy(jws, spkiOf('device'), verify), text).toBe(false)
      } catch (error) {
        expect(error).toBeInstanceOf(JwsError)
      }
    }
  })
})

describe('no kind stands in for another', () => {
  const kinds = Object.keys(jwsKinds) as JwsKind[]

  test.each(kinds.filter((kind) => kind !== 'keys'))('a key statement is no %s', (kind) => {
    expect(() => parseCompactJws(statement, kind)).toThrow(JwsError)
  })

  test.each(kinds.filter((kind) => kind !== 'decision'))('a decision is no %s', (kind) => {
    expect(() => parseCompactJws(decision, kind)).toThrow(JwsError)
  })
})

describe('a header is refused', () => {
  test.each([
    ['another algorithm', { typ: decisionTyp, alg: 'HS256', kid }],
    ['none', { typ: decisionTyp, alg: 'none', kid }],
    ['no algorithm', { typ: decisionTyp, kid }],
    ['no kind', { alg: 'ES256', kid }],
    ['no key', { typ: decisionTyp, alg: 'ES256' }],
    ['a key of another form', { typ: decisionTyp, alg: 'ES256', kid: '1' }],
    ['a key that is no text', { typ: decisionTyp, alg: 'ES256', kid: [kid] }],
    ['the key itself where a name is wanted', { typ: decisionTyp, alg: 'ES256', jwk }],
    ['crit', { typ: decisionTyp, alg: 'ES256', kid, crit: ['b64'] }],
    ['another member', { typ: decisionTyp, alg: 'ES256', kid, jku: 'https://evil.test' }],
    ['an array', [decisionTyp]],
    ['null', null],
    ['no JSON', '{'],
    ['a member twice', `{"typ":"${decisionTyp}","alg":"ES256","kid":"${kid}","kid":"${kid}"}`],
    [
      'a member twice, written otherwise',
      `{"typ":"${decisionTyp}","alg":"ES256","k\\u0069d":"${kid}","kid":"${kid}"}`,
    ],
  ])('%s', (_name, header) => {
    expect(() => parseCompactJws(jwsOf(header), 'decision')).toThrow(JwsError)
  })

  test.each([
    ['on another curve', { ...jwk, crv: 'P-384' }],
    ['with its private half', { ...jwk, d: jwk.x }],
    ['with a coordinate of 31 bytes', { ...jwk, x: jwk.x.slice(0, 42) }],
    ['without y', { kty: 'EC', crv: 'P-256', x: jwk.x }],
    ['that is a text', 'key'],
  ])('a key %s', (_name, key) => {
    expect(() =>
      parseCompactJws(jwsOf({ typ: 'dpop+jwt', alg: 'ES256', jwk: key }), 'dpop'),
    ).toThrow(JwsError)
  })
})

test.each([
  ['a member twice', '{"jti":"1","jti":"2"}'],
  ['an array', '[]'],
  ['33 levels', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
  ['a byte order mark', '\ufeff{}'],
])('a payload with %s is refused', (_name, payload) => {
  const header = { typ: decisionTyp, alg: 'ES256', kid }
  expect(() => parseCompactJws(jwsOf(header, payload), 'decision')).toThrow(JwsError)
})

test('more than 16 KiB are not looked at', () => {
  const header = { typ: decisionTyp, alg: 'ES256', kid }
  const long = jwsOf(header, { text: 'x'.repeat(16_384) })
  expect(() => parseCompactJws(long, 'decision')).toThrow('too long')
})

test('a client assertion may have the type of stock libraries, or none', () => {
  for (const header of [
    { alg: 'ES256', kid },
    { typ: 'JWT', alg: 'ES256', kid },
  ]) {
    expect(parseCompactJws(jwsOf(header), 'clientAssertion').kid).toBe(kid)
    expect(() => parseCompactJws(jwsOf(header), 'login')).toThrow(JwsError)
  }
})
