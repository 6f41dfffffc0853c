import { execFileSync, spawnSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createInstallation, type Installation } from './keyless.fixture.ts'

let installation: Installation
beforeAll(async () => {
  installation = await createInstallation()
})
afterAll(() => installation[Symbol.asyncDispose]())

const call: Installation['call'] = (...given) => installation.call(...given)
const verdict = async (jwt: string, more: object = {}) =>
  (await call('POST /v2/verify-jwt', { body: { jwt, ...more } })).body
const td = '[{"Amount":"500 EUR"},{"Payee":"1234"}]'

/** A JWT as a real device gets it. */
async function attested(): Promise<{ jwt: string; userId: string; deviceJkt: string }> {
  const { device, userId } = await installation.enrol()
  const operationId = `jwt-${device.id}`
  const body = { operationId, operationPayload: 'Approve 500 EUR' }
  await call(`POST /v2/users/${userId}/operations`, { body })
  const { body: waiting } = await device.call('GET /approvals')
  const { body: shown } = await device.retrieve(waiting[0].approvalId)
  const decided = await device.acceptWithFactor(shown, { pin: '1234', transactionData: td })
  return { jwt: decided.body.signedJwt, userId, deviceJkt: device.deviceKey.thumbprint }
}

describe('getCustomerPublicKey', () => {
  test('200 with the PEM of the first key of the key set, in lines of 64, each ended by LF', async () => {
    const { body } = await call('GET /v2/verify-jwt/public-key')
    const lines = body.publicKey.split('\n')
    expect(lines.at(0)).toBe('-----BEGIN PUBLIC KEY-----')
    expect(lines.slice(1, -3).every((line: string) => line.length === 64)).toBe(true)
    expect(lines.slice(-2)).toEqual(['-----END PUBLIC KEY-----', ''])
    const { keys } = (await call('GET /customers/acme/.well-known/jwks.json', { key: null })).body
    const { n, e } = createPublicKey(body.publicKey).export({ format: 'jwk' })
    expect({ n, e }).toEqual({ n: keys[0].n, e: keys[0].e })
    const other = await call('GET /v2/verify-jwt/public-key', { key: installation.keys.other })
    expect(other.body.publicKey).not.toBe(body.publicKey)
  })
})

describe('getCustomerJwks', () => {
  test('200 without a key, to be kept for an hour; kid is the RFC 7638 thumbprint', async () => {
    const { headers, body } = await call('GET /customers/acme/.well-known/jwks.json', { key: null })
    expect(headers['cache-control']).toBe('public, max-age=3600')
    const [key] = body.keys
    expect(key.kid).toBe(await calculateJwkThumbprint({ kty: 'RSA', n: key.n, e: key.e }))
    expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
    expect(Buffer.from(key.n, 'base64url').length).toBeGreaterThanOrEqual(256)
  })

  test('200: twenty first readers at once see one and the same key', async () => {
    const tenantId = await installation.api.createTenant('fresh')
    const path = `GET /customers/${tenantId}/.well-known/jwks.json` as const
    const replies = await Promise.all(Array.from({ length: 20 }, () => call(path, { key: null })))
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1)
    expect(replies[0]?.body.keys).toHaveLength(1)
  })

  test('404 for an unknown customer and for a name that none can have', async () => {
    for (const name of ['nobody', '_platform', 'a%2Fb', '%00', '-']) {
      const reply = await call(`GET /customers/${name}/.well-known/jwks.json`, { key: null })
      expect(reply).toMatchObject({ status: 404, body: { code: 10404 } })
    }
  })

  test('a retired key stays in the set and verifies, behind the one that signs now', async () => {
    const { jwt } = await attested()
    const { storage } = installation.api.app.composed
    const { customerKeys } = installation.core.pki
    const before = await customerKeys.active('acme')
    installation.clock.advance(1000)
    await storage.transaction(async ({ signingKeys }) => {
      const atMs = installation.clock()
      await signingKeys.retireOthers('acme', 'keyless', { kid: 'a new one', atMs })
    })
    const { body } = await call('GET /customers/acme/.well-known/jwks.json', { key: null })
    expect(body.keys).toHaveLength(2)
    expect(body.keys[0].kid).not.toBe(before.kid)
    expect(body.keys[1].kid).toBe(before.kid)
    expect(await verdict(jwt)).toEqual({ result: true, success: true })
    const { publicKey } = (await call('GET /v2/verify-jwt/public-key')).body
    expect(createPublicKey(publicKey).export({ format: 'jwk' }).n).toBe(body.keys[0].n)
  })
})

