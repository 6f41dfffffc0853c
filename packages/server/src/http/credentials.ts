import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { FastifyRequest } from 'fastify'

/**
 * True when a header comes more than once: Node keeps the first, and which one somebody in front of us has looked at is
 * not known.
 *
 * @param name in lower case.
 */
export function isRepeatedHeader({ raw }: FastifyRequest, name: string): boolean {
  const { rawHeaders } = raw
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const header = rawHeaders[index] ?? ''
    // Lengths first: this runs for every header of every request.
    if (header.length === name.length && header.toLowerCase() === name) count++
  }
  return count > 1
}

/** An `Authorization` header in its two parts, the scheme in lower case; undefined for anything else. */
export function splitAuthorization(
  header: string,
): { readonly scheme: string; readonly value: string } | undefined {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +(\S+)$/.exec(header) ?? []
  return scheme === '' ? undefined : { scheme: scheme.toLowerCase(), value }
}

/** The bearer token of a request; undefined for any other scheme, and for a header that comes more than once. */
export function bearerOf(request: FastifyRequest): string | undefined {
  const { authorization } = request.headers
  if (authorization === undefined || isRepeatedHeader(request, 'authorization')) return undefined
  const { scheme, value } = splitAuthorization(authorization) ?? {}
  return scheme === 'bearer' ? value : undefined
}

/**
 * Reads what follows `Basic` (RFC 7617): the id holds no colon, the secret may.
 *
 * @returns undefined for what is not canonical base64 of such a pair.
 */
export function readBasic(
  value: string,
): { readonly id: string; readonly secret: string } | undefined {
  const bytes = decodeBase64(value)
  if (bytes === undefined) return undefined
  const text = Buffer.from(bytes).toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? undefined : { id: text.slice(0, colon), secret: text.slice(colon + 1) }
}
