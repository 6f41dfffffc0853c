import { describe, expect, test } from 'vitest'
import { sha1, spkiOf } from '../test-vectors/device-vectors.fixture.ts'
import { type CertificateFields, writeTbsCertificate } from './certificate.ts'
import { basicConstraints, extendedKeyUsage, keyUsage } from './extensions.ts'
import { type LintExpectation, lintCertificate } from './lint.ts'
import { writeName } from './name.ts'
import { oids } from './oids.ts'
import { profiledFields } from './profiles.ts'
import { readPoint } from './public-key.ts'

const nowMs = Date.UTC(2026, 5, 1)
const dayMs = 86_400_000
const issuer = writeName({ organization: 'acme', commonName: 'acme signer 0' })
const subject = { organization: 'acme', commonName: 'device', userId: 'user' }
const subjectKeyId = sha1(readPoint(spkiOf('device')))
const issuerKeyId = sha1(readPoint(spkiOf('signer')))
const urls = {
  crl: 'https://countersign.test/pki/acme/issuers/x/crl',
  ocsp: 'https://countersign.test/pki/acme/ocsp',
  caIssuers: 'https://countersign.test/pki/acme/issuers/x/certificate',
}

const expected: LintExpectation = {
  profile: 'SIGNATURE',
  subject,
  issuer,
  issuerNotBeforeMs: nowMs - dayMs,
  issuerNotAfterMs: nowMs + 3_650 * dayMs,
  subjectKeyId,
  issuerKeyId,
  publicKey: spkiOf('device'),
  urls,
}

const good: CertificateFields = profiledFields('SIGNATURE', {
  serial: new Uint8Array(16).fill(0x42),
  issuer,
  subject: writeName(subject),
  notBeforeMs: nowMs,
  notAfterMs: nowMs + 730 * dayMs,
  publicKey: spkiOf('device'),
  subjectKeyId,
  issuerKeyId,
  urls,
})

const without = (id: string) => good.extensions.filter((extension) => extension.id !== id)

describe('a certificate is signed only if it fits', () => {
  test('one that fits has no faults', () => {
    expect(lintCertificate(writeTbsCertificate(good), expected)).toEqual([])
  })

  test.each<[string, Partial<CertificateFields>]>([
    ['a short serial number', { serial: Uint8Array.of(1, 2, 3) }],
    ['another issuer', { issuer: writeName({ commonName: 'other' }) }],
    ['itself for an issuer', { subject: issuer }],
    ['another subject', { subject: writeName({ ...subject, userId: 'other' }) }],
    ['a subject of another form', { subject: writeName({}) }],
    ['another key', { publicKey: spkiOf('bio') }],
    ['no validity', { notAfterMs: nowMs }],
    ['a validity that is too long', { notAfterMs: nowMs + 731 * dayMs }],
    ['a validity that began before its issuer', { notBeforeMs: nowMs - 2 * dayMs }],
    ...good.extensions.map(({ id }): [string, Partial<CertificateFields>] => [
      `extension ${id} missing`,
      { extensions: without(id) },
    ]),
    [
      'a CA',
      {
        extensions: [
          basicConstraints({ isCa: true, pathLength: undefined }),
          ...without(oids.basicConstraints),
        ],
      },
    ],
    ['other uses', { extensions: [keyUsage(['digitalSignature']), ...without(oids.keyUsage)] }],
    [
      'uses that bind nobody',
      {
        extensions: good.extensions.map((extension) => ({
          ...extension,
          critical: extension.id === oids.basicConstraints,
        })),
      },
    ],
    ['a purpose', { extensions: [...good.extensions, extendedKeyUsage([oids.clientAuth])] }],
    ['an extension twice', { extensions: [...good.extensions, ...good.extensions.slice(0, 1)] }],
  ])('not with %s', (_name, change) => {
    expect(lintCertificate(writeTbsCertificate({ ...good, ...change }), expected)).not.toEqual([])
  })

  test('not beyond the end of its issuer, and not as another profile', () => {
    const tbs = writeTbsCertificate(good)
    const ending = { ...expected, issuerNotAfterMs: nowMs + dayMs }
    expect(lintCertificate(tbs, ending)).toHaveLength(1)
    expect(lintCertificate(tbs, { ...expected, profile: 'AST_DEVICE' })).not.toEqual([])
    expect(lintCertificate(new Uint8Array(), expected)).toHaveLength(1)
  })
})
