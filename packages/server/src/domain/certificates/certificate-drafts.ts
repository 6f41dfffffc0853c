import { writeTbsCertificate } from '@countersign/protocol/certificate/certificate.ts'
import { lintCertificate } from '@countersign/protocol/certificate/lint.ts'
import { type NameParts, writeName } from '@countersign/protocol/certificate/name.ts'
import {
  certificateProfiles,
  type IssuerUrls,
  type ProfileName,
  profiledFields,
} from '@countersign/protocol/certificate/profiles.ts'
import { readPoint } from '@countersign/protocol/certificate/public-key.ts'
import { sha1 } from '#custody/digests.ts'
import type { Randomness } from '#custody/randomness.ts'

const dayMs = 86_400_000
const secondMs = 1_000
const serialBytes = 16
const commonNameMax = 64

/** Something that is about to be signed would not be a good certificate. */
export class LintError extends Error {
  override readonly name = 'LintError'
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(`A certificate was not signed: ${faults.join(' ')}`)
    this.faults = faults
  }
}

/** What a certificate is made of. */
export interface CertificateDraft {
  readonly profile: ProfileName
  readonly subject: NameParts
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array
  /** Undefined for a root. */
  readonly issuer: DraftIssuer | undefined
  readonly urls: IssuerUrls | undefined
  readonly nowMs: number
}

export interface DraftIssuer {
  /** Its name in DER. */
  readonly subject: Uint8Array
  readonly publicKey: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Bytes to be signed, checked against their profile. */
export interface LintedCertificate {
  readonly tbs: Uint8Array
  /** Hex, without leading zeros. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/**
 * Writes what will be signed, reads it again, and holds it against its profile. Valid from this second on, for as long as
 * the profile and the issuer allow.
 *
 * @throws LintError
 */
export function draftCertificate(
  draft: CertificateDraft,
  randomness: Randomness,
): LintedCertificate {
  const { profile, publicKey, urls, issuer } = draft
  const serial = newSerial(randomness)
  const notBeforeMs = Math.floor(draft.nowMs / secondMs) * secondMs
  const longestMs = notBeforeMs + certificateProfiles[profile].daysMax * dayMs
  const notAfterMs = issuer === undefined ? longestMs : Math.min(longestMs, issuer.notAfterMs)
  const subject = writeName(draft.subject)
  const subjectKeyId = sha1(readPoint(publicKey))
  const issuerKeyId = issuer === undefined ? subjectKeyId : sha1(readPoint(issuer.publicKey))
  const issuerName = issuer?.subject ?? subject
  const tbs = writeTbsCertificate(
    profiledFields(profile, {
      serial,
      issuer: issuerName,
      subject,
      notBeforeMs,
      notAfterMs,
      publicKey,
      subjectKeyId,
      issuerKeyId,
      urls,
    }),
  )
  const faults = lintCertificate(tbs, {
    profile,
    subject: draft.subject,
    issuer: issuerName,
    issuerNotBeforeMs: issuer?.notBeforeMs ?? notBeforeMs,
    issuerNotAfterMs: issuer?.notAfterMs ?? notAfterMs,
    subjectKeyId,
    issuerKeyId,
    publicKey,
    urls,
  })
  if (faults.length > 0) throw new LintError(faults)
  return { tbs, serial: Buffer.from(serial).toString('hex'), notBeforeMs, notAfterMs }
}

/** 128 random bits, the first byte not zero. */
function newSerial(randomness: Randomness): Uint8Array {
  for (;;) {
    const bytes = randomness(serialBytes)
    if (bytes[0] !== 0) return bytes
  }
}

/** Names of a tenant's authorities. @param what such as `signer 0`. */
export function authorityName(tenantId: string, what: string): NameParts {
  const commonName = `${tenantId} ${what}`
  return {
    organization: tenantId,
    commonName: commonName.length <= commonNameMax ? commonName : what,
  }
}
