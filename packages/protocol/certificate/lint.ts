import { sameBytes } from '../der/der-writer.ts'
import { type CertificateFields, extensionOf, parseTbsCertificate } from './certificate.ts'
import {
  keyUsageBits,
  readAuthorityInfoAccess,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCrlDistributionPoint,
  readExtendedKeyUsage,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from './extensions.ts'
import { type NameParts, readName } from './name.ts'
import { oids } from './oids.ts'
import {
  type CertificateProfile,
  certificateProfiles,
  type IssuerUrls,
  type ProfileName,
} from './profiles.ts'

const dayMs = 86_400_000
const serialBytesMin = 8
const keyIdBytes = 20

/** What a certificate that is about to be signed must say. */
export interface LintExpectation {
  readonly profile: ProfileName
  readonly subject: NameParts
  /** The issuer's subject in DER; the root's own. */
  readonly issuer: Uint8Array
  readonly issuerNotBeforeMs: number
  readonly issuerNotAfterMs: number
  readonly subjectKeyId: Uint8Array
  readonly issuerKeyId: Uint8Array
  readonly publicKey: Uint8Array
  /** Undefined for a root. */
  readonly urls: IssuerUrls | undefined
}

/**
 * Reads what is about to be signed as strictly as anybody will read it later, and holds it against its profile
 * (RFC 5280 section 4) and against what was asked for.
 *
 * @returns what is wrong; nothing is signed unless this is empty.
 */
export function lintCertificate(tbs: Uint8Array, expected: LintExpectation): string[] {
  try {
    return faultsOf(parseTbsCertificate(tbs), expected)
  } catch (error) {
    return [error instanceof Error ? error.message : 'It cannot be read.']
  }
}

function faultsOf(fields: CertificateFields, expected: LintExpectation): string[] {
  const profile: CertificateProfile = certificateProfiles[expected.profile]
  const isRoot = expected.profile === 'ROOT'
  const faults: string[] = []
  const require = (holds: boolean, what: string) => {
    if (!holds) faults.push(what)
  }

  require(fields.serial.length >= serialBytesMin, 'The serial number has less than 64 bits.')
  require(sameBytes(fields.issuer, expected.issuer), 'The issuer is another one.')
  require(sameBytes(fields.publicKey, expected.publicKey), 'The key is another one.')
  require(isSameName(readName(fields.subject), expected.subject), 'The subject is another one.')
  require(sameBytes(fields.subject, fields.issuer) === isRoot, 'Only a root issues itself.')
  const { notBeforeMs, notAfterMs } = fields
  require(notAfterMs > notBeforeMs, 'The validity is empty.')
  require(notAfterMs - notBeforeMs <= profile.daysMax * dayMs, 'The validity is too long.')
  require(notBeforeMs >= expected.issuerNotBeforeMs &&
    notAfterMs <= expected.issuerNotAfterMs, 'The validity is not within that of the issuer.')
  faults.push(...extensionFaults(fields, profile, expected))
  return faults
}

function extensionFaults(
  fields: CertificateFields,
  profile: CertificateProfile,
  expected: LintExpectation,
): string[] {
  const isRoot = expected.profile === 'ROOT'
  const faults: string[] = []
  const wanted = new Map<string, { critical: boolean; holds: (value: Uint8Array) => boolean }>([
    [
      oids.basicConstraints,
      {
        critical: true,
        holds: (value) => {
          const { isCa, pathLength } = readBasicConstraints(value)
          return isCa === profile.isCa && pathLength === profile.pathLength
        },
      },
    ],
    [
      oids.keyUsage,
      {
        critical: true,
        holds: (value) =>
          readKeyUsage(value).join() === profile.keyUsage.map((use) => keyUsageBits[use]).join(),
      },
    ],
    [
      oids.subjectKeyIdentifier,
      {
        critical: false,
        holds: (value) => {
          const keyId = readSubjectKeyIdentifier(value)
          return keyId.length === keyIdBytes && sameBytes(keyId, expected.subjectKeyId)
        },
      },
    ],
  ])
  const { extendedKeyUsage } = profile
  if (extendedKeyUsage !== undefined) {
    wanted.set(oids.extendedKeyUsage, {
      critical: false,
      holds: (value) => readExtendedKeyUsage(value).join() === extendedKeyUsage,
    })
  }
  if (!isRoot) {
    wanted.set(oids.authorityKeyIdentifier, {
      critical: false,
      holds: (value) => sameBytes(readAuthorityKeyIdentifier(value), expected.issuerKeyId),
    })
  }
  const { urls } = expected
  if (urls !== undefined) {
    wanted.set(oids.crlDistributionPoints, {
      critical: false,
      holds: (value) => readCrlDistributionPoint(value) === urls.crl,
    })
    wanted.set(oids.authorityInfoAccess, {
      critical: false,
      holds: (value) => {
        const { ocsp, caIssuers } = readAuthorityInfoAccess(value)
        return ocsp === urls.ocsp && caIssuers === urls.caIssuers
      },
    })
  }
  for (const [id, { critical, holds }] of wanted) {
    const extension = extensionOf(fields, id)
    if (extension === undefined) faults.push(`Extension ${id} is missing.`)
    else if (extension.critical !== critical)
      faults.push(`Extension ${id} has the wrong criticality.`)
    else if (!holds(extension.value)) faults.push(`Extension ${id} says something else.`)
  }
  for (const { id } of fields.extensions) {
    if (!wanted.has(id)) faults.push(`Extension ${id} does not belong here.`)
  }
  return faults
}

function isSameName(one: NameParts, other: NameParts): boolean {
  return (
    one.organization === other.organization &&
    one.commonName === other.commonName &&
    one.userId === other.userId
  )
}
