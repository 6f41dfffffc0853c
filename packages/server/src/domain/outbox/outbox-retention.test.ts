import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTestCore, engines, type TestCore } from '#test/support/core.ts'
import { OutboxRetention } from './outbox-retention.ts'

const dayMs = 86_400_000

describe.each(engines)('retention of the outbox on %s', (engine) => {
  let core: TestCore
  let retention: OutboxRetention

  beforeEach(async () => {
    core = await createTestCore({ engine })
    retention = new OutboxRetention(core)
  })
  afterEach(() => core[Symbol.asyncDispose]())

  const append = (tenantId: string, target: string, kind = 'plain') =>
    core.storage.transaction(({ outbox }) =>
      outbox.append(tenantId, {
        kind,
        target,
        topic: 'x',
        payload: Buffer.from('{}'),
        lifetimeMs: 365 * dayMs,
      }),
    )
  async function finish(tenantId: string, target: string, count: number, kind = 'plain') {
    const nowMs = core.clock()
    const queue = `${tenantId}/${kind}/${target}`
    await core.storage.transaction(async ({ outbox }) => {
      for (const message of await outbox.claimNext({ queue, nowMs, untilMs: nowMs }, count)) {
        await outbox.finishClaimed(message, { status: 'FAILED', tries: 1, attempts: [], nowMs })
      }
    })
  }
  const countOf = async (tenantId: string, target: string) =>
    (
      await core.storage.read.outbox.listLog(
        { tenantId, target },
        {},
        { beforeId: 'Z', limit: 5000 },
      )
    ).messages.length

  test('what is over goes when its days are over; what waits, what is newer, and other tenants stay', async () => {
    await Promise.all(Array.from({ length: 700 }, () => append('bank', 'one')))
    await append('shop', 'one')
    await finish('bank', 'one', 650)
    await finish('shop', 'one', 1)
    core.clock.advance(2 * dayMs)
    await append('bank', 'one')
    await append('bank', 'two')
    await finish('bank', 'two', 1)
    await retention.apply('bank', 3)
    expect(await countOf('bank', 'one')).toBe(701)
    core.clock.advance(dayMs + 1)
    await retention.apply('bank', 3)
    expect(await countOf('bank', 'one')).toBe(51)
    expect(await countOf('bank', 'two')).toBe(1)
    expect(await countOf('shop', 'one')).toBe(1)
  })

  test('the log of a webhook endpoint that is gone goes with it, also what waits', async () => {
    await append('bank', 'gone', 'webhook')
    await append('bank', 'other')
    await retention.apply('bank', 30)
    expect(await countOf('bank', 'gone')).toBe(0)
    expect(await countOf('bank', 'other')).toBe(1)
  })
})