describe('verifyJwt', () => {
  test('200 true for the JWT of a decision, and any library verifies it by the key set', async () => {
    const { jwt, userId, deviceJkt } = await attested()
    expect(await verdict(jwt)).toEqual({ result: true, success: true })
    const { body } = await call('GET /customers/acme/.well-known/jwks.json', { key: null })
    const { payload, protectedHeader } = await jwtVerify(jwt, createLocalJWKSet(body), {
      issuer: 'https://countersign.test/keyless/customers/acme',
      algorithms: ['RS256'],
      currentDate: new Date(installation.clock()),
    })
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' })
    expect(payload).toMatchObject({ td, sub: userId, amr: ['pin'], deviceId: deviceJkt })
  })

  test('the openssl command verifies it from the PEM alone, and from the key set alone', async () => {
    const { jwt } = await attested()
    const { publicKey } = (await call('GET /v2/verify-jwt/public-key')).body
    const { keys } = (await call('GET /customers/acme/.well-known/jwks.json', { key: null })).body
    const { n, e } = keys[0]
    for (const pem of [publicKey, pemOfNumbers(n, e)]) {
      expect(opensslVerdict(jwt, pem)).toBe('Verified OK')
      const [header, payload = '', signature] = jwt.split('.')
      const other = Buffer.from(payload, 'base64url').toString().replace('500', '900')
      const changed = [header, Buffer.from(other).toString('base64url'), signature].join('.')
      expect(opensslVerdict(changed, pem)).toBe('Verification failure')
    }
  })

  test('200 true under each of the three names, and as text/plain', async () => {
    const { jwt } = await attested()
    for (const name of ['jwt', 'signedJwt', 'message']) {
      const { body } = await call('POST /v2/verify-jwt', { body: { [name]: jwt } })
      expect(body).toEqual({ result: true, success: true })
    }
    const plain = { payload: jwt, headers: { 'content-type': 'text/plain; charset=utf-8' } }
    expect((await call('POST /v2/verify-jwt', plain)).body.result).toBe(true)
  })

  test('200 false expired from exp on; ignoreExpiry looks at the rest alone', async () => {
    const { jwt } = await attested()
    installation.clock.advance(299_999)
    expect(await verdict(jwt)).toMatchObject({ result: true })
    installation.clock.advance(1)
    expect(await verdict(jwt)).toEqual({ result: false, success: false, reason: 'expired' })
    expect(await verdict(jwt, { ignoreExpiry: true })).toMatchObject({ result: true })
  })

  test('200 false unknown-key for another customer', async () => {
    const { jwt } = await attested()
    const { body } = await call('POST /v2/verify-jwt', {
      body: { jwt },
      key: installation.keys.other,
    })
    expect(body).toEqual({ result: false, success: false, reason: 'unknown-key' })
  })

  test('R5: 200 false for every other algorithm, type and key, whatever the header says', async () => {
    const { jwt } = await attested()
    const [head = '', claims = '', signature = ''] = jwt.split('.')
    const header = JSON.parse(Buffer.from(head, 'base64url').toString())
    const { publicKey } = (await call('GET /v2/verify-jwt/public-key')).body
    const { createHmac } = await import('node:crypto')
    const own = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const withHeader = (changed: object, signer: (input: string) => Buffer) => {
      const input = `${encode(changed)}.${claims}`
      return `${input}.${signer(input).toString('base64url')}`
    }
    const kept = () => Buffer.from(signature, 'base64url')
    const ownKey = (input: string) => sign('sha256', Buffer.from(input), own.privateKey)
    const hmac = (input: string) => createHmac('sha256', publicKey).update(input).digest()
    const jwk = own.publicKey.export({ format: 'jwk' })
    const cases: [string, string][] = [
      [withHeader({ ...header, alg: 'none' }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, alg: 'HS256' }, hmac), 'unsupported-algorithm'],
      [withHeader({ ...header, alg: 'PS256' }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, alg: 'rs256' }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, alg: ['RS256'] }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, typ: 'dpop+jwt' }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, typ: undefined }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, crit: ['exp'] }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, b64: false }, kept), 'unsupported-algorithm'],
      [withHeader({ ...header, kid: undefined }, kept), 'unknown-key'],
      [withHeader({ ...header, kid: 'constructor' }, kept), 'unknown-key'],
      [withHeader({ ...header, kid: 7, jwk }, ownKey), 'unknown-key'],
      [withHeader({ ...header, jwk }, ownKey), 'bad-signature'],
      [withHeader({ ...header, jku: 'https://evil.test' }, ownKey), 'bad-signature'],
      [withHeader(header, () => Buffer.alloc(256)), 'bad-signature'],
      [withHeader(header, () => Buffer.alloc(1)), 'bad-signature'],
      [withHeader({ ...header, extra: 1 }, kept), 'bad-signature'],
    ]
    for (const [token, reason] of cases) {
      expect(await verdict(token)).toEqual({ result: false, success: false, reason })
    }
    const changed = encode({ ...JSON.parse(Buffer.from(claims, 'base64url').toString()), td: 'x' })
    expect(await verdict(`${head}.${changed}.${signature}`)).toMatchObject({
      reason: 'bad-signature',
    })
  })

  test('200 false wrong-issuer for what the key has signed for somebody else', async () => {
    const { customerKeys } = installation.core.pki
    const key = await customerKeys.active('acme')
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = { iss: 'https://countersign.test/keyless/customers/other', exp: 9_999_999_999 }
    const input = `${encode({ alg: 'RS256', typ: 'JWT', kid: key.kid })}.${encode(claims)}`
    const signature = Buffer.from(await customerKeys.sign('acme', key, Buffer.from(input)))
    const jwt = `${input}.${signature.toString('base64url')}`
    expect(
      verify(
        'sha256',
        Buffer.from(input),
        createPublicKey({ key: key.publicJwk, format: 'jwk' }),
        signature,
      ),
    ).toBe(true)
    expect(await verdict(jwt)).toEqual({ result: false, success: false, reason: 'wrong-issuer' })
    expect(await verdict(jwt, { ignoreExpiry: true })).toMatchObject({ reason: 'wrong-issuer' })
  })

  test('R16: 400 for every spelling but the canonical one, and for what is no JWS', async () => {
    const { jwt } = await attested()
    const [head = '', claims = '', signature = ''] = jwt.split('.')
    const next = { A: 'B', Q: 'R', g: 'h', w: 'x' } as Record<string, string>
    const lastBits = signature.slice(0, -1) + (next[signature.at(-1) ?? ''] ?? '_')
    const text = (value: string) => Buffer.from(value).toString('base64url')
    const spellings = [
      `${jwt}=`,
      ` ${jwt}`,
      `${jwt}\n`,
      `${jwt}.`,
      `${jwt}.x`,
      jwt.replace('.', '..'),
      `${head}.${claims}`,
      `${head}.${claims}.`,
      `${head}.${claims}.${lastBits}`,
      `${head}.${claims}.${signature.replace(/[-_]/, '+')}+`,
      `${text('[]')}.${claims}.${signature}`,
      `${text('{"alg":"RS256","alg":"none"}')}.${claims}.${signature}`,
      `${text('{')}.${claims}.${signature}`,
      `${head}.${text('null')}.${signature}`,
      `${head}.${text('"x"')}.${signature}`,
      `${text(`{"a":${'['.repeat(40)}${']'.repeat(40)}}`)}.${claims}.${signature}`,
      `${'a'.repeat(16_385)}.a.a`,
      '',
      'x',
    ]
    for (const spelling of spellings) {
      const asJson = await call('POST /v2/verify-jwt', { body: { jwt: spelling } })
      expect(asJson, spelling).toMatchObject({ status: 400, body: { code: 10400 } })
      const plain = { payload: spelling, headers: { 'content-type': 'text/plain' } }
      expect(await call('POST /v2/verify-jwt', plain), spelling).toMatchObject({ status: 400 })
    }
  })

  test('400 for none and for two of the names; a null one counts as absent', async () => {
    const { jwt } = await attested()
    for (const body of [
      {},
      { jwt, message: jwt },
      { jwt: 7 },
      [jwt],
      { jwt, ignoreExpiry: 'yes' },
    ]) {
      expect(await call('POST /v2/verify-jwt', { body })).toMatchObject({ status: 400 })
    }
    const body = { jwt, message: null, signedJwt: null, ignoreExpiry: null }
    expect(await call('POST /v2/verify-jwt', { body })).toMatchObject({ body: { result: true } })
  })
})

