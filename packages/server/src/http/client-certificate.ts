import { createHash } from 'node:crypto'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { FastifyRequest } from 'fastify'
import { type AddressRange, isAddressIn } from '#domain/address-range.ts'

/** How the TLS client certificate reaches this server: through proxies that end the TLS connection. */
export interface ClientCertificateHeader {
  /** Name of the header, in any case. */
  readonly name: string
  /** Only what these say is believed. */
  readonly trustedProxies: readonly AddressRange[]
}

/** More than any certificate needs. */
const certificateLengthMax = 16_384
/** Stands for a certificate that cannot be read: no account has it. */
const nobodysThumbprint = ''

/**
 * SHA-256 of the client certificate, lower-case hex.
 *
 * @returns undefined when the request comes from no trusted proxy or with no certificate.
 */
export function clientCertificateThumbprint(
  request: FastifyRequest,
  header: ClientCertificateHeader | undefined,
): string | undefined {
  const der = clientCertificate(request, header)
  if (der === undefined) return undefined
  return der === 'unreadable' ? nobodysThumbprint : createHash('sha256').update(der).digest('hex')
}

/**
 * The client certificate, DER (RFC 9440: in base64 between colons).
 *
 * @returns undefined when the request comes from no trusted proxy or with no certificate.
 */
export function clientCertificate(
  request: FastifyRequest,
  header: ClientCertificateHeader | undefined,
): Uint8Array | 'unreadable' | undefined {
  if (header === undefined) return undefined
  const value = request.headers[header.name.toLowerCase()]
  const peer = request.raw.socket.remoteAddress
  if (value === undefined || peer === undefined) return undefined
  if (!isAddressIn(header.trustedProxies, peer)) return undefined
  const [, encoded] = /^:([A-Za-z0-9+/]+={0,2}):$/.exec(String(value)) ?? []
  if (encoded === undefined || encoded.length > certificateLengthMax) return 'unreadable'
  return decodeBase64(encoded) ?? 'unreadable'
}
