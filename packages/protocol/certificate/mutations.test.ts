import { describe, expect, test } from 'vitest'
import { DerError } from '../der/der-reader.ts'
import { isSignatureValid, parseSignedData } from '../message/signed-data.ts'
import {
  deviceVectors,
  fromBase64,
  sha256,
  singleByteMutations,
  verify,
} from '../test-vectors/device-vectors.fixture.ts'
import { parseCertificate } from './certificate.ts'
import { parseCertificationRequest, provesPossession } from './certificate-request.ts'
import { findPathFault, orderPath } from './path.ts'

const { certificate, tms } = deviceVectors
const chain = certificate.chain.map(fromBase64)
const anchors = certificate.trustAnchors.map(fromBase64)
const atMs = Date.parse(certificate.notBefore)

/** Whether a certificate with the vector's chain is taken. */
async function isCertificateTaken(leafDer: Uint8Array, others: readonly Uint8Array[]) {
  const path = orderPath(parseCertificate(leafDer), others.map(parseCertificate))
  if (path === undefined) return false
  const leaf = { keyUsage: 'digitalSignature' } as const
  return (await findPathFault({ path, anchors, atMs, leaf, verify })) === undefined
}

async function isMessageTaken(der: Uint8Array): Promise<boolean> {
  const data = parseSignedData(der)
  if (!(await isSignatureValid(data, { sha256, verify }))) return false
  const path = orderPath(data.leaf, data.certificates)
  if (path === undefined) return false
  const leaf = { keyUsage: 'digitalSignature' } as const
  const fault = await findPathFault({ path, anchors, atMs: data.signingTimeMs, leaf, verify })
  return fault === undefined
}

/** How many of the mutations were taken; whatever is no refusal and no DerError fails the test. */
async function countTaken(
  der: Uint8Array,
  isTaken: (mutated: Uint8Array) => Promise<boolean>,
): Promise<number> {
  let taken = 0
  for (const mutated of singleByteMutations(der)) {
    try {
      if (await isTaken(mutated)) taken++
    } catch (error) {
      if (!(error instanceof DerError)) throw error
    }
  }
  return taken
}

describe('R17: no byte of what is signed can be changed', () => {
  test('of a certificate', async () => {
    const der = fromBase64(certificate.certificate)
    expect(await isCertificateTaken(der, chain)).toBe(true)
    expect(await countTaken(der, (mutated) => isCertificateTaken(mutated, chain))).toBe(0)
  })

  test('of the issuer in the path', async () => {
    const [signer = new Uint8Array(), ...rest] = chain
    const leaf = fromBase64(certificate.certificate)
    expect(
      await countTaken(signer, (mutated) => isCertificateTaken(leaf, [mutated, ...rest])),
    ).toBe(0)
  })

  test('of a certificate request', async () => {
    const der = fromBase64(certificate.csr)
    const isTaken = async (mutated: Uint8Array) =>
      provesPossession(parseCertificationRequest(mutated), verify)
    expect(await isTaken(der)).toBe(true)
    expect(await countTaken(der, isTaken)).toBe(0)
  })

  test('of a signed message, its certificates included', async () => {
    const der = fromBase64(tms.signedData)
    expect(await isMessageTaken(der)).toBe(true)
    expect(await countTaken(der, isMessageTaken)).toBe(0)
  }, 60_000)

  test('and none can be added or left out', async () => {
    for (const base64 of [certificate.certificate, certificate.csr, tms.signedData]) {
      const der = fromBase64(base64)
      const parse = base64 === certificate.csr ? parseCertificationRequest : parseCertificate
      const read = base64 === tms.signedData ? parseSignedData : parse
      expect(() => read(Uint8Array.from([...der, 0]))).toThrow(DerError)
      expect(() => read(der.subarray(0, -1))).toThrow(DerError)
      expect(() => read(new Uint8Array())).toThrow(DerError)
    }
  })
})
