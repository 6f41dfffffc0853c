import { encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { encodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'

/** Node 24 and browsers in a secure context have the same. */
const { subtle } = globalThis.crypto

export type WebKey = Awaited<ReturnType<typeof subtle.importKey>>

export const p256 = { name: 'ECDSA', namedCurve: 'P-256' } as const
export const es256 = { name: 'ECDSA', hash: 'SHA-256' } as const

const jtiBytes = 16

export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle.digest('SHA-256', own(bytes)))
}

/** SHA-256 of a text in UTF-8, base64url. */
export async function textHash(text: string): Promise<string> {
  return encodeBase64url(await sha256(encodeUtf8(text)))
}

/** As `VerifyCallback` of the protocol: false for whatever does not verify. */
export async function verifyP256(
  spki: Uint8Array,
  bytes: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  try {
    const key = await subtle.importKey('spki', own(spki), p256, false, ['verify'])
    return await subtle.verify(es256, key, own(signature), own(bytes))
  } catch {
    // A point that is not on the curve.
    return false
  }
}

/** Name of something that is signed once: 128 random bits, base64url. */
export function newJti(): string {
  return encodeBase64url(globalThis.crypto.getRandomValues(new Uint8Array(jtiBytes)))
}

/** WebCrypto takes no view of shared memory, by its types. */
export function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes)
}
