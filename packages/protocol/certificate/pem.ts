import { decodeBase64, encodeBase64 } from '../encoding/base64.ts'

/** Labels of RFC 7468. */
export type PemLabel = 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'X509 CRL' | 'PUBLIC KEY' | 'CMS'

/** Of 64 characters. */
const lines = /.{1,64}/g

/** Ends with a line end. */
export function toPem(label: PemLabel, der: Uint8Array): string {
  const body = encodeBase64(der).match(lines) ?? []
  return `-----BEGIN ${label}-----\n${body.join('\n')}\n-----END ${label}-----\n`
}

/**
 * Every block of the label in a text; other blocks and what stands between them are passed over.
 *
 * @returns undefined when a block holds no canonical Base64.
 */
export function fromPem(label: PemLabel, text: string): Uint8Array[] | undefined {
  const blocks: Uint8Array[] = []
  const pattern = new RegExp(
    `-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`,
    'g',
  )
  for (const [, body = ''] of text.matchAll(pattern)) {
    const der = decodeBase64(body, { xmlWhitespace: true })
    if (der === undefined || der.length === 0) return undefined
    blocks.push(der)
  }
  return blocks
}
