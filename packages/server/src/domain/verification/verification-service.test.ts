import { hotp } from '@countersign/protocol/otp/hotp.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createTestDatabase } from '#test/support/postgres.ts'
import {
  createVerificationBench,
  defaultPolicy,
  rfcCodes,
  rfcSecret,
  testCaller,
  type VerificationBench,
} from '#test/support/tokens.ts'
import type { VerificationRequest } from './verification.ts'

const verifier = testCaller('acme', ['verify'])

function totp(atMs: number, stepsAhead = 0): string {
  const counter = Math.floor(atMs / 30_000) + stepsAhead
  return hotp({ secret: rfcSecret, algorithm: 'SHA1', digits: 6, counter })
}

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
    count += 1
    serial = `T${count}`
    bench.policy = defaultPolicy
  })

  const verify = (code: string, more: Partial<VerificationRequest> = {}) =>
    bench.verification.verify(verifier, 'acme', { token: { serial }, code, ...more })
  const owner = (): string => `user-${serial}`
  const addToken = (options: Parameters<VerificationBench['addToken']>[0] = {}) =>
    bench.addToken({ serial, userId: owner(), ...options })

  test('ACCEPTED once for each RFC 4226 code in turn, then REPLAYED', async () => {
    await addToken()
    for (const code of rfcCodes) expect(await verify(code)).toMatchObject({ result: 'ACCEPTED' })
    expect(await verify(rfcCodes[9])).toMatchObject({ result: 'REJECTED', reason: 'REPLAYED' })
  })

  test('R4: exactly one of 30 racing requests with one code is ACCEPTED', async () => {
    await addToken()
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => verify(rfcCodes[0])))
    expect(outcomes.filter(({ result }) => result === 'ACCEPTED')).toHaveLength(1)
  })

  test('different unspent codes racing are never accepted backwards', async () => {
    await addToken()
    await Promise.all(rfcCodes.map((code) => verify(code)))
    expect(await verify(rfcCodes[9])).not.toMatchObject({ result: 'ACCEPTED' })
    for (const code of rfcCodes) expect((await verify(code)).result).not.toBe('ACCEPTED')
  })

  test('a code beyond the window asks for two codes and spends nothing', async () => {
    await addToken()
    const far = hotp({ secret: rfcSecret, algorithm: 'SHA1', digits: 6, counter: 30 })
    expect(await verify(far)).toMatchObject({ result: 'RESYNC_REQUIRED', reason: 'OUT_OF_SYNC' })
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'ACCEPTED' })
  })

  test('R1: no TOTP code is accepted twice, whatever the drift', async () => {
    const { clock } = bench.test
    for (const driftSteps of [-3, -1, 0, 1, 2]) {
      serial = `T${++count}`
      await addToken({ type: 'TOTP', driftSteps })
      const code = totp(clock(), driftSteps)
      expect(await verify(code)).toMatchObject({ result: 'ACCEPTED' })
      for (const aheadMs of [0, 1, 29_999, 30_000, 60_000]) {
        clock.advance(aheadMs)
        expect((await verify(code)).result).not.toBe('ACCEPTED')
      }
    }
  })

  test('a TOTP token that runs ahead is followed, and its guard only grows', async () => {
    await addToken({ type: 'TOTP' })
    const { clock } = bench.test
    expect(await verify(totp(clock(), 1))).toMatchObject({ result: 'ACCEPTED' })
    expect((await verify(totp(clock(), 0))).result).toBe('REJECTED')
    expect(await verify(totp(clock(), 2))).toMatchObject({ result: 'ACCEPTED' })
  })

  test('locks at the limit, then refuses a right code; a timed lock ends by itself and counting starts at 0', async () => {
    bench.policy = {
      ...defaultPolicy,
      lockout: { ...defaultPolicy.lockout, tokenMaxFailures: 3, tokenLockSeconds: 60 },
    }
    await addToken()
    for (const attemptsLeft of [2, 1, 0]) {
      expect(await verify('000000')).toMatchObject({ result: 'REJECTED', attemptsLeft })
    }
    expect(await verify(rfcCodes[0])).toMatchObject({
      result: 'LOCKED',
      reason: 'CREDENTIAL_LOCKED',
      retryAfterSeconds: 60,
    })
    bench.test.clock.advance(60_000)
    expect(await verify('000000')).toMatchObject({ result: 'REJECTED', attemptsLeft: 2 })
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'ACCEPTED' })
    expect(await verify('000000')).toMatchObject({ result: 'REJECTED', attemptsLeft: 2 })
  })

  test('50 wrong codes at once are counted up to the lock, not beyond', async () => {
    await addToken()
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => verify('000000')))
    expect(outcomes.filter(({ result }) => result === 'REJECTED')).toHaveLength(10)
    expect(outcomes.filter(({ result }) => result === 'LOCKED')).toHaveLength(40)
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'LOCKED' })
  })

  test('a user is locked over all credentials at userMaxFailures', async () => {
    bench.policy = {
      ...defaultPolicy,
      lockout: { ...defaultPolicy.lockout, userMaxFailures: 2 },
    }
    await addToken()
    await verify('000000')
    await verify('000000')
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'LOCKED', reason: 'USER_LOCKED' })
    bench.test.clock.advance(900_000)
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'ACCEPTED' })
  })

  test('a burst of wrong codes locks the user once, and the lock holds', async () => {
    bench.policy = {
      ...defaultPolicy,
      lockout: { ...defaultPolicy.lockout, tokenMaxFailures: 100, userMaxFailures: 5 },
    }
    await addToken()
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => verify('000000')))
    expect(outcomes.filter(({ result }) => result === 'REJECTED')).toHaveLength(5)
    expect(outcomes.filter(({ result }) => result === 'LOCKED')).toHaveLength(35)
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'LOCKED', reason: 'USER_LOCKED' })
  })

  test('a PIN must fit; a wrong or missing one spends no code', async () => {
    await addToken({ pin: 'abcd1' })
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'REJECTED', reason: 'WRONG_PIN' })
    expect(await verify(rfcCodes[0], { pin: '9999' })).toMatchObject({ reason: 'WRONG_PIN' })
    expect(await verify(rfcCodes[0], { pin: 'abcd1' })).toMatchObject({ result: 'ACCEPTED' })
    expect(await verify(`abcd1${rfcCodes[1]}`, { pinMayLead: true })).toMatchObject({
      result: 'ACCEPTED',
    })
    expect(await verify(`abcd2${rfcCodes[2]}`, { pinMayLead: true })).toMatchObject({
      reason: 'WRONG_PIN',
    })
  })

  test('a usage limit holds, also in a race', async () => {
    await addToken({ usageLimit: 2 })
    const outcomes = await Promise.all(rfcCodes.slice(0, 6).map((code) => verify(code)))
    expect(outcomes.filter(({ result }) => result === 'ACCEPTED').length).toBeLessThanOrEqual(2)
    for (const code of rfcCodes.slice(6)) await verify(code)
    expect(await verify(rfcCodes[9])).toMatchObject({
      result: 'NO_CREDENTIAL',
      unusable: 'usage_limit_reached',
    })
  })

  test('an assignment ends at its instant', async () => {
    const expiresAtMs = bench.test.clock() + 1000
    await addToken({ expiresAtMs })
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'ACCEPTED' })
    bench.test.clock.set(expiresAtMs)
    expect(await verify(rfcCodes[1])).toMatchObject({ unusable: 'expired' })
  })

  test('R2: other digits, other blanks and other lengths are no code', async () => {
    await addToken()
    for (const code of [
      '٧٥٥٢٢٤',
      '７５５２２４',
      '755\u00a0224',
      '755224\u200b',
      '0755224',
      '75522',
    ]) {
      expect((await verify(code)).result, code).toBe('REJECTED')
    }
    expect(await verify('755 2-24')).toMatchObject({ result: 'ACCEPTED' })
  })

  test("another tenant's caller and token do not exist", async () => {
    await addToken({ tenantId: 'other' })
    expect(await verify(rfcCodes[0])).toMatchObject({ result: 'NO_CREDENTIAL' })
    const stranger = testCaller('stranger', ['verify'])
    const request = { token: { serial }, code: rfcCodes[0] }
    await expect(bench.verification.verify(stranger, 'acme', request)).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    const reader = testCaller('acme', ['tenant:read'])
    await expect(bench.verification.verify(reader, 'acme', request)).rejects.toMatchObject({
      code: 'forbidden',
    })
  })
})
