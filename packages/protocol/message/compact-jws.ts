import { decodeBase64url } from '../encoding/base64.ts'
import { type JsonMembers, readJsonObject } from '../encoding/json.ts'

/** A JWS of the compact form (RFC 7515) as it was shown; nothing of it is checked or believed yet. */
export interface CompactJws {
  readonly header: JsonMembers
  /** What the payload says. */
  readonly claims: JsonMembers
  /** The payload's bytes as they were signed. */
  readonly payload: Uint8Array
  /** What the signature covers, ASCII. */
  readonly signingInput: string
  /** Possibly empty. */
  readonly signature: Uint8Array
}

/** All of the headers of a request are hardly longer; what this product signs is far below. */
const textLengthMax = 16_384

/**
 * Reads a compact JWS whose header and payload are JSON objects. Only the one canonical spelling of each part is read, and
 * no member may be named twice: two readers must not see two texts.
 *
 * @returns undefined for any other text.
 */
export function readCompactJws(text: string): CompactJws | undefined {
  if (text.length > textLengthMax) return undefined
  const [header64, payload64, signature64, ...rest] = text.split('.', 4)
  if (header64 === undefined || payload64 === undefined || signature64 === undefined)
    return undefined
  const headerBytes = decodeBase64url(header64)
  const payload = decodeBase64url(payload64)
  const signature = decodeBase64url(signature64)
  if (rest.length > 0 || signature === undefined || payload === undefined) return undefined
  const header = headerBytes && readJsonObject(headerBytes)
  const claims = readJsonObject(payload)
  if (header === undefined || claims === undefined) return undefined
  return { header, claims, payload, signingInput: `${header64}.${payload64}`, signature }
}
