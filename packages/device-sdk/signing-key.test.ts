import { readFileSync } from 'node:fs'
import {
  parseCertificationRequest,
  writeCertificationRequest,
} from '@countersign/protocol/certificate/certificate-request.ts'
import { rawFromDer } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { writeName } from '@countersign/protocol/certificate/name.ts'
import type { DeviceJwsKind, EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import { writeSignedData } from '@countersign/protocol/message/signed-data.ts'
import {
  deviceVectors,
  type KeyLabel,
  signRaw,
  spkiOf,
  verify,
} from '@countersign/protocol/test-vectors/device-vectors.fixture.ts'
import { describe, expect, test } from 'vitest'
import {
  createKeyPair,
  derSignerOf,
  type SigningKey,
  signingKey,
  signingKeyOf,
  signJws,
} from './signing-key.ts'
import { sha256, verifyP256 } from './web-crypto.ts'

interface Published {
  readonly key: KeyLabel
  readonly jws: string
}

const vectors = JSON.parse(
  readFileSync(new URL('../protocol/test-vectors/device-vectors.json', import.meta.url), 'utf8'),
)
const published: readonly [DeviceJwsKind, Published][] = [
  ['keys', vectors.enrolment.proof],
  ['keys', vectors.enrolment.bioProof],
  ['keys', vectors.replaceBioKey.proof],
  ['client', vectors.token.clientAssertion],
  ['login', vectors.token.bio.assertion],
  ['dpop', vectors.token.bio.dpop],
  ...vectors.dpop.proofs.map((proof: Published) => ['dpop', proof]),
  ['decision', vectors.operation.pin.assertion],
  ['decision', vectors.operation.bio.assertion],
  ['decision', vectors.tms.reject.assertion],
  ['decision', vectors.authentication.assertion],
  ['request', vectors.requestProof],
]

/** A key of the vectors, which signs with the nonces of RFC 6979. */
async function vectorKey(label: KeyLabel): Promise<SigningKey> {
  const { x, y } = deviceVectors.keys[label].privateJwk
  return signingKey({ kty: 'EC', crv: 'P-256', x, y } satisfies EcPublicJwk, signRaw(label))
}

function claimsOf(jws: string): object {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as object
}

describe('what the SDK signs', () => {
  test.each(published)('%s: the published JWS, byte for byte', async (kind, { key, jws }) => {
    expect(await signJws(kind, await vectorKey(key), claimsOf(jws))).toBe(jws)
  })

  test('the published request for a certificate, byte for byte', async () => {
    const key = await vectorKey('device')
    const { csr, csrSubject } = deviceVectors.certificate
    const subject = writeName({ commonName: csrSubject.CN })
    const der = await writeCertificationRequest({ subject, publicKey: key.spki }, derSignerOf(key))
    expect(Buffer.from(der).toString('base64')).toBe(csr)
  })

  test('the published CMS, byte for byte', async () => {
    const key = await vectorKey('device')
    const { contentBytes, signingTime, signedData } = deviceVectors.tms
    const { certificate, chain } = deviceVectors.certificate
    const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'))
    const der = await writeSignedData(
      {
        content: bytes(contentBytes),
        leaf: bytes(certificate),
        chain: chain.map(bytes),
        signingTimeMs: signingTime * 1000,
      },
      { sha256, sign: derSignerOf(key) },
    )
    expect(Buffer.from(der).toString('base64')).toBe(signedData)
  })

  test('WebCrypto keys sign what OpenSSL verifies, and check what is published', async () => {
    const key = await signingKeyOf(await createKeyPair(false))
    const bytes = new TextEncoder().encode('text')
    const signature = await key.signRaw(bytes)
    expect(verify(key.spki, bytes, signature)).toBe(true)
    const raw = rawFromDer(await derSignerOf(key)(bytes))
    expect(await verifyP256(key.spki, bytes, raw)).toBe(true)
    const csr = parseCertificationRequest(Buffer.from(deviceVectors.certificate.csr, 'base64'))
    expect(await verifyP256(csr.publicKey, csr.tbs, csr.signature)).toBe(true)
    expect(await verifyP256(spkiOf('bio'), csr.tbs, csr.signature)).toBe(false)
    expect(await verifyP256(new Uint8Array(91), csr.tbs, csr.signature)).toBe(false)
  })

  test('keys of a platform cannot be taken out', async () => {
    const { privateKey } = await createKeyPair(false)
    expect(privateKey.extractable).toBe(false)
    await expect(crypto.subtle.exportKey('pkcs8', privateKey)).rejects.toThrow('not extractable')
  })
})
