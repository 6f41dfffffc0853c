import { describe, expect, test } from 'vitest'
import { parseCertificate, signFrame, writeTbsCertificate } from '../certificate/certificate.ts'
import {
  parseCertificationRequest,
  provesPossession,
  writeCertificationRequest,
} from '../certificate/certificate-request.ts'
import { writeName } from '../certificate/name.ts'
import { findPathFault, orderPath } from '../certificate/path.ts'
import { profiledFields } from '../certificate/profiles.ts'
import { readPoint } from '../certificate/public-key.ts'
import { encodeBase64url } from '../encoding/base64.ts'
import { encodeHex } from '../encoding/hex.ts'
import {
  deviceVectors,
  fromBase64,
  sha1,
  sha256,
  signDer,
  signRaw,
  spkiOf,
  verify,
} from '../test-vectors/device-vectors.fixture.ts'
import { isSignatureValid, parseSignedData, writeSignedData } from './signed-data.ts'

const { certificate, tms, enrolment, token, operation } = deviceVectors
const [signerDer = '', rootDer = ''] = certificate.chain

test.each([
  ['key statement', enrolment.proof.jws, 'device'],
  ['key statement of bio', enrolment.bioProof.jws, 'bio'],
  ['client assertion', token.clientAssertion.jws, 'device'],
  ['biometric login', token.bio.assertion.jws, 'bio'],
  ['accept with PIN', operation.pin.assertion.jws, 'device'],
  ['signed reject', tms.reject.assertion.jws, 'device'],
] as const)('JWS: %s is signed bit for bit', async (_name, jws, label) => {
  const end = jws.lastIndexOf('.')
  const signature = await signRaw(label)(new TextEncoder().encode(jws.slice(0, end)))
  expect(encodeBase64url(signature)).toBe(jws.slice(end + 1))
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
      const fields = profiledFields(profile, {
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
})
