import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import {
  createReadyTestCore,
  createTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import {
  IdempotencyService,
  type IdempotentOutcome,
  type JsonReply,
  type KeyedRequest,
  replyLifeMs,
  runningMsMax,
} from './idempotency-service.ts'

const acme = testCaller('acme', ['tenant:write'])

function request(key: string, changes: Partial<KeyedRequest> = {}): KeyedRequest {
  return {
    caller: acme,
    method: 'POST',
    path: '/api/v1/tenants/acme/users',
    key,
    body: Buffer.from('{"pin":"4711"}'),
    oneTimeMembers: [],
    ...changes,
  }
}

function serviceOver(core: TestCore, failures: unknown[] = []): IdempotencyService {
  const { storage, vault, clock } = core
  const observer = { settlingFailed: (error: unknown) => void failures.push(error) }
  return new IdempotencyService({ storage, vault, clock, observer })
}

/** Work that counts its runs and answers the count. */
function countingWork(): { (): Promise<JsonReply>; runCount(): number } {
  let runCount = 0
  const work = async () => ({ status: 201, body: { run: ++runCount } })
  return Object.assign(work, { runCount: () => runCount })
}

function settled(outcome: PromiseSettledResult<IdempotentOutcome<JsonReply>>): string {
  if (outcome.status === 'rejected') return (outcome.reason as DomainError).code
  return outcome.value.replayed ? 'replayed' : 'ran'
}

const allRows = statement((db, p: { tenantId: string }) =>
  db.selectFrom('idempotent_reply').selectAll().where('tenant_id', '=', p.tenantId),
)

describe.each(engines)('requests with a key on %s', (engine) => {
  let core: TestCore
  let service: IdempotencyService
  const failures: unknown[] = []

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    service = serviceOver(core, failures)
    for (const id of ['acme', 'globex']) await core.tenants.create(platformAdmin, { id, name: id })
  })
  afterAll(async () => {
    await core[Symbol.asyncDispose]()
    expect(failures).toEqual([])
  })

  test('R4: of twenty equal ones at once a single one runs', async () => {
    const work = countingWork()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => service.run(request('race'), work)),
    )
    expect(work.runCount()).toBe(1)
    const results = outcomes.map(settled)
    expect(results.filter((result) => result === 'ran')).toHaveLength(1)
    const others = results.filter((result) => result !== 'ran')
    for (const result of others) expect(['replayed', 'idempotency_in_progress']).toContain(result)
    expect(await service.run(request('race'), work)).toEqual({
      replayed: true,
      reply: { status: 201, headers: {}, body: { run: 1 } },
    })
  })

  test('a repeat gets status, headers and body of the first, without the one-time members', async () => {
    const first = {
      status: 201,
      headers: { location: '/api/v1/accounts/é', 'cache-control': 'no-store' },
      body: { account: { id: 'a', note: 'Zürich', none: null, list: [1] }, secret: 'csk_1' },
    }
    const keyed = request('exact', { oneTimeMembers: ['secret'] })
    const ran = await service.run(keyed, async () => first)
    expect(ran).toEqual({ replayed: false, reply: first })
    for (let repeat = 0; repeat < 2; repeat++) {
      const again = await service.run(keyed, async () => ({ status: 500 }))
      expect(again).toEqual({
        replayed: true,
        reply: { ...first, body: { account: first.body.account } },
      })
    }
  })

  test('a reply without body is repeated without body', async () => {
    const { reply } = await service.run(request('bodiless'), async () => ({ status: 204 }))
    expect(reply).toEqual({ status: 204 })
    expect(await service.run(request('bodiless'), countingWork())).toEqual({
      replayed: true,
      reply: { status: 204, headers: {} },
    })
  })

  test('a key that comes with another body is refused, while the first runs and after', async () => {
    const work = countingWork()
    const other = request('reused', { body: Buffer.from('{"pin":"4712"}') })
    const gate = Promise.withResolvers<JsonReply>()
    const running = service.run(request('reused'), () => gate.promise)
    await expect.poll(() => isClaimed(core, 'acme')).toBe(true)
    await expect(service.run(other, work)).rejects.toThrow(refusal('idempotency_key_reused'))
    gate.resolve({ status: 200, body: {} })
    await running
    await expect(service.run(other, work)).rejects.toThrow(refusal('idempotency_key_reused'))
    expect(work.runCount()).toBe(0)
  })

  const globex = testCaller('globex', ['tenant:write'], { id: acme.id })
  const independent: [string, Partial<KeyedRequest>][] = [
    ['principal', { caller: testCaller('acme', ['tenant:write'], { id: 'other' }) }],
    ['kind of principal', { caller: testCaller('acme', [], { type: 'TRUSTED_ISSUER' }) }],
    ['tenant', { caller: globex }],
    ['path', { path: '/api/v1/tenants/acme/domains' }],
    ['method', { method: 'PUT' }],
    ['key', { key: 'SHARED' }],
  ]
  test.each(independent)('the same key of another %s is another request', async (what, changes) => {
    const key = `shared by ${what}`
    const work = countingWork()
    await service.run(request(key), work)
    const other = await service.run(request(key, { key, ...changes }), work)
    expect(other.replayed).toBe(false)
    expect(work.runCount()).toBe(2)
  })

  test.each(['', ',', '","', '\n'])('parts cannot be shifted over %j', async (separator) => {
    const work = countingWork()
    const [path, key] = [`/a${separator}`, `c${separator}d`]
    await service.run(request(key, { path }), work)
    const shifted = request('d', { path: `${path}${separator}c` })
    expect(await service.run(shifted, work)).toMatchObject({ replayed: false })
  })

  test("replies of the platform's own callers are kept too", async () => {
    const work = countingWork()
    const keyed = request('platform', { caller: platformAdmin })
    await service.run(keyed, work)
    expect(await service.run(keyed, work)).toMatchObject({ replayed: true, reply: { status: 201 } })
    expect(await rowsOf(core, '_platform')).toHaveLength(1)
  })

  test.each([400, 409, 503])('a reply %i is not kept', async (status) => {
    const keyed = request(`status ${status}`)
    await service.run(keyed, async () => ({ status, body: { code: 'no' } }))
    expect(await service.run(keyed, countingWork())).toMatchObject({ replayed: false })
  })

  test('a throw is passed on and frees the key, also for another body', async () => {
    const refused = new DomainError('user_not_found', 'No such user.')
    const failing = async () => {
      throw refused
    }
    await expect(service.run(request('throws'), failing)).rejects.toBe(refused)
    const other = request('throws', { body: Buffer.from('{}') })
    expect(await service.run(other, countingWork())).toMatchObject({ replayed: false })
  })

  test('a reply is kept for 24 hours to the millisecond', async () => {
    const work = countingWork()
    await service.run(request('expiry'), work)
    core.clock.advance(replyLifeMs - 1)
    expect(await service.run(request('expiry'), work)).toMatchObject({ replayed: true })
    core.clock.advance(1)
    expect(await service.run(request('expiry'), work)).toMatchObject({
      replayed: false,
      reply: { body: { run: 2 } },
    })
  })

  test('of many that find an expired reply a single one runs', async () => {
    const work = countingWork()
    await service.run(request('expired race'), work)
    core.clock.advance(replyLifeMs)
    await Promise.allSettled(
      Array.from({ length: 20 }, () => service.run(request('expired race'), work)),
    )
    expect(work.runCount()).toBe(2)
  })

  test('a run that never ends is over after two minutes, and can no longer answer for its follower', async () => {
    const work = countingWork()
    const keyed = request('crashed')
    const gate = Promise.withResolvers<JsonReply>()
    const crashed = service.run(keyed, () => gate.promise)
    await expect.poll(() => isClaimed(core, 'acme')).toBe(true)
    core.clock.advance(runningMsMax - 1)
    await expect(service.run(keyed, work)).rejects.toThrow(refusal('idempotency_in_progress'))
    core.clock.advance(1)
    expect(await service.run(keyed, work)).toMatchObject({ replayed: false })
    gate.resolve({ status: 201, body: { run: 'late' } })
    await crashed
    expect(await service.run(keyed, work)).toMatchObject({ reply: { body: { run: 1 } } })
  })

  test.each([409, 201])('a late end with %i leaves the key to its follower', async (status) => {
    const keyed = request(`late ${status}`)
    const early = Promise.withResolvers<JsonReply>()
    const first = service.run(keyed, () => early.promise)
    await expect.poll(() => isClaimed(core, 'acme')).toBe(true)
    core.clock.advance(runningMsMax)
    const late = Promise.withResolvers<JsonReply>()
    const started = Promise.withResolvers<void>()
    const second = service.run(keyed, () => {
      started.resolve()
      return late.promise
    })
    await started.promise
    early.resolve({ status, body: { run: 'late' } })
    await first
    await expect(service.run(keyed, countingWork())).rejects.toThrow(
      refusal('idempotency_in_progress'),
    )
    late.resolve({ status: 201, body: { run: 'own' } })
    await second
    expect(await service.run(keyed, countingWork())).toMatchObject({
      reply: { body: { run: 'own' } },
    })
  })

  test('nothing of request, reply or key can be read or tried out in the database', async () => {
    const body = Buffer.from('{"pin":"0815"}')
    const caller = testCaller('globex', [], { id: 'reader' })
    await service.run(request('very-own-key', { caller, body }), async () => ({
      status: 201,
      body: { user: 'Jane Doe', provisioning: 'JBSWY3DP' },
    }))
    // Equal bodies, and yet not equal in the database: each hash belongs to its request.
    await service.run(request('second-key', { caller, body }), countingWork())
    const rows = await rowsOf(core, 'globex')
    const texts = rows.flatMap((row) =>
      Object.values(row).map((value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
      ),
    )
    const hash = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')
    const secrets = ['0815', 'Jane', 'JBSWY3DP', 'very-own-key', hash(body), hash('very-own-key')]
    for (const secret of secrets) expect(texts.join('\n')).not.toContain(secret)
    expect(new Set(rows.map((row) => row.body_hash)).size).toBe(rows.length)
  })

  test('what has expired is removed, what has not stays', async () => {
    await service.run(request('removed'), countingWork())
    core.clock.advance(replyLifeMs - 1)
    await service.run(request('stays'), countingWork())
    core.clock.advance(1)
    expect(await service.removeExpired(core.clock())).toBeGreaterThan(0)
    expect(await rowsOf(core, 'acme')).toHaveLength(1)
    expect(await service.removeExpired(core.clock())).toBe(0)
    expect(await service.run(request('stays'), countingWork())).toMatchObject({ replayed: true })
  })

  test('a reply that cannot be stored is answered all the same, and reported', async () => {
    const reported: unknown[] = []
    const gone = testCaller('gone', [])
    const keyed = request('unstored', { caller: gone })
    const reply = await serviceOver(core, reported).run(keyed, countingWork())
    expect(reply).toMatchObject({ replayed: false, reply: { status: 201 } })
    expect(reported).toEqual([expect.objectContaining({ name: 'SealError' })])
    await expect(service.run(keyed, countingWork())).rejects.toThrow(
      refusal('idempotency_in_progress'),
    )
  })

  test('a caller without identity cannot use keys', async () => {
    const work = countingWork()
    const nobody: Caller = testCaller(null, [], { type: 'ANONYMOUS', id: null })
    await expect(service.run(request('nobody', { caller: nobody }), work)).rejects.toThrow()
    expect(work.runCount()).toBe(0)
  })
})

test('R4: of twenty equal requests to two servers a single one runs', async () => {
  const database = await createTestDatabase()
  try {
    await using one = await createReadyTestCore({ url: database.url })
    await using other = await createTestCore({ url: database.url })
    await one.tenants.create(platformAdmin, { id: 'acme', name: 'Acme' })
    const services = [serviceOver(one), serviceOver(other)]
    const work = countingWork()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () =>
        services.map((service) => service.run(request('race'), work)),
      ).flat(),
    )
    expect(outcomes.map(settled).filter((result) => result === 'ran')).toHaveLength(1)
    expect(work.runCount()).toBe(1)
    for (const service of services) {
      expect(await service.run(request('race'), work)).toMatchObject({ replayed: true })
    }
  } finally {
    await database.drop()
  }
})

async function rowsOf(core: TestCore, tenantId: string) {
  return core.test.database.reader.all(allRows, { tenantId })
}

async function isClaimed(core: TestCore, tenantId: string): Promise<boolean> {
  return (await rowsOf(core, tenantId)).some(({ state }) => state === 'RUNNING')
}
