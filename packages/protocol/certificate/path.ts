import { DerError } from '../der/der-reader.ts'
import { sameBytes } from '../der/der-writer.ts'
import { type Certificate, extensionOf, isSignedBy } from './certificate.ts'
import type { VerifyCallback } from './crypto-callbacks.ts'
import {
  type BasicConstraints,
  type KeyUsage,
  keyUsageBits,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readExtendedKeyUsage,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from './extensions.ts'
import { oids } from './oids.ts'

/** Leaf, signer, root; one more for a hierarchy that grows. */
export const pathLengthMax = 4

export type PathFault =
  | 'too_long'
  | 'anchor_unknown'
  | 'extension_malformed'
  | 'extension_unknown'
  | 'not_valid_now'
  | 'not_a_ca'
  | 'path_length'
  | 'key_usage'
  | 'names_do_not_chain'
  | 'key_ids_do_not_chain'
  | 'signature_invalid'

export interface PathRequest {
  /** The leaf first, the trust anchor last: see {@link orderPath}. */
  readonly path: readonly Certificate[]
  /** Certificates that are trusted, in DER. */
  readonly anchors: readonly Uint8Array[]
  /** The moment that the path must be valid at. */
  readonly atMs: number
  /** What the leaf must be good for. Without a purpose, the leaf must not be bound to any. */
  readonly leaf: { readonly keyUsage: KeyUsage; readonly purpose?: string | undefined }
  readonly verify: VerifyCallback
}

const known = new Set<string>([
  oids.basicConstraints,
  oids.keyUsage,
  oids.extendedKeyUsage,
  oids.subjectKeyIdentifier,
  oids.authorityKeyIdentifier,
  oids.crlDistributionPoints,
  oids.authorityInfoAccess,
])
/** Name and policy constraints would narrow what a CA may do, even where they are not critical: not in our hierarchy. */
const constraining = new Set(['2.5.29.30', '2.5.29.33', '2.5.29.36', '2.5.29.54'])

interface Constraints {
  readonly basic: BasicConstraints | undefined
  readonly keyUsage: readonly number[]
  readonly purposes: readonly string[] | undefined
  readonly subjectKeyId: Uint8Array | undefined
  readonly issuerKeyId: Uint8Array | undefined
}

/**
 * Validates a path of our own closed hierarchy: every rule is required, nothing is searched for, and the work is one
 * signature for each certificate below the anchor. The anchor is trusted because its bytes are.
 *
 * @returns undefined when the path is good, else the first thing that is wrong with it.
 */
export async function findPathFault(request: PathRequest): Promise<PathFault | undefined> {
  const { path, anchors, verify } = request
  const anchor = path.at(-1)
  if (anchor === undefined || path.length < 2 || path.length > pathLengthMax) return 'too_long'
  if (!anchors.some((trusted) => sameBytes(trusted, anchor.der))) return 'anchor_unknown'
  const constraints: Constraints[] = []
  for (const certificate of path) {
    const read = readConstraints(certificate)
    if (typeof read === 'string') return read
    constraints.push(read)
  }
  const fault = ruleFault(request, constraints)
  if (fault !== undefined) return fault
  // Last, because it is the dearest.
  for (const [index, certificate] of path.entries()) {
    const issuer = path[index + 1]
    if (issuer === undefined) break
    if (!(await isSignedBy(certificate, issuer.publicKey, verify))) return 'signature_invalid'
  }
  return undefined
}

function ruleFault(
  { path, atMs, leaf }: PathRequest,
  constraints: readonly Constraints[],
): PathFault | undefined {
  for (const [index, certificate] of path.entries()) {
    const own = constraints[index]
    if (own === undefined) return 'extension_malformed'
    if (atMs < certificate.notBeforeMs || atMs > certificate.notAfterMs) return 'not_valid_now'
    const fault = index === 0 ? leafFault(own, leaf) : caFault(own, index - 1)
    if (fault !== undefined) return fault
    const issuer = path[index + 1]
    if (issuer === undefined) continue
    if (!sameBytes(certificate.issuer, issuer.subject)) return 'names_do_not_chain'
    // Below the anchor nobody issues himself: a ring cannot be closed.
    if (sameBytes(certificate.issuer, certificate.subject)) return 'names_do_not_chain'
    const issuerKeyId = constraints[index + 1]?.subjectKeyId
    if (
      own.issuerKeyId === undefined ||
      issuerKeyId === undefined ||
      !sameBytes(own.issuerKeyId, issuerKeyId)
    )
      return 'key_ids_do_not_chain'
  }
  return undefined
}

function leafFault(
  { basic, keyUsage, purposes }: Constraints,
  { keyUsage: wanted, purpose }: PathRequest['leaf'],
): PathFault | undefined {
  if (basic?.isCa === true) return 'not_a_ca'
  if (!keyUsage.includes(keyUsageBits[wanted])) return 'key_usage'
  if (keyUsage.includes(keyUsageBits.keyCertSign)) return 'key_usage'
  const isForPurpose =
    purpose === undefined ? purposes === undefined : purposes?.includes(purpose) === true
  return isForPurpose ? undefined : 'key_usage'
}

/** @param casBelow how many CAs stand between this one and the leaf. */
function caFault(
  { basic, keyUsage, purposes }: Constraints,
  casBelow: number,
): PathFault | undefined {
  if (basic?.isCa !== true) return 'not_a_ca'
  if (basic.pathLength !== undefined && basic.pathLength < casBelow) return 'path_length'
  if (!keyUsage.includes(keyUsageBits.keyCertSign)) return 'key_usage'
  return purposes === undefined ? undefined : 'key_usage'
}

function readConstraints(certificate: Certificate): Constraints | PathFault {
  for (const { id, critical } of certificate.extensions) {
    if ((critical && !known.has(id)) || constraining.has(id)) return 'extension_unknown'
  }
  try {
    const basic = extensionOf(certificate, oids.basicConstraints)
    const usage = extensionOf(certificate, oids.keyUsage)
    const purposes = extensionOf(certificate, oids.extendedKeyUsage)
    const subjectKeyId = extensionOf(certificate, oids.subjectKeyIdentifier)
    const issuerKeyId = extensionOf(certificate, oids.authorityKeyIdentifier)
    // What limits a key must bind whoever reads it.
    if (basic?.critical === false || usage?.critical === false) return 'extension_malformed'
    return {
      basic: basic && readBasicConstraints(basic.value),
      keyUsage: usage === undefined ? [] : readKeyUsage(usage.value),
      purposes: purposes && readExtendedKeyUsage(purposes.value),
      subjectKeyId: subjectKeyId && readSubjectKeyIdentifier(subjectKeyId.value),
      issuerKeyId: issuerKeyId && readAuthorityKeyIdentifier(issuerKeyId.value),
    }
  } catch (error) {
    if (error instanceof DerError) return 'extension_malformed'
    throw error
  }
}

/**
 * Puts certificates that came in any order behind their leaf, each followed by its issuer, up to one that issues itself.
 * Says nothing about whether the path is good.
 *
 * @returns undefined when an issuer is missing or there are two of one name and key.
 */
export function orderPath(
  leaf: Certificate,
  others: readonly Certificate[],
): Certificate[] | undefined {
  const path = [leaf]
  for (let last = leaf; !sameBytes(last.issuer, last.subject); ) {
    const authority = extensionOf(last, oids.authorityKeyIdentifier)?.value
    const { issuer } = last
    const issuers = others.filter(
      (candidate) =>
        sameBytes(candidate.subject, issuer) &&
        hasKeyId(candidate, authority) &&
        candidate !== last,
    )
    const [next, second] = issuers
    if (next === undefined || second !== undefined || path.length >= pathLengthMax) return undefined
    path.push(next)
    last = next
  }
  return path
}

function hasKeyId(certificate: Certificate, authority: Uint8Array | undefined): boolean {
  const subject = extensionOf(certificate, oids.subjectKeyIdentifier)?.value
  if (subject === undefined || authority === undefined) return false
  try {
    return sameBytes(readSubjectKeyIdentifier(subject), readAuthorityKeyIdentifier(authority))
  } catch {
    return false
  }
}
