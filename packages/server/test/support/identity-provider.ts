import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type SigningAlgorithm = 'ES256' | 'ES384' | 'EdDSA' | 'PS256' | 'RS256'

export interface ProviderKey {
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export interface TokenOptions {
  /** Absent: the newest key. */
  readonly key?: ProviderKey
  /** Instead of `alg`, `typ` and `kid` of the key; `undefined` leaves one out. */
  readonly header?: Readonly<Record<string, unknown>>
  /** Exact text of the header or the payload. */
  readonly headerText?: string
  readonly payloadText?: string
  /** Signs in the key's place. */
  readonly signer?: (input: Buffer) => Uint8Array
}

/** An OIDC provider of somebody else's, on 127.0.0.1, as a realm of Keycloak behaves. */
export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
  readonly jwksUri: string
  /** How often its keys were asked for. */
  readonly fetchCount: number
  readonly keys: readonly ProviderKey[]
  /** What its claims count from. */
  clock: () => number
  /** Adds a key that signs from now on; the others stay published. */
  rotate(alg?: SigningAlgorithm): ProviderKey
  /** Takes a key back. */
  withdraw(kid: string): void
  /** Answers in its own way from now on; undefined: as it should. */
  answerWith(answering: ((response: ServerResponse) => void) | undefined): void
  /** A signed token with these claims beside the usual ones; `undefined` leaves one out. */
  token(claims?: Readonly<Record<string, unknown>>, options?: TokenOptions): string
}

const digests = { ES256: 'sha256', ES384: 'sha384', EdDSA: null, PS256: 'sha256', RS256: 'sha256' }

export async function startIdentityProvider(realm = 'acme'): Promise<IdentityProvider> {
  let keys: ProviderKey[] = []
  let keyCount = 0
  let fetchCount = 0
  let answering: ((response: ServerResponse) => void) | undefined
  const server = createServer((_request, response) => {
    fetchCount += 1
    if (answering !== undefined) answering(response)
    else {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(keySetOf(keys)))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}/realms/${realm}`

  const provider: IdentityProvider = {
    issuer,
    jwksUri: `${issuer}/protocol/openid-connect/certs`,
    get fetchCount() {
      return fetchCount
    },
    get keys() {
      return keys
    },
    clock: Date.now,
    rotate(alg = 'RS256') {
      const key = { kid: `${realm}-${++keyCount}`, alg, ...generatePair(alg) }
      keys.push(key)
      return key
    },
    withdraw(kid) {
      keys = keys.filter((key) => key.kid !== kid)
    },
    answerWith(next) {
      answering = next
    },
    token(claims = {}, { key = keys.at(-1), header, headerText, payloadText, signer } = {}) {
      if (key === undefined) throw new Error('The provider has no key.')
      const nowSeconds = Math.floor(provider.clock() / 1000)
      const payload = {
        exp: nowSeconds + 300,
        iat: nowSeconds,
        jti: `${realm}-${nowSeconds}`,
        iss: issuer,
        aud: ['ast', 'account'],
        sub: 'f3a1b2c4-0000-4000-8000-000000000001',
        typ: 'Bearer',
        azp: 'portal',
        realm_access: { roles: ['offline_access', 'ast-admin-read'] },
        ...claims,
      }
      const input = [
        headerText ?? JSON.stringify({ alg: key.alg, typ: 'JWT', kid: key.kid, ...header }),
        payloadText ?? JSON.stringify(payload),
      ]
        .map((text) => Buffer.from(text).toString('base64url'))
        .join('.')
      const signature = (signer ?? signerOf(key))(Buffer.from(input))
      return `${input}.${Buffer.from(signature).toString('base64url')}`
    },
    async [Symbol.asyncDispose]() {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  provider.rotate()
  return provider
}

/** Signs as the header of the key's tokens says. */
export function signerOf({ alg, privateKey }: ProviderKey): (input: Buffer) => Uint8Array {
  return (input) =>
    sign(digests[alg], input, {
      key: privateKey,
      ...(alg === 'PS256' ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : {}),
      ...(alg.startsWith('ES') ? { dsaEncoding: 'ieee-p1363' } : {}),
    })
}

/** HMAC with what everybody knows: the public key, in the spelling that libraries would take for a secret. */
export function hmacWithPublicKey({ publicKey }: ProviderKey): (input: Buffer) => Uint8Array {
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  return (input) => createHmac('sha256', pem).update(input).digest()
}

export function publicJwkOf({ kid, alg, publicKey }: ProviderKey): Record<string, unknown> {
  return { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
}

/** As Keycloak publishes them: with a key for encryption and members that nobody needs. */
function keySetOf(keys: readonly ProviderKey[]): { keys: unknown[] } {
  const published = keys.map((key) => ({
    ...publicJwkOf(key),
    x5c: ['MIIClTCCAX0CBgGW'],
    x5t: 'dEH5pm6g',
  }))
  const [first] = published
  return { keys: [{ ...first, kid: 'enc', use: 'enc', alg: 'RSA-OAEP' }, ...published] }
}

function generatePair(alg: SigningAlgorithm): Pick<ProviderKey, 'privateKey' | 'publicKey'> {
  switch (alg) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' })
    case 'EdDSA':
      return generateKeyPairSync('ed25519')
    case 'PS256':
    case 'RS256':
      return rsaPair()
  }
}

/** Keys of RSA take long to make; each test file makes a few. */
function rsaPair(): Pick<ProviderKey, 'privateKey' | 'publicKey'> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { privateKey, publicKey: createPublicKey(privateKey) }
}
