import { type Base64Alphabet, decodePlain, encodePlain } from './base64-plain.ts'

/**
 * Reads Base64 (RFC 4648 section 4) in its one canonical spelling: padded, bits beyond the last byte zero.
 *
 * @param options.xmlWhitespace allows blanks, tabs and line ends anywhere, as the XML type xs:base64Binary does.
 * @returns undefined for any other text.
 */
export function decodeBase64(
  text: string,
  options: { readonly xmlWhitespace?: boolean } = {},
): Uint8Array | undefined {
  const spelling = options.xmlWhitespace ? text.replace(/[ \t\r\n]+/g, '') : text
  return decodeCanonical(spelling, 'base64')
}

/**
 * Reads base64url without padding (RFC 4648 section 5, as JOSE uses it) in its one canonical spelling.
 *
 * @returns undefined for any other text, so that no two texts stand for the same bytes.
 */
export function decodeBase64url(text: string): Uint8Array | undefined {
  return decodeCanonical(text, 'base64url')
}

/** Writes Base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return encode(bytes, 'base64')
}

/** Writes base64url without padding. */
export function encodeBase64url(bytes: Uint8Array): string {
  return encode(bytes, 'base64url')
}

/** Node's own code where there is one, which is faster; browsers have none. */
const nodeBuffer: typeof Buffer | undefined = globalThis.Buffer

function encode(bytes: Uint8Array, alphabet: Base64Alphabet): string {
  if (nodeBuffer === undefined) return encodePlain(bytes, alphabet)
  return nodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(alphabet)
}

/** Node's decoder repairs what it is given; only a text that it would write itself is canonical. */
function decodeCanonical(text: string, alphabet: Base64Alphabet): Uint8Array | undefined {
  if (nodeBuffer === undefined) return decodePlain(text, alphabet)
  const bytes = nodeBuffer.from(text, alphabet)
  return bytes.toString(alphabet) === text ? Uint8Array.from(bytes) : undefined
}
