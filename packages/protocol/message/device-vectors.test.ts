import { describe, expect, test } from 'vitest'
import { parseCertificate, signFrame, writeTbsCertificate } from '../certificate/certificate.ts'
import {
  parseCertificationRequest,
  provesPossession,
  writeCertificationRequest,
} from '../certificate/certificate-request.ts'
import { writeName } from '../certificate/name.ts'
import { findPathFault, orderPath } from '../certificate/path.ts'
import { type ProfileName, profiledFields } from '../certificate/profiles.ts'
import { readPoint, thumbprintOf } from '../certificate/public-key.ts'
import { encodeHex } from '../encoding/hex.ts'
import {
  deviceVectors,
  fromBase64,
  jwkOf,
  type KeyLabel,
  sha1,
  sha256,
  signDer,
  signRaw,
  spkiOf,
  verify,
} from '../test-vectors/device-vectors.fixture.ts'
import { isJwsSignedBy, type JwsKind, parseCompactJws, writeCompactJws } from './compact-jws.ts'
import { isSignatureValid, parseSignedData, writeSignedData } from './signed-data.ts'

const { certificate, tms, enrolment, replaceBioKey, token, dpop, operation, authentication } =
  deviceVectors
const [signerDer = '', rootDer = ''] = certificate.chain

describe('keys', () => {
  test.each(['device', 'bio', 'bio-2', 'root', 'signer', 'other-device'] as const)(
    'the thumbprint of %s',
    async (label) => {
      expect(await thumbprintOf(jwkOf(label), sha256)).toBe(deviceVectors.keys[label].thumbprint)
    },
  )
})

describe('JWS', () => {
  const vectors: [string, JwsKind, KeyLabel, { jws: string; claims: object }][] = [
    ['key statement', 'keys', 'device', { ...enrolment.proof, claims: enrolment.claims }],
    ['key statement of bio', 'keys', 'bio', { ...enrolment.bioProof, claims: enrolment.claims }],
    ['new bio', 'keys', 'device', { ...replaceBioKey.proof, claims: replaceBioKey.claims }],
    [
      'new bio, its own',
      'keys',
      'bio-2',
      { ...replaceBioKey.bioProof, claims: replaceBioKey.claims },
    ],
    ['client assertion', 'clientAssertion', 'device', token.clientAssertion],
    ['DPoP at token', 'dpop', 'device', token.bio.dpop],
    ['biometric login', 'login', 'bio', token.bio.assertion],
    ...dpop.proofs.map((proof): [string, JwsKind, KeyLabel, typeof proof] => [
      `DPoP of ${proof.url}`,
      'dpop',
      'device',
      proof,
    ]),
    ['accept with PIN', 'decision', 'device', operation.pin.assertion],
    ['accept with biometric', 'decision', 'bio', operation.bio.assertion],
    ['signed reject', 'decision', 'device', tms.reject.assertion],
    ['spontaneous authentication', 'decision', 'bio', authentication.assertion],
    ['request to a backend', 'request', 'device', deviceVectors.requestProof],
  ]

  test.each(vectors)('%s: bit for bit', async (_name, kind, label, { jws, claims }) => {
    const parsed = parseCompactJws(jws, kind)
    expect(parsed.claims).toEqual(claims)
    expect(await isJwsSignedBy(parsed, spkiOf(label), verify)).toBe(true)
    expect(await isJwsSignedBy(parsed, spkiOf('other-device'), verify)).toBe(false)
    const written = await writeCompactJws(
      kind,
      { key: jwkOf(label), claims: claims as Record<string, unknown> },
      { sha256, sign: signRaw(label) },
    )
    expect(written).toBe(jws)
  })
})

describe('CSR', () => {
  const der = fromBase64(certificate.csr)

  test('is read, and proves possession of the device key', async () => {
    const request = parseCertificationRequest(der)
    expect(request.publicKey).toEqual(spkiOf('device'))
    expect(await provesPossession(request, verify)).toBe(true)
  })

  test('is written bit for bit', async () => {
    const subject = writeName({ commonName: certificate.csrSubject.CN })
    const publicKey = spkiOf('device')
    expect(await writeCertificationRequest({ subject, publicKey }, signDer('device'))).toEqual(der)
    expect(encodeHex(sha256(der))).toBe(
      '0657b43e15aa0e3db64f3c9c573595369f3ec2f8a6300ae57faed87a6e6edafa',
    )
  })
})

