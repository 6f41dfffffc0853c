import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type DeviceJwsKind,
  deviceSigningInput,
  type EcPublicJwk,
  isEcPublicJwk,
  readDeviceJws,
} from './device-jws.ts'
import { importEcPublicJwk, jwkThumbprint, verifyEs256 } from './es256.ts'

interface Key {
  readonly privateJwk: EcPublicJwk & { readonly d: string }
  readonly thumbprint: string
}

/** The published vectors of the device protocol. */
const vectors = JSON.parse(
  readFileSync(new URL('../test-vectors/device-vectors.json', import.meta.url), 'utf8'),
) as {
  keys: Record<string, Key>
  enrolment: { proof: { jws: string }; bioProof: { jws: string }; claims: object }
  replaceBioKey: { proof: { jws: string }; bioProof: { jws: string }; claims: object }
  token: {
    clientAssertion: { jws: string; claims: object }
    bio: { assertion: { jws: string; claims: object }; dpop: { jws: string; claims: object } }
  }
  dpop: { proofs: { jws: string; claims: object }[] }
  tms: { reject: { assertion: { jws: string; claims: object } } }
  operation: {
    pin: { assertion: { jws: string; claims: object } }
    bio: { assertion: { jws: string; claims: object } }
  }
  authentication: { assertion: { jws: string; claims: object } }
  requestProof: { jws: string; claims: object }
}

function publicOf(label: string): EcPublicJwk {
  const key = vectors.keys[label]
  if (key === undefined) throw new Error(`no key ${label}`)
  const { kty, crv, x, y } = key.privateJwk
  return { kty, crv, x, y }
}

const { token, operation, enrolment, replaceBioKey } = vectors
const published: readonly [string, DeviceJwsKind, string, { jws: string; claims: object }][] = [
  [
    'key statement of the device',
    'keys',
    'device',
    { ...enrolment.proof, claims: enrolment.claims },
  ],
  ['key statement, biometric', 'keys', 'bio', { ...enrolment.bioProof, claims: enrolment.claims }],
  ['key change', 'keys', 'device', { ...replaceBioKey.proof, claims: replaceBioKey.claims }],
  [
    'key change, biometric',
    'keys',
    'bio-2',
    { ...replaceBioKey.bioProof, claims: replaceBioKey.claims },
  ],
  ['client assertion', 'client', 'device', token.clientAssertion],
  ['biometric login', 'login', 'bio', token.bio.assertion],
  ['DPoP at the token', 'dpop', 'device', token.bio.dpop],
  ...vectors.dpop.proofs.map(
    (proof, index) => [`DPoP ${index}`, 'dpop', 'device', proof] as const satisfies unknown[],
  ),
  ['acceptance with PIN', 'decision', 'device', operation.pin.assertion],
  ['biometric acceptance', 'decision', 'bio', operation.bio.assertion],
  ['signed rejection', 'decision', 'device', vectors.tms.reject.assertion],
  ['spontaneous authentication', 'decision', 'bio', vectors.authentication.assertion],
  ['request to a backend', 'request', 'device', vectors.requestProof],
]

function verified(label: string, kind: DeviceJwsKind, jws: string): boolean {
  const key = importEcPublicJwk(publicOf(label))
  const read = readDeviceJws(kind, jws)
  return (
    key !== undefined && read !== undefined && verifyEs256(key, read.signingInput, read.signature)
  )
}

describe('published vectors', () => {
  test.each(Object.entries(vectors.keys).filter(([, key]) => key.privateJwk.kty === 'EC'))(
    'thumbprint of %s',
    (label, { thumbprint }) => {
      expect(jwkThumbprint(publicOf(label))).toBe(thumbprint)
    },
  )

  test.each(published)('%s', (_name, kind, label, { jws, claims }) => {
    const read = readDeviceJws(kind, jws)
    expect(read?.claims).toEqual(claims)
    expect(read?.jwk ?? read?.kid).toEqual(
      read?.jwk === undefined ? vectors.keys[label]?.thumbprint : publicOf(label),
    )
    expect(verified(label, kind, jws)).toBe(true)
    const key = read?.jwk === undefined ? { kid: String(read?.kid) } : { jwk: read.jwk }
    expect(`${deviceSigningInput(kind, key, claims)}.${jws.split('.')[2]}`).toBe(jws)
  })

  test.each(published)('%s is read as no other kind', (_name, kind, _label, { jws }) => {
    const kinds: readonly DeviceJwsKind[] = [
      'keys',
      'client',
      'dpop',
      'login',
      'decision',
      'request',
    ]
    expect(kinds.filter((other) => readDeviceJws(other, jws) !== undefined)).toEqual([kind])
  })

  test('R5: a signature of another key is refused', () => {
    expect(verified('other-device', 'dpop', token.bio.dpop.jws)).toBe(false)
    expect(verified('device', 'login', token.bio.assertion.jws)).toBe(false)
  })
})

