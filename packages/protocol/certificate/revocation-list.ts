import { DerError, DerReader } from '../der/der-reader.ts'
import { element, integer, sequence, smallInteger, tags, time } from '../der/der-writer.ts'
import {
  ecdsaWithSha256,
  readSignatureAlgorithm,
  readSignedFrame,
  type SignedFrame,
  serialBytesMax,
} from './certificate.ts'
import { crlReason, type Extension, readExtensions, writeExtension } from './extensions.ts'
import { oids } from './oids.ts'

/** One revoked certificate. */
export interface RevokedEntry {
  readonly serial: Uint8Array
  readonly revokedAtMs: number
  /** RFC 5280 section 5.3.1; 0: unspecified. */
  readonly reason: number
}

export interface RevocationListFields {
  /** Name in DER. */
  readonly issuer: Uint8Array
  readonly thisUpdateMs: number
  readonly nextUpdateMs: number
  /** Entries one after another, each by {@link writeRevokedEntry}: a list grows by appending. */
  readonly entries: Uint8Array
  readonly extensions: readonly Extension[]
}

export interface RevocationList extends SignedFrame {
  readonly issuer: Uint8Array
  readonly thisUpdateMs: number
  readonly nextUpdateMs: number
  readonly entries: readonly RevokedEntry[]
  readonly extensions: readonly Extension[]
}

const version2 = 1
const reasonMax = 10

export function writeRevokedEntry({ serial, revokedAtMs, reason }: RevokedEntry): Uint8Array {
  const parts = [integer(serial), time(revokedAtMs)]
  // RFC 5280: unspecified is said by saying nothing.
  if (reason !== 0) parts.push(sequence(writeExtension(crlReason(reason))))
  return sequence(...parts)
}

/** The part that is signed; an empty list has no entries at all. */
export function writeTbsRevocationList(fields: RevocationListFields): Uint8Array {
  return sequence(
    smallInteger(version2),
    ecdsaWithSha256,
    fields.issuer,
    time(fields.thisUpdateMs),
    time(fields.nextUpdateMs),
    ...(fields.entries.length === 0 ? [] : [sequence(fields.entries)]),
    element(0xa0, sequence(...fields.extensions.map(writeExtension))),
  )
}

/** @param bytesMax a list grows with what was revoked. @throws DerError */
export function parseRevocationList(der: Uint8Array, bytesMax: number): RevocationList {
  const { tbs, signature } = readSignedFrame(der, bytesMax)
  const outer = new DerReader(tbs)
  const reader = outer.sequence()
  outer.finish()
  if (reader.smallInteger(version2) !== version2) throw new DerError('The version is not 2.')
  readSignatureAlgorithm(reader)
  const issuer = reader.raw(tags.sequence)
  const thisUpdateMs = reader.time()
  const nextUpdateMs = reader.time()
  const entries: RevokedEntry[] = []
  if (reader.nextTag === tags.sequence) {
    const list = reader.sequence()
    do entries.push(readEntry(list))
    while (!list.isAtEnd)
  }
  const wrapped = reader.explicit(0)
  const extensions = readExtensions(wrapped)
  wrapped.finish()
  reader.finish()
  return { tbs, signature, issuer, thisUpdateMs, nextUpdateMs, entries, extensions }
}

function readEntry(list: DerReader): RevokedEntry {
  const reader = list.sequence()
  const serial = reader.unsigned(serialBytesMax)
  const revokedAtMs = reader.time()
  let reason = 0
  if (!reader.isAtEnd) {
    for (const { id, critical, value } of readExtensions(reader)) {
      if (id === oids.crlReason)
        reason = new DerReader(value).smallInteger(reasonMax, tags.enumerated)
      else if (critical) throw new DerError('An entry has an unknown critical extension.')
    }
  }
  reader.finish()
  return { serial, revokedAtMs, reason }
}
