import { hotp } from '@countersign/protocol/otp/hotp.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createTestDatabase } from '#test/support/postgres.ts'
import {
  createVerificationBench,
  defaultPolicy,
  rfcSecret,
  testCaller,
  type VerificationBench,
} from '#test/support/tokens.ts'

const verifier = testCaller('acme', ['verify'])
const admin = testCaller('acme', ['tenant:write'])

const codeAt = (counter: number): string =>
  hotp({ secret: rfcSecret, algorithm: 'SHA1', digits: 6, counter })
const pairAt = (counter: number): [string, string] => [codeAt(counter), codeAt(counter + 1)]

describe.each(['sqlite', 'postgres'] as const)('on %s', (engine) => {
  let bench: VerificationBench
  let drop: () => Promise<void> = async () => {}
  let serial = ''
  let count = 0

  beforeAll(async () => {
    if (engine === 'postgres') {
      const database = await createTestDatabase()
      drop = () => database.drop()
      bench = await createVerificationBench({ url: database.url })
    } else {
      bench = await createVerificationBench()
    }
  })
  afterAll(async () => {
    await bench[Symbol.asyncDispose]()
    await drop()
  })
  beforeEach(() => {
    serial = `R${++count}`
    bench.policy = defaultPolicy
  })

  const addToken = (options: Parameters<VerificationBench['addToken']>[0] = {}) =>
    bench.addToken({ serial, userId: `user-${serial}`, ...options })
  const verify = (code: string) =>
    bench.verification.verify(verifier, 'acme', { token: { serial }, code })
  const resync = (tokenId: string, codes: [string, string], userId?: string) =>
    bench.resync.resync(admin, 'acme', {
      tokenId,
      codes,
      ...(userId === undefined ? {} : { user: { id: userId } }),
    })

  test('HOTP: two consecutive codes far ahead synchronise, and both are spent', async () => {
    const tokenId = await addToken()
    expect(await resync(tokenId, pairAt(700))).toEqual({ result: 'SYNCHRONISED' })
    expect((await verify(codeAt(700))).result).not.toBe('ACCEPTED')
    expect((await verify(codeAt(701))).result).not.toBe('ACCEPTED')
    expect((await verify(codeAt(702))).result).toBe('ACCEPTED')
  })

  test('HOTP: never backwards, never beyond the range, never by codes that do not follow each other', async () => {
    const tokenId = await addToken({ counter: 100 })
    for (const codes of [pairAt(50), pairAt(1102), [codeAt(200), codeAt(202)]] as [
      string,
      string,
    ][]) {
      expect(await resync(tokenId, codes)).toEqual({ result: 'FAILED' })
    }
    expect((await verify(codeAt(100))).result).toBe('ACCEPTED')
  })

  test('R3: TOTP: the guard only grows, also by synchronisation', async () => {
    const tokenId = await addToken({ type: 'TOTP' })
    const now = Math.floor(bench.test.clock() / 30_000)
    expect(await resync(tokenId, pairAt(now + 50))).toEqual({ result: 'SYNCHRONISED' })
    expect((await verify(codeAt(now + 51))).result).not.toBe('ACCEPTED')
    expect(await resync(tokenId, pairAt(now))).toEqual({ result: 'FAILED' })
    expect(await resync(tokenId, pairAt(now + 51))).toEqual({ result: 'FAILED' })
    expect((await verify(codeAt(now + 52))).result).toBe('ACCEPTED')
  })

  test('TOTP: a token that runs behind is found, the pair nearest to the stored drift first', async () => {
    const tokenId = await addToken({ type: 'TOTP' })
    const now = Math.floor(bench.test.clock() / 30_000)
    expect(await resync(tokenId, pairAt(now - 121))).toEqual({ result: 'SYNCHRONISED' })
    expect((await verify(codeAt(now - 119))).result).toBe('ACCEPTED')
  })

  test('with a user a failure counts, and success clears', async () => {
    bench.policy = {
      ...defaultPolicy,
      lockout: { ...defaultPolicy.lockout, tokenMaxFailures: 2 },
    }
    const tokenId = await addToken()
    const userId = `user-${serial}`
    expect(await resync(tokenId, ['000000', '000000'], userId)).toEqual({ result: 'FAILED' })
    expect(await resync(tokenId, pairAt(20), userId)).toEqual({ result: 'SYNCHRONISED' })
    await resync(tokenId, ['000000', '000000'], userId)
    await resync(tokenId, ['000000', '000000'], userId)
    await expect(resync(tokenId, pairAt(40), userId)).rejects.toMatchObject({
      code: 'assignment_locked',
    })
    expect(await resync(tokenId, pairAt(40))).toEqual({ result: 'SYNCHRONISED' })
  })

  test('one of 20 racing synchronisations with one pair succeeds', async () => {
    const tokenId = await addToken()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => resync(tokenId, pairAt(30))),
    )
    expect(outcomes.filter(({ result }) => result === 'SYNCHRONISED')).toHaveLength(1)
  })

  test('codes of other lengths, strangers and unknown tokens are refused', async () => {
    const tokenId = await addToken()
    await expect(resync(tokenId, ['0000000', '000000'])).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer: '/codes/0' }],
    })
    await expect(resync('01M7YRRT80W6YXCRNKT3KKMRE1', pairAt(1))).rejects.toMatchObject({
      code: 'token_not_found',
    })
    await expect(resync(tokenId, pairAt(1), 'nobody')).rejects.toMatchObject({
      code: 'user_not_found',
      pointer: '/user',
    })
    await expect(
      bench.resync.resync(verifier, 'acme', { tokenId, codes: pairAt(1) }),
    ).rejects.toMatchObject({ code: 'forbidden' })
  })
})
