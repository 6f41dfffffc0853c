import { createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { inspect } from 'node:util'

/** RS256: RSA of 2048 to 8192 bits; ES256: P-256. */
export type ProviderAlgorithm = 'RS256' | 'ES256'

const rsaBits = { min: 2048, max: 8192 } as const

/** A private key that a tenant was given by a provider of something, to sign its way in there. */
export class ProviderKey {
  readonly algorithm: ProviderAlgorithm
  readonly #key: KeyObject

  private constructor(algorithm: ProviderAlgorithm, key: KeyObject) {
    this.algorithm = algorithm
    this.#key = key
  }

  /** @returns undefined for what is no PEM of an unencrypted key for this algorithm. */
  static read(pem: string, algorithm: ProviderAlgorithm): ProviderKey | undefined {
    const key = readPrivateKey(pem)
    return key !== undefined && fits(key, algorithm) ? new ProviderKey(algorithm, key) : undefined
  }

  /** A JWT as compact JWS; `alg` and `typ` are added to the header. */
  signJwt(header: Readonly<Record<string, string>>, claims: Readonly<Record<string, unknown>>) {
    const { algorithm } = this
    const parts = [{ alg: algorithm, typ: 'JWT', ...header }, claims]
    const signed = parts
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    const key = { key: this.#key, dsaEncoding: 'ieee-p1363' } as const
    const signature = sign('sha256', Buffer.from(signed), key).toString('base64url')
    return `${signed}.${signature}`
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}

/** What a TLS client shows: a certificate with its chain and the key of it. @returns undefined unless they belong together. */
export function clientIdentity(certificatePem: string, keyPem: string): SecureContext | undefined {
  const key = readPrivateKey(keyPem)
  if (key === undefined) return undefined
  try {
    if (!new X509Certificate(certificatePem).checkPrivateKey(key)) return undefined
    return createSecureContext({ cert: certificatePem, key: keyPem })
  } catch {
    return undefined
  }
}

function readPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: pem, format: 'pem' })
  } catch {
    return undefined
  }
}

function fits({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, algorithm: string): boolean {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {}
  if (algorithm === 'ES256') return asymmetricKeyType === 'ec' && namedCurve === 'prime256v1'
  return asymmetricKeyType === 'rsa' && modulusLength >= rsaBits.min && modulusLength <= rsaBits.max
}