function withHeader(change: object, jws = token.bio.dpop.jws): string {
  const [header = '', payload, signature] = jws.split('.')
  const former = JSON.parse(Buffer.from(header, 'base64url').toString()) as object
  return `${encode({ ...former, ...change })}.${payload}.${signature}`
}

function withClaims(change: object, jws = token.bio.dpop.jws): string {
  const [header, payload = '', signature] = jws.split('.')
  const former = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  return `${header}.${encode({ ...former, ...change })}.${signature}`
}

function encode(value: unknown): string {
  const json = typeof value === 'string' ? value : JSON.stringify(value)
  return Buffer.from(json).toString('base64url')
}

describe('a text that is no such JWS', () => {
  const jws = token.bio.dpop.jws
  const pin = operation.pin.assertion.jws
  const [header = '', payload = '', signature = ''] = jws.split('.')

  test.each([
    ['alg none', withHeader({ alg: 'none' })],
    ['alg HS256', withHeader({ alg: 'HS256' })],
    ['another typ', withHeader({ typ: 'JWT' })],
    ['no typ', withHeader({ typ: undefined })],
    ['crit', withHeader({ crit: ['b64'], b64: false })],
    ['kid beside jwk', withHeader({ kid: 'a'.repeat(43) })],
    ['jku', withHeader({ jku: 'https://evil.test' })],
    ['a private jwk', withHeader({ jwk: { ...publicOf('device'), d: 'AAAA' } })],
    ['a jwk of another curve', withHeader({ jwk: { ...publicOf('device'), crv: 'P-384' } })],
    ['a claim of another type', withClaims({ iat: '1779359405' })],
    ['a missing claim', withClaims({ jti: undefined })],
    ['a short jti', withClaims({ jti: 'short' })],
    ['R16: padding', `${header}=.${payload}.${signature}`],
    ['R16: a blank', `${header} .${payload}.${signature}`],
    ['R16: a line end', `${jws}\n`],
    ['R16: bits beyond the last byte', `${header}.${payload}.${signature.slice(0, -1)}x`],
    ['R16: the other alphabet', jws.replaceAll('_', '/').replaceAll('-', '+')],
    ['four parts', `${jws}.${signature}`],
    ['two parts', `${header}.${payload}`],
    [
      'a member twice',
      `${encode('{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256"}')}.${payload}.${signature}`,
    ],
    ['no object', `${header}.${encode([])}.${signature}`],
    ['too long', `${header}.${payload}${'A'.repeat(20_000)}.${signature}`],
  ])('%s', (_name, text) => {
    expect(readDeviceJws('dpop', text)).toBeUndefined()
  })

  test.each([
    ['acceptance without amr', { amr: undefined }],
    ['rejection with amr', { decision: 'reject' }],
    ['an unknown claim', { scope: 'tms' }],
    ['an approval without its hash', { payloadHash: undefined }],
    ['two factors', { amr: ['pin', 'bio'] }],
  ])('a decision: %s', (_name, change) => {
    expect(readDeviceJws('decision', withClaims(change, pin))).toBeUndefined()
  })

  test('any changed character of a signed message is refused, or breaks the signature', () => {
    fc.assert(
      fc.property(fc.nat(jws.length - 1), fc.constantFrom(...'AZaz09-_.= '), (at, character) => {
        fc.pre(jws[at] !== character)
        const changed = jws.slice(0, at) + character + jws.slice(at + 1)
        expect(verified('device', 'dpop', changed)).toBe(false)
      }),
    )
  })

  test('anything at all gives an answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(readDeviceJws('decision', text)).toBeUndefined()
      }),
    )
    expect(isEcPublicJwk(null)).toBe(false)
  })
})
