import { hash } from 'node:crypto'
import type { Approval } from './approval.ts'

/** The exact bytes that a device shows and signs. */
export interface Content {
  readonly mediaType: 'application/json' | 'text/plain; charset=utf-8'
  readonly bytes: Uint8Array
  /** Of a rendered template; null when nothing was rendered. */
  readonly locale: string | null
}

/** Most that a device is given to sign. */
export const contentBytesMax = 65_536

/**
 * Writes the bytes that are frozen for a device at its first retrieval (docs/contracts/device.md, section 6): the id first,
 * so that two approvals with the same text never have the same bytes. A Keyless payload is its text, nothing else.
 *
 * @param text the rendered text of a template; the approval's own otherwise.
 */
export function contentOf(
  approval: Pick<Approval, 'id' | 'surface' | 'text' | 'templateKey' | 'data'>,
  rendered?: { readonly text: string; readonly locale: string },
): Content {
  const { id, surface, templateKey, data } = approval
  const text = rendered?.text ?? approval.text ?? ''
  const locale = rendered?.locale ?? null
  if (surface === 'keyless') {
    return { mediaType: 'text/plain; charset=utf-8', bytes: Buffer.from(text), locale }
  }
  const shown = {
    id,
    text,
    ...(surface === 'ast' ? { external: templateKey !== null } : {}),
    ...(data === null ? {} : { data }),
  }
  return { mediaType: 'application/json', bytes: Buffer.from(JSON.stringify(shown)), locale }
}

/** SHA-256 in base64url, as decision assertions name what was shown. */
export function contentHash(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'base64url')
}
