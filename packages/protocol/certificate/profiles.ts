import type { CertificateFields } from './certificate.ts'
import {
  type AccessUrls,
  authorityInfoAccess,
  authorityKeyIdentifier,
  basicConstraints,
  crlDistributionPoint,
  type Extension,
  extendedKeyUsage,
  type KeyUsage,
  keyUsage,
  subjectKeyIdentifier,
} from './extensions.ts'
import { oids } from './oids.ts'

/** What a certificate may be used for. */
export interface CertificateProfile {
  readonly isCa: boolean
  /** CAs only: CAs allowed below; undefined: not limited. */
  readonly pathLength: number | undefined
  readonly keyUsage: readonly KeyUsage[]
  /** Undefined: none, so that stock CMS verifiers take it. */
  readonly extendedKeyUsage: string | undefined
  readonly daysMax: number
}

const caUsage = ['keyCertSign', 'crlSign'] as const

/** Everything we issue: a root, signers below it, and three kinds of leaves below them. */
export const certificateProfiles = {
  ROOT: {
    isCa: true,
    pathLength: undefined,
    keyUsage: caUsage,
    extendedKeyUsage: undefined,
    daysMax: 7_305,
  },
  TENANT_SIGNER: {
    isCa: true,
    pathLength: 0,
    keyUsage: caUsage,
    extendedKeyUsage: undefined,
    daysMax: 3_652,
  },
  AST_DEVICE: {
    isCa: false,
    pathLength: undefined,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: undefined,
    daysMax: 730,
  },
  SIGNATURE: {
    isCa: false,
    pathLength: undefined,
    keyUsage: ['digitalSignature', 'nonRepudiation'],
    extendedKeyUsage: undefined,
    daysMax: 730,
  },
  TLS_CLIENT: {
    isCa: false,
    pathLength: undefined,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: oids.clientAuth,
    daysMax: 730,
  },
} as const satisfies Record<string, CertificateProfile>

export type ProfileName = keyof typeof certificateProfiles

/** Where whoever holds a certificate finds its issuer and whether it is revoked. */
export interface IssuerUrls extends AccessUrls {
  readonly crl: string
}

export interface ProfiledCertificate extends Omit<CertificateFields, 'extensions'> {
  /** SHA-1 of the key's point. */
  readonly subjectKeyId: Uint8Array
  /** SHA-1 of the issuer's point; the root's own. */
  readonly issuerKeyId: Uint8Array
  /** Undefined for a root, which nobody revokes, and for test vectors. */
  readonly urls: IssuerUrls | undefined
}

/** The fields of a certificate of one of our profiles, its extensions in one order. */
export function profiledFields(
  profile: ProfileName,
  certificate: ProfiledCertificate,
): CertificateFields {
  const { subjectKeyId, issuerKeyId, urls, ...fields } = certificate
  const {
    isCa,
    pathLength,
    keyUsage: usages,
    extendedKeyUsage: purpose,
  }: CertificateProfile = certificateProfiles[profile]
  const extensions: Extension[] = [
    basicConstraints({ isCa, pathLength }),
    keyUsage(usages),
    ...(purpose === undefined ? [] : [extendedKeyUsage([purpose])]),
    subjectKeyIdentifier(subjectKeyId),
    ...(profile === 'ROOT' ? [] : [authorityKeyIdentifier(issuerKeyId)]),
    ...(urls === undefined ? [] : [crlDistributionPoint(urls.crl), authorityInfoAccess(urls)]),
  ]
  return { ...fields, extensions }
}
