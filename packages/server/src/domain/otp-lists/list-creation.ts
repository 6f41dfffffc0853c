import { createSecretKey } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Randomness } from '#custody/randomness.ts'
import type { IdSource } from '../ulid.ts'
import { codeTag, packPositions } from './code-tags.ts'
import { labelOf, type OtpList, type OtpListWithCodes } from './otp-list.ts'
import type { OtpListMethod } from './otp-list-method.ts'
import type { KeptCodes } from './otp-list-store.ts'
import { CodeSource } from './random-codes.ts'

/** A list before it is stored: what is printed, and what is kept. */
export interface NewList {
  readonly printed: OtpListWithCodes
  readonly kept: KeptCodes
}

/** Codes whose tags one turn of the event loop computes. */
const codesPerTurn = 500

/** Makes free lists as the method says; nothing is stored yet. */
export async function makeLists(
  method: OtpListMethod,
  order: { count: number; expiresAtMs: number; nowMs: number; key: Uint8Array },
  { randomness, nextId }: { randomness: Randomness; nextId: IdSource },
): Promise<NewList[]> {
  const key = createSecretKey(order.key)
  const source = new CodeSource(randomness)
  const lists: NewList[] = []
  let codesOfTurn = 0
  for (let number = 0; number < order.count; number++) {
    const list: OtpList = { ...freeList(method, order), id: nextId() }
    const codes = source.codes(list)
    const positions = method.order === 'RANDOM' ? source.order(list.size) : undefined
    const slots = positions ?? codes.map((_, index) => index + 1)
    const tags = slots.map((position) => codeTag(key, list.id, position, codes[position - 1] ?? ''))
    const first = slots[0] ?? 1
    lists.push({
      printed: {
        list: { ...list, nextPosition: first, nextIndex: labelOf(list, first) },
        codes: codes.map((otp, index) => ({ index: labelOf(list, index + 1), otp })),
      },
      kept: {
        codeTags: Buffer.concat(tags),
        positions: positions === undefined ? null : packPositions(positions),
      },
    })
    codesOfTurn += list.size
    if (codesOfTurn >= codesPerTurn) {
      codesOfTurn = 0
      await nextTurn()
    }
  }
  return lists
}

function freeList(
  method: OtpListMethod,
  { expiresAtMs, nowMs }: { expiresAtMs: number; nowMs: number },
): OtpList {
  const { tenantId, otpLength, otpAlphabet, order, indexFormat, indexBlockSize } = method
  return {
    tenantId,
    id: '',
    method: method.name,
    status: 'FREE',
    userId: null,
    userUniqueId: null,
    size: method.listSize,
    otpLength,
    otpAlphabet,
    order,
    indexFormat,
    indexBlockSize,
    remaining: method.listSize,
    nextPosition: null,
    nextIndex: null,
    expiresAtMs,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  }
}
