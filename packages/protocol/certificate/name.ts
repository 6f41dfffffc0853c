import { DerError, DerReader } from '../der/der-reader.ts'
import { element, oid, sequence, tags, utf8String } from '../der/der-writer.ts'
import { oids } from './oids.ts'

/** What our names are made of. */
export interface NameParts {
  readonly organization?: string | undefined
  readonly commonName?: string | undefined
  readonly userId?: string | undefined
}

/** Upper bounds of X.520, in characters. */
const lengthMax = { organization: 64, commonName: 64, userId: 256 } as const
const types = {
  organization: oids.organization,
  commonName: oids.commonName,
  userId: oids.userId,
} as const
const partsMax = 8

/** Organization, common name, user id: in this order, each UTF8String and alone in its set. */
export function writeName(parts: NameParts): Uint8Array {
  const sets: Uint8Array[] = []
  for (const part of ['organization', 'commonName', 'userId'] as const) {
    const value = parts[part]
    if (value === undefined) continue
    if (value === '' || value.length > lengthMax[part] || /\p{Cc}/u.test(value)) {
      throw new RangeError(`A name's ${part} is empty, too long or has control characters.`)
    }
    sets.push(element(tags.set, sequence(oid(types[part]), utf8String(value))))
  }
  return sequence(...sets)
}

/**
 * Reads a name of our own form; names of requests are not read at all.
 *
 * @throws DerError; also for a part that is there twice or unknown.
 */
export function readName(der: Uint8Array): NameParts {
  const outer = new DerReader(der)
  const name = outer.sequence()
  outer.finish()
  const parts: { organization?: string; commonName?: string; userId?: string } = {}
  for (let count = 0; !name.isAtEnd; count++) {
    if (count >= partsMax) throw new DerError('A name has too many parts.')
    const set = name.constructed(tags.set)
    const pair = set.sequence()
    set.finish()
    const type = pair.oid()
    const value = pair.text()
    pair.finish()
    const part = (['organization', 'commonName', 'userId'] as const).find(
      (candidate) => types[candidate] === type,
    )
    if (part === undefined || parts[part] !== undefined || value === '') {
      throw new DerError('A name has a part that is unknown, empty or there twice.')
    }
    parts[part] = value
  }
  return parts
}
