/** SHA-256, SHA-1 and signatures come from whoever calls: this code runs on servers and devices alike. */
export type Digest = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>

/** Signs with ECDSA over P-256 and SHA-256. @returns the signature in DER (ECDSA-Sig-Value). */
export type SignCallback = (bytes: Uint8Array) => Promise<Uint8Array>

/**
 * Checks ECDSA over P-256 and SHA-256. False also for a key that is no point of the curve; it never throws for what it
 * was given.
 *
 * @param spki the public key as SubjectPublicKeyInfo.
 * @param signature r and s, 32 bytes each: see `ecdsa-signature.ts`.
 */
export type VerifyCallback = (
  spki: Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
) => boolean | Promise<boolean>
