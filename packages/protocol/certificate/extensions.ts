import { DerError, DerReader } from '../der/der-reader.ts'
import {
  asciiString,
  constructedTag,
  element,
  namedBits,
  octetString,
  oid,
  primitiveTag,
  sequence,
  smallInteger,
  tags,
  trueValue,
} from '../der/der-writer.ts'
import { oids } from './oids.ts'

/** One extension; `value` is what its octet string holds. */
export interface Extension {
  readonly id: string
  readonly critical: boolean
  readonly value: Uint8Array
}

/** Numbers of RFC 5280's named bits. */
export const keyUsageBits = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyCertSign: 5,
  crlSign: 6,
} as const
export type KeyUsage = keyof typeof keyUsageBits

export interface BasicConstraints {
  readonly isCa: boolean
  readonly pathLength: number | undefined
}

const extensionsMax = 20
const pathLengthMax = 16
const usagesMax = 8

export function writeExtension({ id, critical, value }: Extension): Uint8Array {
  return critical
    ? sequence(oid(id), trueValue, octetString(value))
    : sequence(oid(id), octetString(value))
}

/** @throws DerError; also when there are none, too many, or one twice. */
export function readExtensions(reader: DerReader): Extension[] {
  const list = reader.sequence()
  const extensions: Extension[] = []
  while (!list.isAtEnd) {
    if (extensions.length >= extensionsMax) throw new DerError('There are too many extensions.')
    const one = list.sequence()
    const id = one.oid()
    const critical = one.optionalTrue()
    const value = one.octetString()
    one.finish()
    if (extensions.some((other) => other.id === id))
      throw new DerError('An extension is there twice.')
    extensions.push({ id, critical, value })
  }
  if (extensions.length === 0) throw new DerError('There are no extensions.')
  return extensions
}

export function basicConstraints({ isCa, pathLength }: BasicConstraints): Extension {
  const parts = [
    ...(isCa ? [trueValue] : []),
    ...(pathLength === undefined ? [] : [smallInteger(pathLength)]),
  ]
  return { id: oids.basicConstraints, critical: true, value: sequence(...parts) }
}

/** @throws DerError */
export function readBasicConstraints(value: Uint8Array): BasicConstraints {
  return readWhole(value, (reader) => {
    const inside = reader.sequence()
    const isCa = inside.optionalTrue()
    const pathLength = inside.isAtEnd ? undefined : inside.smallInteger(pathLengthMax)
    inside.finish()
    if (!isCa && pathLength !== undefined) throw new DerError('A path length without a CA.')
    return { isCa, pathLength }
  })
}

export function keyUsage(usages: readonly KeyUsage[]): Extension {
  const value = namedBits(usages.map((usage) => keyUsageBits[usage]))
  return { id: oids.keyUsage, critical: true, value }
}

/** Numbers of the bits that are set. @throws DerError */
export function readKeyUsage(value: Uint8Array): number[] {
  return readWhole(value, (reader) => reader.namedBits())
}

/** @param purposes object identifiers. */
export function extendedKeyUsage(purposes: readonly string[]): Extension {
  return { id: oids.extendedKeyUsage, critical: false, value: sequence(...purposes.map(oid)) }
}

/** @throws DerError */
export function readExtendedKeyUsage(value: Uint8Array): string[] {
  return readWhole(value, (reader) => {
    const inside = reader.sequence()
    const purposes: string[] = []
    while (!inside.isAtEnd) {
      if (purposes.length >= usagesMax) throw new DerError('There are too many purposes.')
      purposes.push(inside.oid())
    }
    if (purposes.length === 0) throw new DerError('There are no purposes.')
    return purposes
  })
}

/** @param keyId SHA-1 of the point (RFC 5280 section 4.2.1.2, method 1). */
export function subjectKeyIdentifier(keyId: Uint8Array): Extension {
  return { id: oids.subjectKeyIdentifier, critical: false, value: octetString(keyId) }
}

