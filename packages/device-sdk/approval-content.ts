import { decodeBase64, encodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { parseJson } from '@countersign/protocol/encoding/json.ts'
import { decodeUtf8 } from '@countersign/protocol/encoding/utf8.ts'
import type { Answer } from './answer.ts'
import { DeviceError } from './device-error.ts'
import { sha256 } from './web-crypto.ts'

export interface TableRow {
  readonly label: string
  readonly value: string
}

/** What is to be put on the screen, whole. Pass every text through `visibleText`. */
export type Shown =
  | { readonly form: 'text'; readonly text: string }
  | { readonly form: 'table'; readonly rows: readonly TableRow[] }

/** The exact bytes to show and to sign, as they came. */
export interface ApprovalContent {
  readonly mediaType: 'application/json' | 'text/plain; charset=utf-8'
  readonly bytes: Uint8Array
  /** SHA-256, base64url. */
  readonly sha256: string
  /** BCP 47, of a text that the server rendered for this device; the server's word, not signed. */
  readonly locale: string | undefined
  readonly shown: Shown
}

const bytesMax = 65_536
const rowsMax = 100

/**
 * Reads the content of an approval. Nothing is shown that would not be signed: text and table are read from the bytes.
 *
 * @throws DeviceError `content_wrong` when the hash is of other bytes, the bytes name another approval, or they cannot be
 *   shown.
 */
export async function readContent(answer: Answer, approvalId: string): Promise<ApprovalContent> {
  const mediaType = answer.oneOf('mediaType', ['application/json', 'text/plain; charset=utf-8'])
  const bytes = decodeBase64(answer.text('bytes'))
  if (bytes === undefined || bytes.length > bytesMax) throw wrong('is no Base64, or too long')
  const hash = encodeBase64url(await sha256(bytes))
  const told = answer.text('sha256')
  if (told !== hash) throw wrong('has another hash than the server says')
  const shown =
    mediaType === 'application/json' ? shownOfJson(bytes, approvalId) : shownOfText(bytes)
  const locale = answer.optionalText('locale', /^[A-Za-z0-9-]{1,64}$/)
  return { mediaType, bytes, sha256: hash, locale, shown }
}

function shownOfJson(bytes: Uint8Array, approvalId: string): Shown {
  let value: unknown
  try {
    value = parseJson(bytes)
  } catch {
    throw wrong('is no JSON')
  }
  const { id, text } = (value ?? {}) as { id?: unknown; text?: unknown }
  if (id !== approvalId) throw wrong('names another approval')
  if (typeof text !== 'string') throw wrong('has no text')
  return { form: 'text', text }
}

function shownOfText(bytes: Uint8Array): Shown {
  const text = decodeUtf8(bytes)
  if (text === undefined) throw wrong('is no UTF-8')
  const rows = rowsOf(bytes)
  return rows === undefined ? { form: 'text', text } : { form: 'table', rows }
}

/** Rows of `[{"label":"Amount","value":"500"}]` or `[{"Amount":"500"}]`; undefined for all else, which is shown as it is. */
function rowsOf(bytes: Uint8Array): readonly TableRow[] | undefined {
  let value: unknown
  try {
    value = parseJson(bytes)
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || value.length === 0 || value.length > rowsMax) return undefined
  const rows: TableRow[] = []
  for (const member of value) {
    const row = rowOf(member)
    if (row === undefined) return undefined
    rows.push(row)
  }
  return rows
}

function rowOf(member: unknown): TableRow | undefined {
  if (typeof member !== 'object' || member === null || Array.isArray(member)) return undefined
  const entries = Object.entries(member)
  if (!entries.every(([, value]) => typeof value === 'string')) return undefined
  const { label, value, ...others } = member as Record<string, string>
  if (label !== undefined && value !== undefined) {
    // A further member would be signed without being seen.
    return Object.keys(others).length === 0 ? { label, value } : undefined
  }
  const [[name, only] = [], second] = entries
  return name === undefined || second !== undefined
    ? undefined
    : { label: name, value: String(only) }
}

function wrong(what: string): DeviceError {
  return new DeviceError('content_wrong', `The content of the approval ${what}.`)
}
