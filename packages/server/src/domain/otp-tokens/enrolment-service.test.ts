import { decodeBase32 } from '@countersign/protocol/encoding/base32.ts'
import { parseOtpauth } from '@countersign/protocol/otp/otpauth.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'
import { secretPlace } from './otp-token.ts'

describe.each(engines)('enrolment on %s', (engine) => {
  let bench: TokenBench

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const enrol: TokenBench['enrolments']['enrol'] = (...request) =>
    bench.enrolments.enrol(...request)

  test.each([
    ['SHA1', 20],
    ['SHA256', 32],
    ['SHA512', 64],
  ] as const)(
    'a generated secret of %s has %i bytes and is what was sealed',
    async (algorithm, length) => {
      const { token, provisioning } = await enrol(bench.admin, tenantId, { algorithm })
      const secret = decodeBase32(provisioning.secretBase32)
      expect(secret).toHaveLength(length)
      const { vault, storage } = bench.core
      const sealed = await storage.read.otpTokens.findSealedSecret(tenantId, token.id)
      const opened = await vault.open(secretPlace(tenantId, token.id), sealed ?? new Uint8Array())
      expect(Buffer.from(opened)).toEqual(Buffer.from(secret ?? []))
      expect(Buffer.from(sealed ?? []).includes(Buffer.from(opened))).toBe(false)
      expect(token).toMatchObject({ algorithm, origin: 'GENERATED', type: 'TOTP', digits: 6 })
    },
  )

  test('R8: token, factor, owner and records are made together', async () => {
    const { token } = await enrol(bench.admin, tenantId, {
      type: 'TOTP',
      user: { id: 'jsmith' },
      pin: '1234',
    })
    expect(token.assignments).toMatchObject([
      { userId: 'jsmith', isOwner: true, status: 'ACTIVE', failureCount: 0 },
    ])
    expect(token.assignments[0]?.pinHash).toMatch(/^\$argon2id\$/)
    expect(await bench.tokens.get(bench.admin, tenantId, token.id)).toEqual(token)
    const records = await bench.journal()
    expect(
      records.filter(({ target }) => target?.id === token.id).map((record) => record.action),
    ).toEqual(['otp-token.created', 'otp-token.assigned'])
  })

  test('R8: of 20 concurrent enrolments with one serial one is made, and no half of the others', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        enrol(bench.admin, tenantId, { serial: `race-${engine}`, user: { id: 'jsmith' } }),
      ),
    )
    const made = outcomes.filter(({ status }) => status === 'fulfilled')
    expect(made).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'already_exists' })
    }
    const { items } = await bench.tokens.list(bench.admin, tenantId, {
      filters: { serial: `race-${engine}` },
      limit: 10,
    })
    expect(items).toHaveLength(1)
    expect(items[0]?.assignments).toHaveLength(1)
    const created = await bench.journal('otp-token.created')
    expect(created.filter(({ detail }) => detail.serial === `race-${engine}`)).toHaveLength(1)
  })

  test('R8: twenty enrolments for one user at once all end whole', async () => {
    const { read } = bench.core.storage
    const made = await Promise.all(
      Array.from({ length: 20 }, () => enrol(bench.admin, tenantId, { user: { id: 'mjones' } })),
    )
    expect(new Set(made.map(({ token }) => token.serial)).size).toBe(20)
    const records = await bench.journal()
    for (const { token } of made) {
      expect(await read.factors.find(tenantId, token.id)).toBeDefined()
      expect(await read.otpTokens.findSealedSecret(tenantId, token.id)).toBeDefined()
      expect(await read.assignments.listOfToken(tenantId, token.id)).toMatchObject([
        { userId: 'mjones', isOwner: true },
      ])
      expect(records.filter(({ target }) => target?.id === token.id)).toHaveLength(2)
    }
  })

  test('a given secret is kept bit by bit, whatever its encoding', async () => {
    const { token, provisioning } = await enrol(bench.admin, tenantId, {
      type: 'HOTP',
      secret: { encoding: 'HEX', value: rfcSecretHex },
      counter: 7,
      serial: 'RFC4226',
      user: { id: 'jsmith' },
    })
    expect(provisioning.secretBase32).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
    expect(parseOtpauth(provisioning.otpauthUri)).toMatchObject({
      type: 'HOTP',
      issuer: 'Acme Bank',
      account: 'jsmith@example.com',
      counter: 7,
    })
    expect(provisioning.qrSvg).toMatch(/^<svg /)
    expect(Buffer.from(provisioning.qrPng).subarray(1, 4).toString()).toBe('PNG')
    expect(token).toMatchObject({
      serial: 'RFC4226',
      origin: 'PROVIDED',
      counter: 7,
      driftSteps: null,
    })
  })

  test('generated serials: CS and ten digits for the generic products, ten digits for others', async () => {
    const generic = await enrol(bench.admin, tenantId, {})
    expect(generic.token.serial).toMatch(/^CS\d{10}$/)
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    const other = await enrol(bench.admin, tenantId, { product })
    expect(other.token.serial).toMatch(/^\d{10}$/)
    expect(other.token.product).toMatchObject(product)
    expect(other.token.identifier).toBe(other.token.serial)
    expect(other.token.repositoryId).toBe(
      (await bench.core.storage.read.repositories.findDefault(tenantId))?.id,
    )
  })

  test.each([
    [{ digits: 8 }, '/digits'],
    [{ type: 'HOTP' }, '/type'],
    [{ algorithm: 'SHA256' }, '/algorithm'],
    [{ periodSeconds: 60 }, '/period'],
    [{ counter: 1 }, '/counter'],
  ] as const)('%j does not fit the product DN/MT', async (parameters, pointer) => {
    const product = { manufacturerCode: 'DN', productCode: 'MT' }
    await expect(enrol(bench.admin, tenantId, { product, ...parameters })).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer }],
    })
  })

  test.each([
    [{ type: 'HOTP', periodSeconds: 30 }, '/period'],
    [{ type: 'TOTP', counter: 0 }, '/counter'],
    [{ digits: 5 }, '/digits'],
    [{ digits: 11 }, '/digits'],
    [{ periodSeconds: 4 }, '/period'],
    [{ serial: 'has blank' }, '/serial'],
    [{ serial: 'x'.repeat(65) }, '/serial'],
    [{ pin: '1234' }, '/user'],
    [{ user: { id: 'jsmith' }, pin: '123' }, '/pin'],
    [{ user: { id: 'jsmith' }, pin: '12 34' }, '/pin'],
    [{ secret: { encoding: 'HEX', value: '31'.repeat(15) } }, '/secret/value'],
    [{ secret: { encoding: 'HEX', value: '31'.repeat(129) } }, '/secret/value'],
    [{ secret: { encoding: 'BASE32', value: 'not base 32 at all' } }, '/secret/value'],
    [{ description: 'a\0b' }, '/description'],
  ] as const)('%j is refused with its place', async (draft, pointer) => {
    await expect(enrol(bench.admin, tenantId, draft)).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [{ pointer }],
    })
  })

  test('what the body names and is not there: nothing is made', async () => {
    const before = (await bench.journal()).length
    const refused = [
      [{ user: { id: 'nobody' } }, 'user_not_found', '/user'],
      [{ product: { manufacturerCode: 'no', productCode: 'no' } }, 'product_not_found', '/product'],
      [{ repositoryId: 'none' }, 'repository_not_found', '/repository'],
    ] as const
    for (const [draft, code, pointer] of refused) {
      await expect(enrol(bench.admin, tenantId, draft)).rejects.toMatchObject({ code, pointer })
    }
    expect(await bench.journal()).toHaveLength(before)
  })

  test('a hardware product takes a secret that is given and makes none', async () => {
    const product = { manufacturerCode: 'DN', productCode: 'ST' }
    await expect(enrol(bench.admin, tenantId, { product })).rejects.toMatchObject({
      code: 'not_supported',
    })
    const secret = { encoding: 'HEX', value: rfcSecretHex } as const
    const { token } = await enrol(bench.admin, tenantId, { product, secret })
    expect(token.periodSeconds).toBe(60)
  })

  test('a DISABLED token can be made, but not assigned', async () => {
    const { token } = await enrol(bench.admin, tenantId, { status: 'DISABLED' })
    expect(token.status).toBe('DISABLED')
    await expect(
      enrol(bench.admin, tenantId, { status: 'DISABLED', user: { id: 'jsmith' } }),
    ).rejects.toMatchObject({ code: 'token_not_active' })
  })

  test('who may: the right of the door through which the request came', async () => {
    const dualShield = { surface: 'dualshield' } as const
    const agent = testCaller(tenantId, ['dualshield:management'], dualShield)
    await expect(enrol(agent, tenantId, {})).resolves.toMatchObject({ token: { type: 'TOTP' } })
    const others = [
      testCaller(tenantId, ['tenant:read']),
      testCaller(tenantId, ['verify', 'dualshield:management']),
      testCaller(tenantId, ['tenant:write', 'dualshield:authentication'], dualShield),
    ]
    for (const caller of others) {
      await expect(enrol(caller, tenantId, {})).rejects.toMatchObject({ code: 'forbidden' })
    }
    await expect(enrol(bench.stranger, tenantId, {})).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
    const platform = testCaller(null, ['platform:admin'])
    await expect(enrol(platform, 'nowhere', {})).rejects.toMatchObject({ code: 'tenant_not_found' })
  })

  test('two tenants may have one serial, and do not see each other’s', async () => {
    const mine = await enrol(bench.admin, tenantId, { serial: 'both' })
    const theirs = await enrol(bench.stranger, 'other', { serial: 'both' })
    await expect(bench.tokens.get(bench.stranger, 'other', mine.token.id)).rejects.toMatchObject({
      code: 'token_not_found',
    })
    const { items } = await bench.tokens.list(bench.admin, tenantId, {
      filters: { serial: 'both' },
      limit: 5,
    })
    expect(items.map(({ id }) => id)).toEqual([mine.token.id])
    expect(theirs.token.id).not.toBe(mine.token.id)
  })
})
