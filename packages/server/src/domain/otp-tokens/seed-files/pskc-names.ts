import type { XmlName } from './xml-queries.ts'

/** Namespaces of RFC 6030 section 1.3. */
export const namespaces = {
  pskc: 'urn:ietf:params:xml:ns:keyprov:pskc',
  ds: 'http://www.w3.org/2000/09/xmldsig#',
  xenc: 'http://www.w3.org/2001/04/xmlenc#',
  xenc11: 'http://www.w3.org/2009/xmlenc11#',
  pkcs5: 'http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#',
} as const

export interface CipherMethod {
  readonly name: 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc'
  readonly keyBytes: number
}

/** Encryption of values: XML Encryption section 5.2. Each value begins with its initialisation vector. */
export const cipherMethods: ReadonlyMap<string, CipherMethod> = new Map([
  [`${namespaces.xenc}aes128-cbc`, { name: 'aes-128-cbc', keyBytes: 16 }],
  [`${namespaces.xenc}aes192-cbc`, { name: 'aes-192-cbc', keyBytes: 24 }],
  [`${namespaces.xenc}aes256-cbc`, { name: 'aes-256-cbc', keyBytes: 32 }],
])

export interface MacMethod {
  readonly hashName: 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512'
  readonly macBytes: number
}

const moreSignatures = 'http://www.w3.org/2001/04/xmldsig-more#'

/** `xmldsig-more#hmac-sha1` does not exist in any specification, but in files. */
export const macMethods: ReadonlyMap<string, MacMethod> = new Map([
  [`${namespaces.ds}hmac-sha1`, { hashName: 'sha1', macBytes: 20 }],
  [`${moreSignatures}hmac-sha1`, { hashName: 'sha1', macBytes: 20 }],
  [`${moreSignatures}hmac-sha224`, { hashName: 'sha224', macBytes: 28 }],
  [`${moreSignatures}hmac-sha256`, { hashName: 'sha256', macBytes: 32 }],
  [`${moreSignatures}hmac-sha384`, { hashName: 'sha384', macBytes: 48 }],
  [`${moreSignatures}hmac-sha512`, { hashName: 'sha512', macBytes: 64 }],
])

export const hmacSha256Uri = `${moreSignatures}hmac-sha256`

/** The text of RFC 6030 section 6.2, its figure 7, and XML Encryption 1.1 name the same function differently. */
export const pbkdf2Uris: ReadonlySet<string> = new Set([
  'http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5#pbkdf2',
  `${namespaces.pkcs5}pbkdf2`,
  `${namespaces.xenc11}pbkdf2`,
])

export const pbkdf2Uri = `${namespaces.pkcs5}pbkdf2`

export type PseudorandomFunction = 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512'

/** PRFs of PBKDF2, by the URI of the HMAC or by the name in PKCS #5 without what stands before `#`. */
export const pseudorandomFunctions: ReadonlyMap<string, PseudorandomFunction> = new Map([
  ...[...macMethods].map(([uri, { hashName }]) => [uri, hashName] as const),
  ['hmacWithSHA1', 'sha1'],
  ['hmacWithSHA224', 'sha224'],
  ['hmacWithSHA256', 'sha256'],
  ['hmacWithSHA384', 'sha384'],
  ['hmacWithSHA512', 'sha512'],
])

export function pskcName(name: string): XmlName {
  return { namespace: namespaces.pskc, name }
}

export function xencName(name: string): XmlName {
  return { namespace: namespaces.xenc, name }
}