/** @throws DerError */
export function readSubjectKeyIdentifier(value: Uint8Array): Uint8Array {
  return readWhole(value, (reader) => reader.octetString())
}

export function authorityKeyIdentifier(keyId: Uint8Array): Extension {
  const value = sequence(element(primitiveTag(0), keyId))
  return { id: oids.authorityKeyIdentifier, critical: false, value }
}

/** The key identifier, the only member that our profile has. @throws DerError */
export function readAuthorityKeyIdentifier(value: Uint8Array): Uint8Array {
  return readWhole(value, (reader) => {
    const inside = reader.sequence()
    const keyId = inside.content(primitiveTag(0))
    inside.finish()
    return keyId
  })
}

/** `fullName` with one URL. */
function distributionPointName(url: string): Uint8Array {
  const name = element(constructedTag(0), asciiString(primitiveTag(6), url))
  return element(constructedTag(0), name)
}

export function crlDistributionPoint(url: string): Extension {
  const value = sequence(sequence(distributionPointName(url)))
  return { id: oids.crlDistributionPoints, critical: false, value }
}

/** The one URL. @throws DerError */
export function readCrlDistributionPoint(value: Uint8Array): string {
  return readWhole(value, (reader) => {
    const points = reader.sequence()
    const point = points.sequence()
    points.finish()
    const url = readDistributionPointName(point)
    point.finish()
    return url
  })
}

/** Which part of an issuer's certificates a list is about: those that name the same URL. */
export function issuingDistributionPoint(url: string): Extension {
  const value = sequence(distributionPointName(url))
  return { id: oids.issuingDistributionPoint, critical: true, value }
}

/** @throws DerError; also for every form but that of ours. */
export function readIssuingDistributionPoint(value: Uint8Array): string {
  return readWhole(value, (reader) => {
    const inside = reader.sequence()
    const url = readDistributionPointName(inside)
    inside.finish()
    return url
  })
}

function readDistributionPointName(reader: DerReader): string {
  const name = reader.explicit(0)
  const fullName = name.explicit(0)
  name.finish()
  const url = fullName.implicitAscii(6)
  fullName.finish()
  return url
}

export interface AccessUrls {
  readonly ocsp: string
  readonly caIssuers: string
}

export function authorityInfoAccess({ ocsp, caIssuers }: AccessUrls): Extension {
  const value = sequence(
    sequence(oid(oids.accessOcsp), asciiString(primitiveTag(6), ocsp)),
    sequence(oid(oids.accessCaIssuers), asciiString(primitiveTag(6), caIssuers)),
  )
  return { id: oids.authorityInfoAccess, critical: false, value }
}

/** @throws DerError */
export function readAuthorityInfoAccess(value: Uint8Array): AccessUrls {
  return readWhole(value, (reader) => {
    const inside = reader.sequence()
    const [ocsp, caIssuers] = [oids.accessOcsp, oids.accessCaIssuers].map((method) => {
      const one = inside.sequence()
      one.expectOid(method)
      const url = one.implicitAscii(6)
      one.finish()
      return url
    })
    inside.finish()
    return { ocsp: ocsp ?? '', caIssuers: caIssuers ?? '' }
  })
}

/** @param number counted up with each list of an issuer, or of one part of its certificates. */
export function crlNumber(number: number): Extension {
  return { id: oids.crlNumber, critical: false, value: smallInteger(number) }
}

/** @throws DerError */
export function readCrlNumber(value: Uint8Array): number {
  return readWhole(value, (reader) => reader.smallInteger(Number.MAX_SAFE_INTEGER))
}

/** @param reason RFC 5280's number; 0, unspecified, is left out by whoever writes an entry. */
export function crlReason(reason: number): Extension {
  const value = element(tags.enumerated, Uint8Array.of(reason))
  return { id: oids.crlReason, critical: false, value }
}

/** Reads a value of which nothing may be left. */
export function readWhole<T>(value: Uint8Array, read: (reader: DerReader) => T): T {
  const reader = new DerReader(value)
  const result = read(reader)
  reader.finish()
  return result
}
