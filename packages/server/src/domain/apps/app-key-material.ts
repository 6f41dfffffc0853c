import { type KeyObject, X509Certificate } from 'node:crypto'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { decodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'

/**
 * What a text that somebody pasted is in truth: PEM or DER, plain, in Base64 or in a data URI, as portals send files.
 * `opaque` makes no claim to be either; `broken` does, and is not.
 */
export type Material =
  | { readonly kind: 'pem'; readonly text: string }
  | { readonly kind: 'der'; readonly bytes: Uint8Array }
  | { readonly kind: 'opaque' }
  | { readonly kind: 'broken' }

const pemMark = '-----BEGIN '
const derSequence = 0x30
const derBytesMin = 32

export function readMaterial(text: string): Material {
  if (text.includes(pemMark)) return { kind: 'pem', text }
  const isDataUri = /^data:/i.test(text)
  const bytes = decodeFile(text)
  const held = bytes && materialIn(bytes)
  return held ?? { kind: isDataUri ? 'broken' : 'opaque' }
}

/** The bytes of a file given in Base64, with line ends or without, or as a data URI of it; undefined for other texts. */
export function decodeFile(text: string): Uint8Array | undefined {
  const [, content] = /^data:[^,]*;base64,(.*)$/is.exec(text) ?? [undefined, text]
  return decodeBase64(content ?? '', { xmlWhitespace: true })
}

function materialIn(bytes: Uint8Array): Material | undefined {
  const text = decodeUtf8(bytes)
  if (text?.includes(pemMark)) return { kind: 'pem', text }
  const isDer = bytes[0] === derSequence && bytes.length >= derBytesMin
  return isDer ? { kind: 'der', bytes } : undefined
}

/** Undefined for what holds no certificate; of several the first is the one. */
export function readCertificate(material: Material): X509Certificate | undefined {
  if (material.kind !== 'pem' && material.kind !== 'der') return undefined
  try {
    return new X509Certificate(material.kind === 'pem' ? material.text : material.bytes)
  } catch {
    return undefined
  }
}

const rsaBitsMin = 2048
const rsaBitsMax = 8192
const curves: readonly (string | undefined)[] = ['prime256v1', 'secp384r1']

/** RSA of 2048 to 8192 bits, P-256, P-384: what push services take, and can be signed with in bounded time. */
export function isUsableKey(key: KeyObject): boolean {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') {
    return modulusLength >= rsaBitsMin && modulusLength <= rsaBitsMax
  }
  return key.asymmetricKeyType === 'ec' && curves.includes(namedCurve)
}

export function isP256(key: KeyObject): boolean {
  return key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
}
