import { type KeyObject, sign, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'

/** RSA of at least 2048 bits, or P-256. */
export type ProviderAlgorithm = 'RS256' | 'ES256'

/**
 * A JWT by which somebody shows a provider who he is, as compact JWS. `alg` and `typ` are added to the header.
 *
 * @throws Error for a key that does not fit the algorithm.
 */
export function signProviderJwt(
  { algorithm, key }: { readonly algorithm: ProviderAlgorithm; readonly key: KeyObject },
  header: Readonly<Record<string, string>>,
  claims: Readonly<Record<string, unknown>>,
): string {
  if (key.asymmetricKeyType !== (algorithm === 'ES256' ? 'ec' : 'rsa')) {
    throw new Error('The key does not fit the algorithm.')
  }
  const parts = [{ alg: algorithm, typ: 'JWT', ...header }, claims]
  const signed = parts
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

/**
 * What a TLS client shows: a certificate with its chain, and the key of it.
 *
 * @returns undefined unless they belong together.
 */
export function clientIdentity(certificatePem: string, key: KeyObject): SecureContext | undefined {
  try {
    if (!new X509Certificate(certificatePem).checkPrivateKey(key)) return undefined
    const pem = key.export({ format: 'pem', type: 'pkcs8' })
    return createSecureContext({ cert: certificatePem, key: pem })
  } catch {
    return undefined
  }
}
