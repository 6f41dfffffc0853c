import { hash } from 'node:crypto'
import { encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { CustomerKeys } from '../certificates/customer-keys.ts'
import type { Factor } from '../devices/device.ts'
import type { Storage } from '../storage.ts'
import { onceOnlyScheme } from '../users/identifier.ts'

/** A JWT, and the key that signed it. */
export interface SignedJwt {
  readonly jwt: string
  readonly publicKey: { readonly kty: 'RSA'; readonly n: string; readonly e: string }
}

/** What a JWT attests. */
export interface Attested {
  readonly tenantId: string
  readonly userId: string
  readonly factor: Factor
  /** Thumbprint of the device key. */
  readonly deviceKeyThumbprint: string
  /** Becomes the claim `td`, byte for byte. */
  readonly transactionData: string
  readonly operation?: { readonly reference: string; readonly payload: string | null } | undefined
  readonly lifeSeconds: number
  readonly nowMs: number
}

const wireFactors = { pin: 'pin', bio: 'biom' } as const

/** JWTs by which the server attests an authentication: `x-jwt` of the Keyless contract. */
export class CustomerJwts {
  readonly #storage: Storage
  readonly #keys: CustomerKeys
  readonly #publicUrl: () => string
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    customerKeys: CustomerKeys
    publicUrl: () => string
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#keys = dependencies.customerKeys
    this.#publicUrl = dependencies.publicUrl
    this.#randomness = dependencies.randomness
  }

  /** Takes a signature of an RSA key, so it comes before a transaction. */
  async sign(attested: Attested): Promise<SignedJwt> {
    const { tenantId, userId, operation, lifeSeconds, nowMs } = attested
    const iat = Math.floor(nowMs / 1000)
    const payload = operation?.payload ?? null
    const claims = {
      iss: this.issuerOf(tenantId),
      sub: await this.#subjectOf(tenantId, userId),
      iat,
      exp: iat + lifeSeconds,
      jti: this.#uuid(),
      td: attested.transactionData,
      amr: [wireFactors[attested.factor]],
      ...(operation === undefined ? {} : { operationId: operation.reference }),
      ...(payload === null ? {} : { operationPayloadHash: hash('sha256', payload, 'base64url') }),
      deviceId: attested.deviceKeyThumbprint,
    }
    const key = await this.#keys.active(tenantId)
    const header = { alg: 'RS256', typ: 'JWT', kid: key.kid }
    const signingInput = `${encode(header)}.${encode(claims)}`
    const signature = await this.#keys.sign(tenantId, key, Buffer.from(signingInput))
    const { n = '', e = '' } = key.publicJwk
    return {
      jwt: `${signingInput}.${encodeBase64url(signature)}`,
      publicKey: { kty: 'RSA', n, e },
    }
  }

  issuerOf(tenantId: string): string {
    return `${this.#publicUrl()}/keyless/customers/${encodeURIComponent(tenantId)}`
  }

  /** The Keyless id; a user without one is named by the native id. */
  async #subjectOf(tenantId: string, userId: string): Promise<string> {
    const identifiers = await this.#storage.read.userIdentifiers.listOf(tenantId, userId)
    return identifiers.find(({ scheme }) => scheme === onceOnlyScheme)?.value ?? userId
  }

  /** RFC 9562, version 4. */
  #uuid(): string {
    const bytes = Buffer.from(this.#randomness(16))
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6)
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
    const hex = bytes.toString('hex')
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }
}

function encode(part: object): string {
  return encodeBase64url(Buffer.from(JSON.stringify(part)))
}
