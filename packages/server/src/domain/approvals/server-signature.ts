import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { EvidenceSignature } from './evidence-store.ts'

/** The server's own JWT as a part of the evidence. */
export function serverSignature(
  signedJwt: string,
  publicKey: Extract<EvidenceSignature['publicKey'], { kty: 'RSA' }>,
): EvidenceSignature {
  const signingInput = signedJwt.slice(0, signedJwt.lastIndexOf('.'))
  return {
    signer: 'SERVER_KEY',
    format: 'JWS',
    signedBytes: encodeBase64(Buffer.from(signingInput)),
    signature: signedJwt,
    publicKey,
    certificateChain: [],
  }
}
