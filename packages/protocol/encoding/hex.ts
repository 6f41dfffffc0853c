const hexPattern = /^(?:[0-9A-Fa-f]{2})*$/

/**
 * Reads hex digits in either case.
 *
 * @returns undefined for an odd number of digits and for any other character.
 */
export function decodeHex(text: string): Uint8Array | undefined {
  return hexPattern.test(text) ? Uint8Array.from(Buffer.from(text, 'hex')) : undefined
}

/** Writes lower-case hex digits. */
export function encodeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
