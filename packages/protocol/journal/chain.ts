import { hash } from 'node:crypto'

/** `prevHash` of the first record of a chain. */
export const chainStart = '0'.repeat(64)

const domainSeparator = 'countersign-audit-v1\n'

/**
 * The hash of a record (platform.md, section 7).
 *
 * @param canonicalRecord the RFC 8785 form of the record without its member `hash`.
 * @returns SHA-256 as 64 lower-case hex digits.
 */
export function recordHash(canonicalRecord: string): string {
  return hash('sha256', domainSeparator + canonicalRecord, 'hex')
}
