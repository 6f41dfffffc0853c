import { describe, expect, test } from 'vitest'
import { DerError } from '../der/der-reader.ts'
import { element, sequence } from '../der/der-writer.ts'
import {
  sha1,
  sha256,
  signDer,
  singleByteMutations,
} from '../test-vectors/device-vectors.fixture.ts'
import { writeExtension } from './extensions.ts'
import { parseOcspRequest, writeCertificateId, writeOcspRequest } from './ocsp-request.ts'
import { parseOcspResponse, writeOcspRefusal, writeOcspResponse } from './ocsp-response.ts'

const name = new TextEncoder().encode('name')
const id = {
  hash: 'sha256',
  issuerNameHash: sha256(name),
  issuerKeyHash: sha256(name),
  serial: Uint8Array.of(0x80, 1),
} as const

describe('an OCSP request', () => {
  test('is read as it was written, with and without nonce', () => {
    const nonce = new Uint8Array(32).fill(7)
    const read = parseOcspRequest(writeOcspRequest([id, id], nonce))
    expect(read.nonce).toEqual(nonce)
    expect(read.certificates).toHaveLength(2)
    expect(read.certificates[0]).toMatchObject(id)
    expect(parseOcspRequest(writeOcspRequest([id])).nonce).toBeUndefined()
  })

  const list = sequence(sequence(writeCertificateId(id)))
  const withExtension = (extension: { id: string; critical: boolean; value: Uint8Array }) =>
    sequence(sequence(list, element(0xa2, sequence(writeExtension(extension)))))

  test.each([
    ['asks nothing', sequence(sequence(sequence()))],
    ['asks too much', writeOcspRequest(Array.from({ length: 17 }, () => id))],
    ['has a nonce of 129 bytes', writeOcspRequest([id], new Uint8Array(129))],
    ['has an empty nonce', writeOcspRequest([id], new Uint8Array())],
    [
      'has a critical extension that nobody knows',
      withExtension({ id: '1.2.3', critical: true, value: Uint8Array.of(5, 0) }),
    ],
    ['has a hash of another length', writeOcspRequest([{ ...id, issuerKeyHash: sha1(name) }])],
    ['is longer than 4 KiB', new Uint8Array(4_097)],
    ['has something behind it', Uint8Array.from([...writeOcspRequest([id]), 0])],
  ])('is refused when it %s', (_name, der) => {
    expect(() => parseOcspRequest(der)).toThrow(DerError)
  })

  test('R17: changed anywhere, it is read or refused, nothing else', () => {
    for (const mutated of singleByteMutations(writeOcspRequest([id], new Uint8Array(8).fill(1)))) {
      try {
        expect(parseOcspRequest(mutated).certificates.length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toBeInstanceOf(DerError)
      }
    }
  })
})

describe('an OCSP answer', () => {
  test('is read as it was written', async () => {
    const der = writeCertificateId(id)
    const fields = {
      responderKeyHash: sha1(name),
      producedAtMs: Date.UTC(2026, 0),
      thisUpdateMs: Date.UTC(2026, 0),
      nextUpdateMs: Date.UTC(2051, 0),
      answers: [
        { id: der, answer: { status: 'good' } },
        { id: der, answer: { status: 'unknown' } },
        { id: der, answer: { status: 'revoked', revokedAtMs: Date.UTC(2025, 0), reason: 1 } },
        { id: der, answer: { status: 'revoked', revokedAtMs: Date.UTC(2025, 0), reason: 0 } },
      ],
      nonce: Uint8Array.of(1, 2, 3),
    } as const
    const read = parseOcspResponse(await writeOcspResponse(fields, signDer('signer')))
    if (typeof read === 'number') throw new Error('refused')
    expect(read.answers.map(({ answer }) => answer)).toEqual(
      fields.answers.map(({ answer }) => answer),
    )
    expect(read).toMatchObject({ nonce: fields.nonce, producedAtMs: fields.producedAtMs })
    expect(read.answers[0]?.nextUpdateMs).toBe(fields.nextUpdateMs)
  })

  test('that refuses says why and nothing else', () => {
    expect(parseOcspResponse(writeOcspRefusal('malformedRequest'))).toBe(1)
    expect(parseOcspResponse(writeOcspRefusal('tryLater'))).toBe(3)
    expect(parseOcspResponse(writeOcspRefusal('unauthorized'))).toBe(6)
  })
})
