import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { writeCertificationRequest } from '@countersign/protocol/certificate/certificate-request.ts'
import { derFromRaw } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { writeName } from '@countersign/protocol/certificate/name.ts'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import { jwkThumbprint } from '@countersign/protocol/message/es256.ts'

/** A key of a device in a test. */
export interface TestKey {
  readonly privateKey: KeyObject
  readonly spki: Uint8Array
  readonly thumbprint: string
  /** DER. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

export function createTestKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }))
  return {
    privateKey,
    spki,
    thumbprint: jwkThumbprint(jwkFromSpki(spki)),
    sign: async (bytes) =>
      derFromRaw(sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}

/** A request of PKCS#10 with whatever name. */
export function csrOf(key: TestKey, signer: TestKey = key): Promise<Uint8Array> {
  const subject = writeName({ commonName: 'ignored' })
  return writeCertificationRequest({ subject, publicKey: key.spki }, signer.sign)
}
