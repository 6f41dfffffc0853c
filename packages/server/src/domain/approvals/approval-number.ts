import type { Approval } from './approval.ts'

/** Numbers begin here, so that they fit the integers that every JSON reader keeps exactly until the year 2089. */
const epochMs = Date.UTC(2020, 0, 1)
const numbersPerMs = 4096
/** Neighbours are tried one by one; two are taken only when processes ask within one millisecond. */
export const numbersTried = 64

/**
 * Where the number of an approval is looked for: the milliseconds since 2020 times 4096, and the last twelve bits of its
 * id, which within one process are counted up. The index on the numbers of a tenant decides; one that is taken leaves the
 * approval the next.
 */
export function firstNumberOf({ id, createdAtMs }: Pick<Approval, 'id' | 'createdAtMs'>): number {
  const elapsedMs = Math.max(1, createdAtMs - epochMs)
  return elapsedMs * numbersPerMs + lastBits(id)
}

/** Of the id's last three characters, which hold five bits each. */
function lastBits(id: string): number {
  let value = 0
  for (const character of id.slice(-3))
    value = value * 32 + Math.max(0, crockford.indexOf(character))
  return value % numbersPerMs
}

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
