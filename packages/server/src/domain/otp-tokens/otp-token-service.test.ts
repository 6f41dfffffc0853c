import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'
import type { OtpToken } from './otp-token.ts'

describe.each(engines)('tokens on %s', (engine) => {
  let bench: TokenBench

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const update = (token: OtpToken, changes: Parameters<TokenBench['tokens']['update']>[3]) =>
    bench.tokens.update(bench.admin, tenantId, token.id, changes)
  const stepNow = () => Math.floor(bench.core.clock() / 30_000)

  test('status: ACTIVE and DISABLED change into each other, DECEASED is final', async () => {
    const token = await bench.addToken()
    for (const status of ['DISABLED', 'ACTIVE', 'DISABLED', 'DECEASED', 'DECEASED'] as const) {
      expect(await update(token, { status })).toMatchObject({ status })
    }
    for (const status of ['ACTIVE', 'DISABLED'] as const) {
      await expect(update(token, { status })).rejects.toMatchObject({ code: 'state_conflict' })
    }
    const records = await bench.journal('otp-token.updated')
    expect(records.filter(({ target }) => target?.id === token.id)).toHaveLength(4)
  })

  test('of changes that race, none brings a DECEASED token back', async () => {
    const token = await bench.addToken()
    const moves = (['DISABLED', 'DECEASED', 'ACTIVE', 'DISABLED', 'ACTIVE'] as const).map(
      (status) => update(token, { status }),
    )
    await Promise.allSettled(moves)
    expect((await bench.tokens.get(bench.reader, tenantId, token.id)).status).toBe('DECEASED')
  })

  test('description and repository: null clears, a repository that is not there changes nothing', async () => {
    const token = await bench.addToken({ description: 'spare' })
    const { id } = await bench.repositories.create(bench.admin, tenantId, { name: `box-${engine}` })
    expect(await update(token, { description: null, repositoryId: id })).toMatchObject({
      description: null,
      repositoryId: id,
    })
    await expect(update(token, { status: 'DISABLED', repositoryId: 'none' })).rejects.toMatchObject(
      { code: 'repository_not_found', pointer: '/repository' },
    )
    expect((await bench.tokens.get(bench.reader, tenantId, token.id)).status).toBe('ACTIVE')
    await expect(update(token, { description: 'x'.repeat(256) })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  test('delete leaves nothing of the token behind but its journal, and when its user used it', async () => {
    const token = await bench.addToken({ user: { id: 'jsmith' }, pin: '1234' })
    const usedAt = bench.core.clock() - 1000
    await bench.markUsed({ tokenId: token.id, userId: 'jsmith', atMs: usedAt, step: -1 })
    await bench.tokens.delete(bench.admin, tenantId, token.id)
    const { read } = bench.core.storage
    expect(await read.otpTokens.find(tenantId, token.id)).toBeUndefined()
    expect(await read.otpTokens.findSealedSecret(tenantId, token.id)).toBeUndefined()
    expect(await read.factors.find(tenantId, token.id)).toBeUndefined()
    expect(await read.assignments.listOfToken(tenantId, token.id)).toEqual([])
    expect(await bench.users.get(bench.reader, tenantId, 'jsmith')).toMatchObject({
      lastAuthenticatedAtMs: usedAt,
    })
    await expect(bench.tokens.delete(bench.admin, tenantId, token.id)).rejects.toMatchObject({
      code: 'token_not_found',
    })
  })

  test('reset of HOTP: the counter as given or 0, and the journal says that old codes are valid again', async () => {
    const token = await bench.addToken({ counter: 5 })
    const reset = (counter?: number) =>
      bench.tokens.reset(bench.admin, tenantId, token.id, { counter })
    expect(await reset(9)).toMatchObject({ counter: 9 })
    expect(await reset()).toMatchObject({ counter: 0 })
    const records = await bench.journal('otp-token.reset')
    expect(records.filter(({ target }) => target?.id === token.id)).toMatchObject([
      { detail: { previousCounter: 5, counter: 9, oldCodesValidAgain: false } },
      { detail: { previousCounter: 9, counter: 0, oldCodesValidAgain: true } },
    ])
    await expect(reset(-1)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(reset(2 ** 53)).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('R3: reset of TOTP lowers the guard to the present step and no further, unless counter is 0', async () => {
    const token = await bench.addToken({ type: 'TOTP', user: { id: 'jsmith' } })
    const accept = (step: number) =>
      bench.markUsed({ tokenId: token.id, userId: 'jsmith', atMs: bench.core.clock(), step })
    const guard = async () =>
      (await bench.core.storage.read.factors.find(tenantId, token.id))?.lastStep

    await accept(stepNow() - 3)
    await bench.tokens.reset(bench.admin, tenantId, token.id)
    expect(await guard()).toBe(stepNow() - 3)
    await accept(stepNow() + 20)
    expect(await bench.tokens.reset(bench.admin, tenantId, token.id)).toMatchObject({
      driftSteps: 0,
    })
    expect(await guard()).toBe(stepNow())
    await bench.tokens.reset(bench.admin, tenantId, token.id, { counter: 0 })
    expect(await guard()).toBe(-1)
    await expect(
      bench.tokens.reset(bench.admin, tenantId, token.id, { counter: 1 }),
    ).rejects.toMatchObject({ code: 'invalid_request', faults: [{ pointer: '/counter' }] })
  })

  test('reset forgets failures and leaves locks and PINs; DISABLED takes it, DECEASED does not', async () => {
    const token = await bench.addToken({ user: { id: 'jsmith' }, pin: '1234' })
    const held = { tokenId: token.id, userId: 'jsmith' }
    await bench.lockForFailures({ ...held, untilMs: null })
    await bench.assignments.lock(bench.admin, tenantId, held)
    await update(token, { status: 'DISABLED' })
    const reset = await bench.tokens.reset(bench.admin, tenantId, token.id)
    expect(reset.assignments).toMatchObject([{ status: 'LOCKED', failureCount: 0 }])
    expect(reset.assignments[0]?.pinHash).toBe(token.assignments[0]?.pinHash)
    await update(token, { status: 'DECEASED' })
    for (const change of ['reset', 'confine', 'release'] as const) {
      await expect(bench.tokens[change](bench.admin, tenantId, token.id)).rejects.toMatchObject({
        code: 'token_not_active',
      })
    }
  })

  test('confine and release may be repeated and are recorded once each', async () => {
    const token = await bench.addToken()
    for (const [change, confined] of [
      ['confine', true],
      ['confine', true],
      ['release', false],
      ['release', false],
    ] as const) {
      expect(await bench.tokens[change](bench.admin, tenantId, token.id)).toMatchObject({
        confined,
      })
    }
    const ofToken = (await bench.journal()).filter(({ target }) => target?.id === token.id)
    expect(ofToken.map((record) => record.action)).toEqual([
      'otp-token.created',
      'otp-token.confined',
      'otp-token.released',
    ])
  })

  test('another tenant’s token does not exist, and reading is not writing', async () => {
    const token = await bench.addToken()
    for (const change of ['delete', 'reset', 'confine', 'release'] as const) {
      await expect(bench.tokens[change](bench.stranger, 'other', token.id)).rejects.toMatchObject({
        code: 'token_not_found',
      })
      await expect(bench.tokens[change](bench.stranger, tenantId, token.id)).rejects.toMatchObject({
        code: 'tenant_not_found',
      })
      await expect(bench.tokens[change](bench.reader, tenantId, token.id)).rejects.toMatchObject({
        code: 'forbidden',
      })
    }
    await expect(
      bench.tokens.get(testCaller(tenantId, ['verify']), tenantId, token.id),
    ).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe.each(engines)('the list of tokens on %s', (engine) => {
  let bench: TokenBench
  const serials = Array.from({ length: 23 }, (_, index) => `T${index}`)

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
    for (const [index, serial] of serials.entries()) {
      const token = await bench.addToken({
        serial,
        type: index % 2 === 0 ? 'HOTP' : 'TOTP',
        ...(index % 3 === 0 && { user: { id: 'jsmith' } }),
      })
      if (index % 5 === 0) {
        await bench.tokens.update(bench.admin, tenantId, token.id, { status: 'DISABLED' })
      }
      if (index % 6 === 0) {
        const sharer = { user: { id: 'mjones' }, shared: true }
        if (index % 5 !== 0) await bench.assignments.create(bench.admin, tenantId, token.id, sharer)
      }
    }
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const list: TokenBench['tokens']['list'] = (...request) => bench.tokens.list(...request)

  async function all(
    filters: Parameters<TokenBench['tokens']['list']>[2]['filters'],
    limit = 4,
  ): Promise<string[]> {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await list(bench.reader, tenantId, { filters: filters ?? {}, limit, cursor })
      expect(page.items.length).toBeLessThanOrEqual(limit)
      found.push(...page.items.map(({ serial }) => serial))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return found
  }

  const where = (wanted: (index: number) => boolean) => serials.filter((_, index) => wanted(index))

  test.each([
    ['no filter', {}, () => true],
    ['type', { type: 'TOTP' }, (index: number) => index % 2 === 1],
    ['status', { status: 'DISABLED' }, (index: number) => index % 5 === 0],
    ['assigned', { assigned: true }, (index: number) => index % 3 === 0],
    ['not assigned', { assigned: false }, (index: number) => index % 3 !== 0],
    ['user', { userId: 'jsmith' }, (index: number) => index % 3 === 0],
    ['a sharer', { userId: 'mjones' }, (index: number) => index % 6 === 0 && index % 5 !== 0],
    ['serial', { serial: 'T7' }, (index: number) => index === 7],
    [
      'several',
      { type: 'HOTP', status: 'ACTIVE', assigned: true },
      (index: number) => index % 6 === 0 && index % 5 !== 0,
    ],
    ['nothing', { userId: 'nobody' }, () => false],
  ] as const)('filter by %s: every page, in order of creation', async (_name, filters, wanted) => {
    expect(await all(filters)).toEqual(where(wanted))
    expect(await all(filters, 200)).toEqual(where(wanted))
  })

  test('a cursor belongs to its filters and its tenant', async () => {
    const { nextCursor } = await list(bench.reader, tenantId, { limit: 2 })
    const requests = [
      list(bench.reader, tenantId, { limit: 2, cursor: nextCursor, filters: { type: 'HOTP' } }),
      list(bench.stranger, 'other', { limit: 2, cursor: nextCursor }),
      list(bench.reader, tenantId, { limit: 2, cursor: 'nonsense' }),
    ]
    for (const request of requests) {
      await expect(request).rejects.toMatchObject({ code: 'cursor_invalid' })
    }
  })

  test('a page costs the same few statements whatever it holds', async () => {
    const seen: string[] = []
    const counted = await createTokenBench({
      engine,
      observer: { observeDatabase: () => {}, statementRun: (sql) => seen.push(sql) },
    })
    try {
      for (let index = 0; index < 8; index++) {
        const token = await counted.addToken({ user: { id: 'jsmith' } })
        const sharer = { user: { id: 'mjones' }, shared: true }
        await counted.assignments.create(counted.admin, tenantId, token.id, sharer)
      }
      seen.length = 0
      const { items } = await counted.tokens.list(counted.reader, tenantId, { limit: 8 })
      expect(items.map(({ assignments }) => assignments.length)).toEqual(Array(8).fill(2))
      expect(seen).toHaveLength(2)
    } finally {
      await counted[Symbol.asyncDispose]()
    }
  })

  test('another tenant sees none of it', async () => {
    expect((await list(bench.stranger, 'other', { limit: 50 })).items).toEqual([])
  })
})
