import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import { defaultPolicy, rfcCodes } from '#test/support/tokens.ts'
import { refusal } from '#test/support/users.ts'

const lockSeconds = 900

describe.each(engines)('codes of printed lists on %s', (engine) => {
  let bench: ListBench

  beforeEach(async () => {
    bench = await createListBench({ engine })
  })

  afterEach(async () => {
    await bench[Symbol.asyncDispose]()
  })

  /** A list of `jsmith`; the codes in the order of the sheet. */
  async function addList(user = 'jsmith'): Promise<{ id: string; codes: string[] }> {
    const { list, codes } = await bench.addList({ user })
    return { id: list.id, codes: codes.map(({ otp }) => otp) }
  }

  /** A well-formed code that is on none of these sheets. */
  function wrongFor(...lists: { codes: string[] }[]): string {
    const codes = new Set(lists.flatMap((list) => list.codes))
    for (let n = 0; ; n++) {
      const code = String(n).padStart(6, '0')
      if (!codes.has(code)) return code
    }
  }

  test('each code is accepted once, in turn, and then is replayed, also when all are used up', async () => {
    await bench.addMethod()
    const { id, codes } = await addList()
    for (const [n, code] of codes.entries()) {
      const { refusal: why, matched, active, renew } = await bench.verifyList(code)
      const remaining = codes.length - n - 1
      expect(why).toBeUndefined()
      expect(matched).toMatchObject({ listId: id, index: String(n + 1), remaining })
      expect(active).toMatchObject({ status: 'ACTIVE', remaining })
      expect(renew).toBe(true)
    }
    const after = await bench.verifyList(codes[0])
    expect(after).toMatchObject({ refusal: 'replayed', attemptsLeft: 4 })
    expect(after.active).toMatchObject({ remaining: 0, nextIndex: null })
    const wrong = await bench.verifyList(wrongFor({ codes }))
    expect(wrong).toMatchObject({ refusal: 'exhausted', attemptsLeft: undefined, renew: true })
    expect(await bench.verifyList(codes[1])).toMatchObject({ attemptsLeft: 3 })
  })

  test('a window accepts codes ahead and burns what was skipped', async () => {
    await bench.addMethod({ listSize: 10, otpWindowSize: 3 })
    const { codes } = await addList()
    expect((await bench.verifyList(codes[3])).refusal).toBe('mismatch')
    expect((await bench.verifyList(codes[2])).matched).toMatchObject({ index: '3', remaining: 7 })
    for (const code of codes.slice(0, 3)) {
      expect((await bench.verifyList(code)).refusal).toBe('replayed')
    }
    expect((await bench.verifyList(codes[5])).matched?.index).toBe('6')
    expect((await bench.verifyList(codes[9])).refusal).toBe('mismatch')
    expect((await bench.verifyList(codes[8])).matched).toMatchObject({ index: '9', remaining: 1 })
    expect((await bench.verifyList(codes[9])).matched).toMatchObject({ index: '10', remaining: 0 })
  })

  test('in random order the pinned code alone is accepted, until it is', async () => {
    await bench.addMethod({ listSize: 12, order: 'RANDOM', indexFormat: 'BLOCK' })
    const { list, codes } = await bench.addList({ user: 'jsmith' })
    const byLabel = new Map(codes.map(({ index, otp }) => [index, otp]))
    const asked: string[] = []
    let next = list.nextIndex
    while (next !== null) {
      const other = codes.find(({ index }) => index !== next && !asked.includes(index))
      if (other !== undefined && asked.length % 4 === 0) {
        expect(await bench.verifyList(other.otp)).toMatchObject({
          refusal: 'mismatch',
          active: asked.length === 0 ? undefined : { nextIndex: next },
        })
      }
      const outcome = await bench.verifyList(byLabel.get(next))
      expect(outcome.matched?.index).toBe(next)
      asked.push(next)
      next = outcome.active?.nextIndex ?? null
    }
    expect(asked.toSorted()).toEqual(codes.map(({ index }) => index).toSorted())
    expect((await bench.verifyList(byLabel.get(asked[3] ?? ''))).refusal).toBe('replayed')
  })

  test('a window that the method gets later does not open a list of random order', async () => {
    await bench.addMethod({ listSize: 20, order: 'RANDOM' })
    const { list, codes } = await bench.addList({ user: 'jsmith' })
    const change = { order: 'SEQUENTIAL', otpWindowSize: 10, maxFailures: 100 } as const
    await bench.methods.update(bench.admin, listTenant, 'otp.1', change)
    for (const { index, otp } of codes) {
      if (index !== list.nextIndex) expect((await bench.verifyList(otp)).refusal).toBe('mismatch')
    }
  })

  test('with two lists, the one in use goes on until the new one is begun, which removes it', async () => {
    await bench.addMethod({ listSize: 5, otpWindowSize: 2, renewThreshold: 2 })
    const old = await addList()
    expect((await bench.verifyList(old.codes[0])).renew).toBe(false)
    const fresh = await addList()
    expect(await bench.verifyList(old.codes[1])).toMatchObject({
      matched: { listId: old.id },
      active: { id: old.id, remaining: 3 },
      associated: { id: fresh.id, status: 'ASSOCIATED', remaining: 5 },
    })
    expect((await bench.verifyList(old.codes[2])).renew).toBe(false)
    expect((await bench.verifyList(fresh.codes[2])).refusal).toBe('mismatch')
    expect(await bench.verifyList(fresh.codes[1])).toMatchObject({
      matched: { listId: fresh.id, index: '2' },
      active: { id: fresh.id, status: 'ACTIVE', remaining: 3 },
      associated: undefined,
    })
    expect((await bench.verifyList(old.codes[3])).refusal).toBe('mismatch')
    await expect(bench.lists.get(bench.admin, listTenant, old.id)).rejects.toEqual(
      refusal('list_not_found'),
    )
    const removed = await bench.journal('otp-list.deleted')
    expect(removed).toMatchObject([{ target: { id: old.id }, detail: { reason: 'REPLACED' } }])
    expect(await bench.journal('otp-list.activated')).toHaveLength(2)
  })

  test('R19: a code that is checked makes no list and changes none but its own', async () => {
    await bench.addMethod()
    const own = await addList()
    const other = await addList('mjones')
    const { list: free } = await bench.addList()
    const before = await bench.lists.query(bench.admin, listTenant, {}, { limit: 10 })
    await bench.verifyList(own.codes[0])
    await bench.verifyList(own.codes[0])
    const after = await bench.lists.query(bench.admin, listTenant, {}, { limit: 10 })
    expect(after.items.map(({ id }) => id)).toEqual(before.items.map(({ id }) => id))
    for (const id of [other.id, free.id]) {
      const same = before.items.find((list) => list.id === id)
      expect(after.items).toContainEqual(same)
    }
    expect((await bench.verifyList(other.codes[0])).refusal).toBe('mismatch')
  })

  describe('the lock', () => {
    test('comes with the last attempt, holds against the right code, and ends by itself', async () => {
      await bench.addMethod({ maxFailures: 3, lockSeconds })
      const list = await addList()
      const wrong = wrongFor(list)
      for (const attemptsLeft of [2, 1, 0]) {
        expect(await bench.verifyList(wrong)).toMatchObject({ refusal: 'mismatch', attemptsLeft })
      }
      const endsAtMs = bench.core.clock() + lockSeconds * 1000
      const locked = { refusal: 'locked', attemptsLeft: 0, lockedUntilMs: endsAtMs }
      expect(await bench.verifyList(list.codes[0])).toMatchObject({
        ...locked,
        retryAfterSeconds: lockSeconds,
        associated: { remaining: 3 },
      })
      bench.core.clock.set(endsAtMs - 1)
      expect(await bench.verifyList(wrong)).toMatchObject(locked)
      bench.core.clock.set(endsAtMs)
      expect(await bench.verifyList(wrong)).toMatchObject({ refusal: 'mismatch', attemptsLeft: 2 })
      expect((await bench.verifyList(list.codes[0])).refusal).toBeUndefined()
      expect(await bench.verifyList(wrong)).toMatchObject({ attemptsLeft: 2 })
    })

    test('stands on user and method, and is lifted with the locks of the user', async () => {
      await bench.addMethod({ maxFailures: 1 })
      await bench.addMethod({ name: 'otp.2', maxFailures: 1 })
      const list = await addList()
      const other = await bench.addList({ method: 'otp.2', user: 'jsmith' })
      expect(await bench.verifyList(wrongFor(list))).toMatchObject({ attemptsLeft: 0 })
      expect((await bench.verifyList(list.codes[0])).refusal).toBe('locked')
      const second = { method: 'otp.2' }
      expect((await bench.verifyList(other.codes[0]?.otp, second)).refusal).toBeUndefined()
      await bench.users.locks.unlock(bench.admin, listTenant, 'jsmith')
      expect((await bench.verifyList(list.codes[0])).refusal).toBeUndefined()
    })

    test('a disabled or locked user reads as locked', async () => {
      await bench.addMethod()
      const { codes } = await addList()
      await bench.users.locks.lock(bench.admin, listTenant, 'jsmith')
      const locked = { refusal: 'locked', attemptsLeft: 0, lockedUntilMs: undefined }
      expect(await bench.verifyList(codes[0])).toMatchObject(locked)
      await bench.users.locks.unlock(bench.admin, listTenant, 'jsmith')
      await bench.users.users.update(bench.admin, listTenant, 'jsmith', { status: 'DISABLED' })
      expect(await bench.verifyList(codes[0])).toMatchObject(locked)
      await bench.users.users.update(bench.admin, listTenant, 'jsmith', { status: 'ACTIVE' })
      expect((await bench.verifyList(codes[0])).refusal).toBeUndefined()
    })
  })

  test('a list expires at its instant, also between two codes', async () => {
    await bench.addMethod({ associatedListMaxAgeSeconds: 60 })
    const { codes } = await addList()
    bench.core.clock.advance(59_999)
    expect((await bench.verifyList(codes[0])).refusal).toBeUndefined()
    bench.core.clock.advance(1)
    expect(await bench.verifyList(codes[1])).toMatchObject({ refusal: 'no_list', renew: true })
    await bench.expiry.removeExpired()
    expect((await bench.verifyList(codes[1])).refusal).toBe('no_list')
  })

  test('a user, a list and a method that are not there are told apart', async () => {
    await bench.addMethod()
    const own = await addList()
    const other = await addList('mjones')
    await expect(bench.verifyList('123456', { userId: 'nobody' })).rejects.toEqual(
      refusal('user_not_found'),
    )
    await expect(bench.verifyList('123456', { method: 'none' })).rejects.toEqual(
      refusal('method_not_found'),
    )
    const named = (id: string, index?: string) =>
      bench.verifyList(own.codes[0], { list: { id, index } })
    expect((await named(other.id)).refusal).toBe('no_list')
    expect((await named(own.id, '2')).refusal).toBe('mismatch')
    expect((await named(own.id, '1')).matched?.index).toBe('1')
  })

  test('letters have the case of the alphabet; blanks and hyphens are ignored; other digits are none', async () => {
    await bench.addMethod({ otpAlphabet: 'ABCDEFGH', otpLength: 8, listSize: 4, maxFailures: 50 })
    const { codes } = await addList()
    const [first = '', second = '', third = ''] = codes
    expect((await bench.verifyList(` ${first.toLowerCase()} `)).refusal).toBeUndefined()
    expect((await bench.verifyList(`${second.slice(0, 4)}-${second.slice(4)}`)).refusal).toBe(
      undefined,
    )
    for (const strange of [third.replace(/./, 'Ａ'), `${third}\u00a0`, `${third}ı`, '', '-']) {
      expect((await bench.verifyList(strange)).refusal, strange).toBe('mismatch')
    }
    expect((await bench.verifyList(third)).refusal).toBeUndefined()
  })

  describe('R4: 30 racing requests', () => {
    test('with one code: one is accepted, and the list in use is replaced once', async () => {
      await bench.addMethod({ maxFailures: 100 })
      const old = await addList()
      await bench.verifyList(old.codes[0])
      const fresh = await addList()
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, () => bench.verifyList(fresh.codes[0])),
      )
      expect(outcomes.filter(({ matched }) => matched !== undefined)).toHaveLength(1)
      expect(await bench.journal('otp-list.activated')).toHaveLength(2)
    })

    test('with different codes of one window: never backwards, none twice', async () => {
      await bench.addMethod({ listSize: 10, otpWindowSize: 10, maxFailures: 100 })
      const { codes } = await addList()
      const attempts = Array.from({ length: 30 }, (_, n) => codes[n % 10])
      const outcomes = await Promise.all(attempts.map((code) => bench.verifyList(code)))
      const indexes = outcomes.flatMap(({ matched }) => (matched ? [matched.index] : []))
      expect(new Set(indexes).size).toBe(indexes.length)
      expect(indexes.length).toBeGreaterThan(0)
      const last = Math.max(...indexes.map(Number))
      const { items } = await bench.lists.query(bench.admin, listTenant, {}, { limit: 5 })
      expect(items).toMatchObject([{ status: 'ACTIVE', remaining: 10 - last }])
    })

    test('with a token beside the list: each code is accepted once', async () => {
      await bench.addMethod({ maxFailures: 100 })
      await bench.addToken('jsmith')
      const { codes } = await addList()
      bench.policy = {
        ...defaultPolicy,
        lockout: { ...defaultPolicy.lockout, tokenMaxFailures: 1000 },
      }
      const verify = (code: string, methods?: string[]) =>
        bench.verification.verify(bench.admin, listTenant, {
          user: { id: 'jsmith' },
          code,
          ...(methods === undefined ? {} : { methods }),
        })
      const outcomes = await Promise.all(
        Array.from({ length: 30 }, (_, n) =>
          n % 2 === 0 ? verify(codes[0] ?? '', ['list', 'token']) : verify(rfcCodes[0]),
        ),
      )
      const accepted = outcomes.flatMap(({ credential }) => (credential ? [credential.kind] : []))
      expect(accepted.toSorted()).toEqual(['LIST', 'TOKEN'])
    })

    test('while the list is deleted, given anew or runs into the lock: consistent, at most one', async () => {
      await bench.addMethod({ maxFailures: 5 })
      for (let round = 0; round < 5; round++) {
        const list = await addList()
        const wrong = wrongFor(list)
        const outcomes = await Promise.all([
          ...Array.from({ length: 6 }, () => bench.verifyList(list.codes[0])),
          ...Array.from({ length: 4 }, () => bench.verifyList(wrong)),
          bench.lists.delete(bench.admin, listTenant, list.id).catch(() => undefined),
          addList(),
        ])
        const accepted = outcomes.filter(
          (outcome) => outcome !== undefined && 'matched' in outcome && outcome.matched,
        )
        expect(accepted.length).toBeLessThanOrEqual(1)
        const { items } = await bench.lists.query(
          bench.admin,
          listTenant,
          { user: { id: 'jsmith' } },
          { limit: 10 },
        )
        for (const status of ['ACTIVE', 'ASSOCIATED']) {
          expect(items.filter((one) => one.status === status).length).toBeLessThanOrEqual(1)
        }
        await bench.users.locks.unlock(bench.admin, listTenant, 'jsmith')
      }
    })
  })

  describe('verifyCode', () => {
    const verify = (code: string | undefined, methods?: readonly string[]) =>
      bench.verification.verify(bench.admin, listTenant, {
        user: { id: 'jsmith' },
        code: code ?? '',
        ...(methods === undefined ? {} : { methods }),
      })

    test('tries what the methods name, and nothing else', async () => {
      await bench.addMethod()
      await bench.addMethod({ name: 'otp.2' })
      await bench.addToken('jsmith')
      const { codes } = await addList()
      expect((await verify(codes[0], ['token'])).result).toBe('REJECTED')
      expect((await verify(codes[0], ['list:otp.2'])).result).toBe('NO_CREDENTIAL')
      expect((await verify(rfcCodes[0], ['list'])).result).toBe('REJECTED')
      expect((await verify(codes[0])).credential).toMatchObject({ kind: 'LIST', method: 'otp.1' })
      expect((await verify(codes[1], ['list:otp.1', 'token'])).result).toBe('ACCEPTED')
      expect((await verify(rfcCodes[0])).credential).toMatchObject({ kind: 'TOKEN' })
      expect(await verify(codes[0])).toMatchObject({ result: 'REJECTED', reason: 'REPLAYED' })
    })

    test('a wrong code counts for the token, for the method and for the user', async () => {
      await bench.addMethod({ maxFailures: 2 })
      await bench.addToken('jsmith')
      const list = await addList()
      const wrong = wrongFor({ codes: [...list.codes, ...rfcCodes] })
      expect(await verify(wrong)).toMatchObject({ result: 'REJECTED', attemptsLeft: 1 })
      expect(await verify(wrong)).toMatchObject({ result: 'REJECTED', attemptsLeft: 0 })
      expect(await verify(list.codes[0])).toMatchObject({ result: 'REJECTED' })
      expect((await verify(list.codes[0], ['list'])).result).toBe('LOCKED')
      expect((await verify(rfcCodes[0])).result).toBe('ACCEPTED')
    })

    test('a PIN is ignored by lists and belongs to tokens', async () => {
      await bench.addMethod()
      const { codes } = await addList()
      const outcome = await bench.verification.verify(bench.admin, listTenant, {
        user: { id: 'jsmith' },
        code: codes[0] ?? '',
        pin: 'whatever',
      })
      expect(outcome.result).toBe('ACCEPTED')
    })

    test('another tenant does not see it; each door has its right', async () => {
      await bench.addMethod()
      const { codes } = await addList()
      const request = { user: { id: 'jsmith' }, code: codes[0] ?? '' }
      const { verification, stranger, reader } = bench
      expect((await verification.verify(stranger, 'other', request)).reason).toBe('USER_UNKNOWN')
      for (const caller of [reader, testCaller(listTenant, ['otp-server:verify'])]) {
        await expect(verification.verify(caller, listTenant, request)).rejects.toEqual(
          refusal('forbidden'),
        )
      }
    })
  })

  test('no code is told in the journal; an attempt names list and label', async () => {
    await bench.addMethod()
    const { id, codes } = await addList()
    await bench.verifyList(codes[0])
    await bench.verifyList(codes[0])
    const records = await bench.journal('verification.attempted')
    expect(records).toMatchObject([
      { target: { type: 'otp-list', id }, detail: { match: { method: 'otp.1', index: '1' } } },
      { target: { type: 'otp-list', id }, detail: { reason: 'REPLAYED' } },
    ])
    for (const code of codes) expect(JSON.stringify(await bench.journal())).not.toContain(code)
  })
})
