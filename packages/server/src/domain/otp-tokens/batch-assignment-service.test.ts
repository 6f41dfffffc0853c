import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createTokenBench, type TokenBench, tenantId } from '#test/support/otp-tokens.ts'
import { BatchAssignmentService, type BatchReport } from './batch-assignment-service.ts'

const header = 'domain,loginName,manufacturerCode,productCode,serial,status,pin'
const jsmith = 'default,JSmith@example.com,CS,HOTP'
const mjones = 'default,mjones@example.com,CS,HOTP'

describe.each(engines)('batch assignment on %s', (engine) => {
  let bench: TokenBench
  let batches: BatchAssignmentService
  let serialCount = 0

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
    const { storage, clock, nextId } = bench.core
    batches = new BatchAssignmentService({ storage, pins: bench.pins, clock, nextId })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  async function run(
    rows: readonly string[],
    onError: 'continue' | 'abort' = 'continue',
  ): Promise<BatchReport> {
    const csv = [header, ...rows].join('\r\n')
    const request = { csv, encoding: 'text', charset: 'UTF-8', onError } as const
    const outcome = await batches.assign(bench.admin, tenantId, request)
    if (!outcome.isReadable) throw new Error(outcome.reason)
    return outcome.report
  }
  const token = (draft: Parameters<TokenBench['addToken']>[0] = {}) =>
    bench.addToken({ serial: `B${++serialCount}`, ...draft })
  const holders = async ({ id }: { id: string }) =>
    (await bench.tokens.get(bench.reader, tenantId, id)).assignments

  test('rows assign to owners, with status and PIN', async () => {
    const [one, two] = [await token(), await token()]
    expect(
      await run([`${jsmith},${one.serial},,1234`, `${mjones},${two.serial},DISABLED,`]),
    ).toEqual({ total: 2, assigned: 2, unchanged: 0, failed: 0, faults: [] })
    const [first] = await holders(one)
    expect(first).toMatchObject({ userId: 'jsmith', isOwner: true, status: 'ACTIVE' })
    expect(await bench.pins.verify(first?.pinHash ?? undefined, '1234')).toBe(true)
    expect(await holders(two)).toMatchObject([{ status: 'DISABLED', pinHash: null }])
  })

  test('a row for its own user changes what differs, and says so when nothing does', async () => {
    const { id, serial } = await token({ user: { id: 'jsmith' }, pin: '1234' })
    const before = await holders({ id })
    const row = `${jsmith},${serial}`
    expect(await run([`${row},,`, `${row},ACTIVE,1234`])).toMatchObject({ unchanged: 2, failed: 0 })
    expect(await holders({ id })).toEqual(before)
    expect(await run([`${row},,5678`, `${row},,5678`, `${row},LOCKED,`])).toMatchObject({
      assigned: 2,
      unchanged: 1,
    })
    const [after] = await holders({ id })
    expect(after).toMatchObject({ status: 'LOCKED', lockReason: 'ADMINISTRATOR' })
    expect(await bench.pins.verify(after?.pinHash ?? undefined, '5678')).toBe(true)
  })

  test('good rows stay, bad rows are told with line, serial and reason', async () => {
    const good = await token()
    const owned = await token({ user: { id: 'mjones' } })
    const disabled = await token({ status: 'DISABLED' })
    const report = await run([
      `${jsmith},${owned.serial},,`,
      `${jsmith},${disabled.serial},,`,
      '',
      `nowhere,jsmith@example.com,CS,HOTP,${good.serial},,`,
      `default,nobody,CS,HOTP,${good.serial},,`,
      `default,jsmith@example.com,CS,XOTP,${good.serial},,`,
      `${jsmith},missing,,`,
      `${jsmith},${good.serial},maybe,`,
      `${jsmith},${good.serial},,1`,
      `${jsmith},${good.serial}`,
      `${jsmith},${good.serial},,`,
    ])
    expect(report).toMatchObject({ total: 10, assigned: 1, unchanged: 0, failed: 9 })
    expect(report.faults.map(({ line, serial, code }) => [line, serial, code])).toEqual([
      [2, owned.serial, 'owned_by_other'],
      [3, disabled.serial, 'token_not_active'],
      [5, good.serial, 'domain_not_found'],
      [6, good.serial, 'user_not_found'],
      [7, good.serial, 'product_not_found'],
      [8, 'missing', 'token_not_found'],
      [9, good.serial, 'invalid_request'],
      [10, good.serial, 'invalid_request'],
      [11, good.serial, 'invalid_request'],
    ])
    expect(await holders(good)).toMatchObject([{ userId: 'jsmith' }])
    expect(await holders(owned)).toMatchObject([{ userId: 'mjones' }])
  })

  test('rows depend on those above: a token can be had once', async () => {
    const { id, serial } = await token()
    const report = await run([`${jsmith},${serial},,`, `${mjones},${serial},,`])
    expect(report).toMatchObject({ assigned: 1, failed: 1, faults: [{ code: 'owned_by_other' }] })
    expect(await holders({ id })).toMatchObject([{ userId: 'jsmith' }])
  })

  test('with abort, one bad row undoes all, and all bad rows are told', async () => {
    const [one, two] = [await token(), await token()]
    const before = (await bench.journal()).length
    const rows = [
      `${jsmith},${one.serial},,1234`,
      `${jsmith},missing,,`,
      `${mjones},${one.serial},,`,
    ]
    expect(await run(rows, 'abort')).toMatchObject({
      total: 3,
      assigned: 0,
      unchanged: 0,
      failed: 2,
      faults: [
        { line: 3, code: 'token_not_found' },
        { line: 4, code: 'owned_by_other' },
      ],
    })
    expect(await holders(one)).toEqual([])
    expect(await bench.journal()).toHaveLength(before)
    const good = [`${jsmith},${one.serial},,`, `${jsmith},${two.serial},,`]
    expect(await run(good, 'abort')).toMatchObject({ assigned: 2, failed: 0 })
  })

  test('hundreds of rows, more than one transaction holds', async () => {
    const rows: string[] = []
    for (let index = 0; index < 230; index++) rows.push(`${jsmith},${(await token()).serial},,`)
    expect(await run(rows)).toMatchObject({ total: 230, assigned: 230, failed: 0 })
    expect(await run(rows, 'abort')).toMatchObject({ total: 230, unchanged: 230, failed: 0 })
  })

  test('PINs of batches stand two at a time in the queue of PINs; too many batches are sent away', async () => {
    const serials: string[] = []
    for (let index = 0; index < 16; index++) serials.push((await token()).serial)
    const batch = (digit: number) =>
      run(serials.map((serial, index) => `${jsmith},${serial},,${digit}${100 + index}`))
    let deepest = 0
    const watch = setInterval(() => {
      deepest = Math.max(deepest, bench.pins.queueDepth)
    }, 1)
    const outcomes = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(batch))
    clearInterval(watch)
    expect(deepest).toBeLessThanOrEqual(2)
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(2)
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: { code: 'too_many_requests' } })
    }
    expect(await batch(7)).toMatchObject({ assigned: 16, failed: 0 })
  }, 60_000)

  test('a file that cannot be read is an answer, and nothing is done', async () => {
    const request = {
      csv: 'a,b\n',
      encoding: 'text',
      charset: 'UTF-8',
      onError: 'continue',
    } as const
    expect(await batches.assign(bench.admin, tenantId, request)).toEqual({
      isReadable: false,
      reason: expect.stringContaining('unknown column'),
    })
  })

  test('another tenant’s users and tokens are not there; reading does not suffice', async () => {
    const { serial } = await token()
    const csv = `${header}\ndefault,stranger,CS,HOTP,${serial},,`
    const request = { csv, encoding: 'text', charset: 'UTF-8', onError: 'continue' } as const
    expect(await batches.assign(bench.stranger, 'other', request)).toMatchObject({
      report: { faults: [{ code: 'token_not_found' }] },
    })
    await expect(batches.assign(bench.reader, tenantId, request)).rejects.toMatchObject({
      code: 'forbidden',
    })
    await expect(batches.assign(bench.stranger, tenantId, request)).rejects.toMatchObject({
      code: 'tenant_not_found',
    })
  })
})
