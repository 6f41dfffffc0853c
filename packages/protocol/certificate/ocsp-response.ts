import { DerError, DerReader } from '../der/der-reader.ts'
import {
  bitString,
  element,
  enumerated,
  generalizedTime,
  octetString,
  oid,
  primitiveTag,
  sequence,
  tags,
} from '../der/der-writer.ts'
import { ecdsaWithSha256, readSignatureAlgorithm, type SignedFrame } from './certificate.ts'
import type { SignCallback } from './crypto-callbacks.ts'
import { rawFromDer } from './ecdsa-signature.ts'
import { readExtensions } from './extensions.ts'
import { type CertificateId, nonceExtension, nonceOf, parseCertificateId } from './ocsp-request.ts'
import { oids } from './oids.ts'

/** Answers that say nothing about certificates, and carry no signature (RFC 6960 section 4.2.1). */
export const ocspRefusals = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  unauthorized: 6,
} as const

export type CertificateStatus =
  | { readonly status: 'good' | 'unknown' }
  /** `reason`: RFC 5280's number; 0 is left out. */
  | { readonly status: 'revoked'; readonly revokedAtMs: number; readonly reason: number }

export interface OcspResponseFields {
  /** SHA-1 of the point of the key that signs. */
  readonly responderKeyHash: Uint8Array
  readonly producedAtMs: number
  readonly thisUpdateMs: number
  readonly nextUpdateMs: number
  readonly answers: readonly { readonly id: Uint8Array; readonly answer: CertificateStatus }[]
  /** Repeats the request's. */
  readonly nonce: Uint8Array | undefined
}

export function writeOcspRefusal(refusal: keyof typeof ocspRefusals): Uint8Array {
  return sequence(enumerated(ocspRefusals[refusal]))
}

/** An answer signed by the issuer's own key, which needs no certificate of a responder. */
export async function writeOcspResponse(
  fields: OcspResponseFields,
  sign: SignCallback,
): Promise<Uint8Array> {
  const { nonce, thisUpdateMs, nextUpdateMs } = fields
  const data = sequence(
    element(0xa2, octetString(fields.responderKeyHash)),
    generalizedTime(fields.producedAtMs),
    sequence(
      ...fields.answers.map(({ id, answer }) =>
        sequence(
          id,
          writeStatus(answer),
          generalizedTime(thisUpdateMs),
          element(0xa0, generalizedTime(nextUpdateMs)),
        ),
      ),
    ),
    ...(nonce === undefined ? [] : [element(0xa1, sequence(nonceExtension(nonce)))]),
  )
  const basic = sequence(data, ecdsaWithSha256, bitString(await sign(data)))
  const bytes = sequence(oid(oids.ocspBasic), octetString(basic))
  return sequence(enumerated(0), element(0xa0, bytes))
}

function writeStatus(answer: CertificateStatus): Uint8Array {
  switch (answer.status) {
    case 'good':
      return element(primitiveTag(0))
    case 'unknown':
      return element(primitiveTag(2))
    case 'revoked': {
      const reason = answer.reason === 0 ? [] : [element(0xa0, enumerated(answer.reason))]
      return element(0xa1, generalizedTime(answer.revokedAtMs), ...reason)
    }
  }
}

export interface OcspResponse extends SignedFrame {
  readonly responderKeyHash: Uint8Array
  readonly producedAtMs: number
  readonly answers: readonly {
    readonly certificate: CertificateId
    readonly answer: CertificateStatus
    readonly thisUpdateMs: number
    readonly nextUpdateMs: number
  }[]
  readonly nonce: Uint8Array | undefined
}

const responseBytesMax = 16_384
const statusMax = 6
const reasonMax = 10
const answersMax = 16

/**
 * Reads an answer of our form.
 *
 * @returns the number of a refusal, see {@link ocspRefusals}.
 * @throws DerError
 */
export function parseOcspResponse(der: Uint8Array): OcspResponse | number {
  if (der.length > responseBytesMax) throw new DerError('There are too many bytes.')
  const outer = new DerReader(der)
  const response = outer.sequence()
  outer.finish()
  const status = response.smallInteger(statusMax, tags.enumerated)
  if (status !== 0) {
    response.finish()
    return status
  }
  const wrapped = response.explicit(0)
  response.finish()
  const bytes = wrapped.sequence()
  wrapped.finish()
  bytes.expectOid(oids.ocspBasic)
  const basicReader = new DerReader(bytes.octetString())
  bytes.finish()
  const basic = basicReader.sequence()
  basicReader.finish()
  const tbs = basic.raw(tags.sequence)
  readSignatureAlgorithm(basic)
  const signature = rawFromDer(basic.bitString())
  basic.finish()
  return { ...parseData(tbs), tbs, signature }
}

function parseData(tbs: Uint8Array): Omit<OcspResponse, keyof SignedFrame> {
  const outer = new DerReader(tbs)
  const data = outer.sequence()
  outer.finish()
  const responder = data.explicit(2)
  const responderKeyHash = responder.octetString()
  responder.finish()
  const producedAtMs = data.generalizedTime()
  const list = data.sequence()
  const answers: OcspResponse['answers'][number][] = []
  while (!list.isAtEnd) {
    if (answers.length >= answersMax) throw new DerError('There are too many answers.')
    const one = list.sequence()
    const certificate = parseCertificateId(one.raw(tags.sequence))
    const answer = readStatus(one)
    const thisUpdateMs = one.generalizedTime()
    const next = one.explicit(0)
    const nextUpdateMs = next.generalizedTime()
    next.finish()
    one.finish()
    answers.push({ certificate, answer, thisUpdateMs, nextUpdateMs })
  }
  let nonce: Uint8Array | undefined
  if (data.hasExplicit(1)) {
    const wrapped = data.explicit(1)
    nonce = nonceOf(readExtensions(wrapped))
    wrapped.finish()
  }
  data.finish()
  return { responderKeyHash, producedAtMs, answers, nonce }
}

function readStatus(reader: DerReader): CertificateStatus {
  switch (reader.nextTag) {
    case primitiveTag(0):
      return emptyStatus(reader, 'good')
    case primitiveTag(2):
      return emptyStatus(reader, 'unknown')
    default: {
      const inside = reader.explicit(1)
      const revokedAtMs = inside.generalizedTime()
      let reason = 0
      if (inside.hasExplicit(0)) {
        const wrapped = inside.explicit(0)
        reason = wrapped.smallInteger(reasonMax, tags.enumerated)
        wrapped.finish()
      }
      inside.finish()
      return { status: 'revoked', revokedAtMs, reason }
    }
  }
}

function emptyStatus(reader: DerReader, status: 'good' | 'unknown'): CertificateStatus {
  const content = reader.content(primitiveTag(status === 'good' ? 0 : 2))
  if (content.length !== 0) throw new DerError('A status has a content.')
  return { status }
}
