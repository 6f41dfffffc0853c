import type { Credential } from '#domain/otp-tokens/credential-delivery.ts'
import type { Schemas } from './contract.gen.ts'
import { showCrypto } from './wire.ts'

/** Secrets are kept by nobody on the way. */
export const noStore = { 'cache-control': 'no-store' } as const

/** Contract, schema Credential. */
export function showCredential({
  token,
  secretBase32,
  otpauthUri,
}: Credential): Schemas['Credential'] {
  const { serial, product, type, algorithm, digits, periodSeconds, counter } = token
  return {
    serial,
    manufacturerCode: product.manufacturerCode,
    productCode: product.productCode,
    algorithm: type,
    crypto: showCrypto(algorithm) as Schemas['Crypto'],
    digits,
    ...(periodSeconds === null ? {} : { timeWindow: periodSeconds }),
    ...(counter === null ? {} : { counter }),
    encode: 'BASE32',
    seed: secretBase32,
    uri: otpauthUri,
  }
}