/** What openssl says of an RS256 JWT; of this server it knows the key alone. */
function opensslVerdict(jwt: string, pem: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-jwt-'))
  try {
    const [key, signature] = [join(folder, 'key.pem'), join(folder, 'signature')]
    const end = jwt.lastIndexOf('.')
    writeFileSync(key, pem)
    writeFileSync(signature, Buffer.from(jwt.slice(end + 1), 'base64url'))
    const checks = ['dgst', '-sha256', '-verify', key, '-signature', signature]
    return spawnSync('openssl', checks, { input: jwt.slice(0, end) })
      .stdout.toString()
      .trim()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A public key in PEM, which openssl makes of the numbers of a JWK. */
function pemOfNumbers(n: string, e: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-jwk-'))
  try {
    const hex = (text: string) => Buffer.from(text, 'base64url').toString('hex')
    const lines = [
      'asn1=SEQUENCE:key',
      '[key]',
      'algorithm=SEQUENCE:algorithm',
      'bits=BITWRAP,SEQUENCE:numbers',
      '[algorithm]',
      'oid=OID:rsaEncryption',
      'parameters=NULL',
      '[numbers]',
      `n=INTEGER:0x${hex(n)}`,
      `e=INTEGER:0x${hex(e)}`,
    ]
    const [text, der] = [join(folder, 'key.cnf'), join(folder, 'key.der')]
    writeFileSync(text, `${lines.join('\n')}\n`)
    execFileSync('openssl', ['asn1parse', '-genconf', text, '-noout', '-out', der])
    const convert = ['rsa', '-pubin', '-inform', 'DER', '-in', der]
    return execFileSync('openssl', convert, { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