describe('certificates', () => {
  const root = { organization: 'Countersign Test', commonName: 'Countersign Test Root' }
  const signer = { organization: 'acme', commonName: 'acme signer 0' }
  const leaf = {
    organization: 'acme',
    commonName: certificate.subject.CN,
    userId: certificate.subject.UID,
  }

  test.each([
    ['leaf', 'AST_DEVICE', certificate.certificate, signer, leaf, 'device', 'signer'],
    ['signer', 'TENANT_SIGNER', signerDer, root, signer, 'signer', 'root'],
  ] as const)(
    'the %s is written bit for bit',
    async (_name, profile, base64, issuer, subject, key, issuerKey) => {
      const der = fromBase64(base64)
      const { serial, notBeforeMs, notAfterMs } = parseCertificate(der)
      const fields = profiledFields(profile as ProfileName, {
        serial,
        issuer: writeName(issuer),
        subject: writeName(subject),
        notBeforeMs,
        notAfterMs,
        publicKey: spkiOf(key),
        subjectKeyId: sha1(readPoint(spkiOf(key))),
        issuerKeyId: sha1(readPoint(spkiOf(issuerKey))),
        urls: undefined,
      })
      expect(await signFrame(writeTbsCertificate(fields), signDer(issuerKey))).toEqual(der)
    },
  )

  test('are a good path to the anchor', async () => {
    const [parsedLeaf, ...others] = [certificate.certificate, rootDer, signerDer].map((base64) =>
      parseCertificate(fromBase64(base64)),
    )
    if (parsedLeaf === undefined) throw new Error('No leaf.')
    const path = orderPath(parsedLeaf, others) ?? []
    expect(path).toHaveLength(3)
    const request = {
      path,
      anchors: [fromBase64(rootDer)],
      atMs: Date.parse(certificate.notBefore),
      leaf: { keyUsage: 'digitalSignature' },
      verify,
    } as const
    expect(await findPathFault(request)).toBeUndefined()
    expect(encodeHex(parsedLeaf.serial)).toBe(certificate.serialNumber)
    expect(parsedLeaf.notAfterMs).toBe(Date.parse(certificate.notAfter))
  })
})

describe('CMS', () => {
  const content = fromBase64(tms.contentBytes)

  test('is read and holds', async () => {
    const data = parseSignedData(fromBase64(tms.signedData))
    expect(data.content).toEqual(content)
    expect(data.signingTimeMs).toBe(tms.signingTime * 1000)
    expect(data.leaf.der).toEqual(fromBase64(certificate.certificate))
    expect(encodeHex(data.signedAttributes)).toBe(tms.signedAttributesDer)
    expect(await isSignatureValid(data, { sha256, verify })).toBe(true)
  })

  test('is written bit for bit', async () => {
    const draft = {
      content,
      leaf: fromBase64(certificate.certificate),
      chain: certificate.chain.map(fromBase64),
      signingTimeMs: tms.signingTime * 1000 + 250,
    }
    const written = await writeSignedData(draft, { sha256, sign: signDer('device') })
    expect(written).toEqual(fromBase64(tms.signedData))
    expect(encodeHex(sha256(written))).toBe(
      '9646b15778d504732a54946f0f278b5c84c37839c407d54cdc7e8db4a7e43f3a',
    )
  })
})

describe('negative vectors', () => {
  const negative = (name: string) => {
    const found = deviceVectors.negative.find((vector) => vector.name === name)
    if (found === undefined) throw new Error(`No vector ${name}.`)
    return found
  }

  test('valid CMS over other bytes: the signature holds, the content differs (content_mismatch)', async () => {
    const data = parseSignedData(
      fromBase64(negative('valid CMS over other bytes').signedData ?? ''),
    )
    expect(await isSignatureValid(data, { sha256, verify })).toBe(true)
    expect(data.content).not.toEqual(fromBase64(tms.contentBytes))
  })

  test('CMS whose content was changed after signing does not hold (signature_invalid)', async () => {
    const name = 'CMS whose content was changed after signing'
    const data = parseSignedData(fromBase64(negative(name).signedData ?? ''))
    expect(await isSignatureValid(data, { sha256, verify })).toBe(false)
  })

  test('a proof without signature is no JWS (validation_failed)', () => {
    const { proof = '' } = negative('enrolment proof without signature')
    expect(() => parseCompactJws(proof, 'keys')).toThrow('64 bytes')
  })

  test.each([
    ['client assertion of a foreign key', 'client_assertion', 'clientAssertion', 'device'],
    ['login assertion signed by the device key', 'bio_assertion', 'login', 'bio'],
    ['PIN decision signed by the biometric key', 'assertion', 'decision', 'device'],
  ] as const)('%s does not hold', async (name, member, kind, label) => {
    const jws = parseCompactJws(negative(name)[member] ?? '', kind)
    expect(await isJwsSignedBy(jws, spkiOf(label), verify)).toBe(false)
  })

  test.each([
    ['DPoP key is not the device key', 'dpop', 'dpop'],
    ['DPoP for another URL', 'dpop', 'dpop'],
    ['DPoP proof used twice', 'dpop', 'dpop'],
    ['token request without server nonce', 'dpop', 'dpop'],
    ['enrolment proof for another code', 'proof', 'keys'],
    ['decision assertion with another payload hash', 'assertion', 'decision'],
    ['decision assertion with a foreign challenge', 'assertion', 'decision'],
  ] as const)('%s: well-formed, its claims are for the server to refuse', (name, member, kind) => {
    expect(parseCompactJws(negative(name)[member] ?? '', kind).claims).toBeTypeOf('object')
  })
})
