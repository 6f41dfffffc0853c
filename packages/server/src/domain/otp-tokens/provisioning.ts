import { encodeBase32 } from '@countersign/protocol/encoding/base32.ts'
import { formatOtpauth } from '@countersign/protocol/otp/otpauth.ts'
import { drawQrPng, drawQrSvg } from '../qr-code.ts'
import type { OtpParameters } from './product.ts'

/** Whom the authenticator app shows the token for. */
export interface KeyLabel {
  readonly issuer: string
  /** Login name or serial. */
  readonly account: string
}

/** A secret on its way into an authenticator. Never stored, logged or sent twice. */
export interface Provisioning {
  /** Without padding. */
  readonly secretBase32: string
  readonly otpauthUri: string
  readonly qrSvg: string
  readonly qrPng: Uint8Array
}

/** Of the percent-encoded text. The longest secret leaves this much room in a URI of 1,024 characters. */
const encodedIssuerLengthMax = 160
const encodedAccountLengthMax = 320
const noIssuer = 'Countersign'

/** The key URI and its QR code. */
export async function provision(
  parameters: OtpParameters & { readonly counter: number | null },
  secret: Uint8Array,
  label: KeyLabel,
): Promise<Provisioning> {
  const otpauthUri = keyUri(parameters, secret, label)
  const [qrSvg, qrPng] = await Promise.all([drawQrSvg(otpauthUri), drawQrPng(otpauthUri)])
  return { secretBase32: encodeBase32(secret), otpauthUri, qrSvg, qrPng }
}

/**
 * The `otpauth://` URI, at most 1,024 characters: texts that would be too long are cut. Apps disagree about colons and
 * percent signs in the issuer, so it has none.
 */
export function keyUri(
  { type, algorithm, digits, periodSeconds, counter }: OtpParameters & { counter: number | null },
  secret: Uint8Array,
  label: KeyLabel,
): string {
  const issuer = cut(label.issuer.replace(/[:%]/g, ' ').trim(), encodedIssuerLengthMax) || noIssuer
  return formatOtpauth({
    type,
    issuer,
    account: cut(label.account.trim(), encodedAccountLengthMax) || 'token',
    secret,
    algorithm,
    digits,
    ...(type === 'TOTP' ? { period: periodSeconds ?? undefined } : { counter: counter ?? 0 }),
  })
}

/** The beginning of a text whose percent-encoded form is not too long; characters stay whole. */
function cut(text: string, encodedLengthMax: number): string {
  let kept = ''
  let encodedLength = 0
  for (const character of text.toWellFormed()) {
    encodedLength += encodeURIComponent(character).length
    if (encodedLength > encodedLengthMax) break
    kept += character
  }
  return kept.trim()
}
