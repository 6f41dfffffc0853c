import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines, platformAdmin, testCaller } from '#test/support/core.ts'
import { Phone } from '#test/support/phone.ts'

const dayMs = 86_400_000

describe.each(engines)('the end of approvals on %s', (engine) => {
  let bench: ApprovalBench
  let userId: string
  let phone: Phone
  let other: Phone
  beforeAll(async () => {
    bench = await createApprovalBench(engine)
    userId = await bench.createUser()
    phone = await bench.enrol(userId, { pin: '4711' })
    other = await bench.enrol(userId, { pin: '4711' })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const row = (id: string) => bench.storage.read.approvals.find(tenantId, id)
  const told = async (device: Phone, id: string) => {
    const place = { tenantId, deviceId: device.id }
    const events = await bench.storage.read.deviceEvents.listAfter(place, '', 1_000)
    return events
      .filter(({ data }) => data.approvalId === id)
      .map(({ type, data }) => [type, data.reason])
  }
  const listen = () => {
    const woken = new Set<string>()
    const { wakeups } = bench.composed
    const stops = [phone, other].map(({ id }) => {
      const listener = { look: () => woken.add(id) }
      wakeups.listen(tenantId, id, listener)
      return () => wakeups.unlisten(tenantId, id, listener)
    })
    return { woken, stop: () => stops.map((stop) => stop()) }
  }

  test('the timer writes down what has passed, in every tenant, and tells every device', async () => {
    await bench.core.tenants.create(platformAdmin, { id: `shop-${engine}`, name: 'Shop' })
    const shop = testCaller(`shop-${engine}`, ['tenant:write'])
    const buyer = await bench.core.users.create(shop, `shop-${engine}`, { loginName: 'buyer' })
    const { core, storage, clock } = bench
    await Phone.enrol({ core, storage, clock }, shop, {
      tenantId: `shop-${engine}`,
      userId: buyer.id,
    })
    const elsewhere = await core.approvals.create(shop, `shop-${engine}`, {
      user: { id: buyer.id },
      text: 'Buy',
      timeouts: { retrievalSeconds: 3 },
    })
    const unseen = await bench.ask(userId, { timeouts: { retrievalSeconds: 3 } })
    const undecided = await bench.ask(userId, { timeouts: { decisionSeconds: 3 } })
    await phone.retrieve(undecided.id)
    const endless = await bench.ask(userId, {
      timeouts: { retrievalSeconds: null, decisionSeconds: null },
    })
    clock.advance(2_999)
    await core.approvalEnding.expireDue()
    expect((await row(unseen.id))?.status).toBe('PENDING')
    clock.advance(1)
    const { woken, stop } = listen()
    await core.approvalEnding.expireDue()
    stop()
    expect(await row(unseen.id)).toMatchObject({
      status: 'EXPIRED',
      failureReason: 'RETRIEVAL_TIMEOUT',
      completedAtMs: clock(),
    })
    expect(await row(undecided.id)).toMatchObject({
      status: 'EXPIRED',
      failureReason: 'DECISION_TIMEOUT',
    })
    expect((await row(endless.id))?.status).toBe('PENDING')
    expect((await storage.read.approvals.find(`shop-${engine}`, elsewhere.id))?.status).toBe(
      'EXPIRED',
    )
    expect(woken).toEqual(new Set([phone.id, other.id]))
    expect(await told(phone, unseen.id)).toEqual([['approval.cancelled', 'expired']])
    expect(await told(other, undecided.id)).toEqual([['approval.cancelled', 'expired']])
    const records = (await bench.records()).filter(({ target }) => target?.id === unseen.id)
    expect(records.at(-1)).toMatchObject({ action: 'approval.expired', actor: { type: 'SYSTEM' } })
  })

  test('more than one call takes at once are all ended', async () => {
    const ids: string[] = []
    while (ids.length < 230) {
      const asked = Array.from({ length: 10 }, () =>
        bench.ask(userId, { timeouts: { retrievalSeconds: 1 } }),
      )
      for (const { id } of await Promise.all(asked)) ids.push(id)
    }
    bench.clock.advance(1_000)
    // One is enough, unless its time is over: the timer calls again then.
    for (let call = 1; call <= 3; call++) await bench.core.approvalEnding.expireDue()
    const states = await Promise.all(ids.map(async (id) => (await row(id))?.status))
    expect(new Set(states)).toEqual(new Set(['EXPIRED']))
  }, 30_000)

  test('a decision and a cancellation tell the devices that did not make it', async () => {
    const decided = await bench.ask(userId)
    const item = await phone.retrieve(decided.id)
    const { woken, stop } = listen()
    await phone.decide(decided.id, phone.byFactor('bio', item))
    stop()
    expect(woken).toEqual(new Set([other.id]))
    expect(await told(other, decided.id)).toEqual([['approval.cancelled', 'decided_elsewhere']])
    expect(await told(phone, decided.id)).toEqual([])
    const given = await bench.ask(userId)
    await phone.retrieve(given.id)
    await phone.decide(given.id, { decision: 'timeout' })
    expect(await told(other, given.id)).toEqual([['approval.cancelled', 'expired']])
    const taken = await bench.ask(userId)
    await bench.core.approvals.cancel(bench.admin, tenantId, taken.id)
    for (const device of [phone, other]) {
      expect(await told(device, taken.id)).toEqual([['approval.cancelled', 'cancelled']])
    }
  })

  test('approvals, evidence and read messages are erased at their time; references stay taken', async () => {
    const { core, clock, admin, storage } = bench
    const reference = `kept-${engine}`
    const approved = await bench.ask(userId, { reference })
    await phone.decide(approved.id, phone.byFactor('bio', await phone.retrieve(approved.id)))
    const message = await bench.ask(userId, {
      kind: 'MESSAGE',
      timeouts: { retrievalSeconds: 3600 },
    })
    await phone.retrieve(message.id)
    const open = await bench.ask(userId, {
      timeouts: { retrievalSeconds: null, decisionSeconds: null },
    })
    const { approvalDays } = (await core.settings.settingsOf(tenantId)).retention
    clock.advance(approvalDays * dayMs - 1)
    await core.approvalEnding.eraseDue()
    expect(await row(approved.id)).toBeDefined()
    clock.advance(1)
    await core.approvalEnding.eraseDue()
    expect(await row(approved.id)).toBeUndefined()
    const key = { tenantId, approvalId: approved.id }
    expect(await storage.read.approvals.evidence.find(key)).toBeUndefined()
    const shown = { ...key, deviceId: phone.id }
    expect(await storage.read.approvals.deliveries.find(shown)).toBeUndefined()
    await expect(core.approvals.get(admin, tenantId, approved.id)).rejects.toThrow(
      expect.objectContaining({ code: 'approval_not_found' }) as Error,
    )
    await expect(bench.ask(userId, { reference })).rejects.toThrow(
      expect.objectContaining({ code: 'already_exists' }) as Error,
    )
    expect(await row(message.id)).toBeDefined()
    clock.advance(3_600_000)
    await core.approvalEnding.eraseDue()
    expect(await row(message.id)).toBeUndefined()
    expect((await row(open.id))?.status).toBe('PENDING')
  })

  test('what is open ends with its user', async () => {
    const leaver = await bench.createUser()
    const device = await bench.enrol(leaver)
    const unseen = await bench.ask(leaver)
    const seen = await bench.ask(leaver)
    await device.retrieve(seen.id)
    const done = await bench.ask(leaver)
    await device.retrieve(done.id)
    await device.decide(done.id, { decision: 'reject' })
    await bench.core.users.delete(bench.admin, tenantId, leaver)
    for (const { id } of [unseen, seen]) {
      expect(await row(id)).toMatchObject({ status: 'CANCELLED', failureReason: 'CANCELLED' })
    }
    expect((await row(done.id))?.status).toBe('REJECTED')
    const records = (await bench.records()).filter(({ target }) => target?.id === seen.id)
    expect(records.at(-1)).toMatchObject({ action: 'approval.cancelled', userId: leaver })
  })

  test('a tenant that is being deleted holds nobody up', async () => {
    const { core, storage, clock } = bench
    const gone = `gone-${engine}`
    await core.tenants.create(platformAdmin, { id: gone, name: 'Gone' })
    const admin = testCaller(gone, ['tenant:write'])
    const user = await core.users.create(admin, gone, { loginName: 'someone' })
    await Phone.enrol({ core, storage, clock }, admin, { tenantId: gone, userId: user.id })
    const timeouts = { retrievalSeconds: 1 }
    const lost = await core.approvals.create(admin, gone, {
      user: { id: user.id },
      text: 'x',
      timeouts,
    })
    const mine = await bench.ask(userId, { timeouts })
    await core.tenants.update(platformAdmin, gone, { status: 'DISABLED' })
    await core.tenants.delete(platformAdmin, gone)
    clock.advance(1_000)
    await core.approvalEnding.expireDue()
    expect((await row(mine.id))?.status).toBe('EXPIRED')
    expect(await storage.read.approvals.find(gone, lost.id)).toBeUndefined()
  })
})
