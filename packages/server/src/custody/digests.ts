import { hash } from 'node:crypto'

/** SHA-256 as bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer')
}

/** SHA-1 as bytes: names keys in certificates and OCSP, where nothing rests on it. */
export function sha1(bytes: Uint8Array): Uint8Array {
  return hash('sha1', bytes, 'buffer')
}
