import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NewMessage } from '#domain/outbox/outbox-message.ts'
import { createTestCore, engines, type TestCore } from '#test/support/core.ts'
import { plainKind, startDispatcher, until } from '#test/support/delivery.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'

describe.each(engines)('delivery on %s', (engine) => {
  let core: TestCore
  let receiver: Receiver

  beforeEach(async () => {
    core = await createTestCore({ engine })
    receiver = await startReceiver()
  })
  afterEach(async () => {
    await receiver[Symbol.asyncDispose]()
    await core[Symbol.asyncDispose]()
  })

  function append(changes: Partial<NewMessage> = {}, tenantId = 'bank'): Promise<string> {
    const message: NewMessage = {
      kind: 'plain',
      target: receiver.url,
      topic: 'x',
      payload: Buffer.from('{}'),
      lifetimeMs: 86_400_000,
      ...changes,
    }
    return core.storage.transaction(({ outbox }) => outbox.append(tenantId, message))
  }
  const appendMany = (count: number, changes?: Partial<NewMessage>) =>
    Promise.all(Array.from({ length: count }, () => append(changes)))
  const idsGot = () => receiver.received.map(({ headers }) => headers['x-id'] ?? '')
  const isEmpty = async () => (await core.storage.read.outbox.countWaiting()) === 0

  test('what is written is delivered, each once, and leaves the outbox', async () => {
    const ids = await appendMany(200)
    await using running = startDispatcher(core, [plainKind()])
    await until(isEmpty)
    expect(idsGot().toSorted()).toEqual(ids.toSorted())
    expect(running.failures).toEqual([])
    expect(running.settled).toHaveLength(200)
  })

  test('a failure is repeated when it is due, under the same id, and not before', async () => {
    receiver.answerWith(500)
    const id = await append()
    await using running = startDispatcher(core, [plainKind()])
    await until(() => running.settled.length === 1)
    core.clock.advance(4_900)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(idsGot()).toEqual([id])
    receiver.answerWith(204)
    core.clock.advance(700)
    await until(isEmpty)
    expect(idsGot()).toEqual([id, id])
    expect(running.settled.map(({ outcome }) => outcome)).toEqual(['retried', 'delivered'])
  })

  test('in order, one at a time for each key, and a key that fails does not hold up another', async () => {
    const kind = plainKind({ isOrdered: true })
    const order: string[] = []
    const sent = new Map<string, string[]>([
      ['a', []],
      ['b', []],
    ])
    for (let index = 0; index < 20; index++) {
      const orderKey = index % 2 === 0 ? 'a' : 'b'
      sent.get(orderKey)?.push(await append({ orderKey }))
      core.clock.advance(1)
    }
    let isFirst = true
    receiver.answerWith(({ headers }, response) => {
      const fails = headers['x-key'] === 'a' && isFirst
      if (headers['x-key'] === 'a') isFirst = false
      order.push(`${headers['x-key']} ${headers['x-id']}`)
      setTimeout(() => response.writeHead(fails ? 500 : 204).end(), 5)
    })
    await using _ = startDispatcher(core, [kind])
    await until(async () => {
      core.clock.advance(500)
      return isEmpty()
    })
    const [firstA = ''] = sent.get('a') ?? []
    const ofKey = (key: string) =>
      order.filter((text) => text.startsWith(key)).map((text) => text.slice(2))
    expect(ofKey('a')).toEqual([firstA, ...(sent.get('a') ?? [])])
    expect(ofKey('b')).toEqual(sent.get('b'))
  })

  test('what nobody takes until its deadline is given up and stays to be seen', async () => {
    receiver.answerWith(503)
    const id = await append({ lifetimeMs: 12_000 })
    await using running = startDispatcher(core, [plainKind()])
    await until(async () => {
      core.clock.advance(1_000)
      return isEmpty()
    })
    const key = { tenantId: 'bank', target: receiver.url, id }
    const message = await core.storage.read.outbox.find(key)
    expect(message?.status).toBe('FAILED')
    expect(message?.attempts.length).toBeGreaterThan(0)
    expect(message?.attempts.every(({ statusCode }) => statusCode === 503)).toBe(true)
    expect(running.settled.at(-1)?.outcome).toBe('failed')
  })

  test('dead receivers, also many with much to get, do not delay one that is well', async () => {
    const hanging = await startReceiver(() => {})
    for (let index = 0; index < 120; index++) {
      const target = `${hanging.url}/${String(index).padStart(3, '0')}`
      await append({ target }, index % 2 === 0 ? 'bank' : 'attic')
      await append({ target }, 'bank')
    }
    await using _ = startDispatcher(core, [plainKind()], { clock: () => Date.now() })
    await new Promise((resolve) => setTimeout(resolve, 300))
    const startedAt = performance.now()
    core.clock.set(Date.now())
    await appendMany(20)
    await receiver.waitFor(20)
    expect(performance.now() - startedAt).toBeLessThan(4_000)
    await hanging[Symbol.asyncDispose]()
  })

  test('a kind that cannot prepare is asked again, and its message is not lost', async () => {
    let count = 0
    const id = await append()
    const kind = plainKind({
      prepare: async (message) => {
        count += 1
        if (count === 1) throw new Error('no key')
        return plainKind().prepare(message, 0)
      },
    })
    await using running = startDispatcher(core, [kind])
    await until(() => count === 1)
    await until(async () => {
      core.clock.advance(1_000)
      return isEmpty()
    })
    expect(running.failures).toHaveLength(1)
    expect(idsGot()).toEqual([id])
  })

  test('a kind that cannot settle a message does not hold up the others', async () => {
    const [bad, good] = [await append({ topic: 'bad' }), await append()]
    const kind = plainKind({
      keepsDelivered: true,
      settled: async (_stores, settlements) => {
        if (settlements.some(({ message }) => message.topic === 'bad')) throw new Error('a bug')
      },
    })
    await using running = startDispatcher(core, [kind])
    const find = (id: string) =>
      core.storage.read.outbox.find({ tenantId: 'bank', target: receiver.url, id })
    await until(async () => (await find(good))?.status === 'DELIVERED')
    expect((await find(bad))?.status).toBe('WAITING')
    expect(running.failures.length).toBeGreaterThan(0)
  })

  test('what its kind drops is gone, what it gives up stays as FAILED; nothing is sent', async () => {
    const dropped = await append({ topic: 'drop' })
    const givenUp = await append({ topic: 'give-up' })
    const kind = plainKind({
      prepare: async ({ topic }) => (topic === 'drop' ? 'drop' : 'give-up'),
    })
    await using _ = startDispatcher(core, [kind])
    await until(isEmpty)
    const find = (id: string) =>
      core.storage.read.outbox.find({ tenantId: 'bank', target: receiver.url, id })
    expect(await find(dropped)).toBeUndefined()
    expect((await find(givenUp))?.status).toBe('FAILED')
    expect(receiver.received).toEqual([])
  })

  test('two dispatchers on one database never have one message at the same time', async () => {
    const underWay = new Set<string>()
    let twice = 0
    receiver.answerWith(({ headers }, response) => {
      const id = headers['x-id'] ?? ''
      if (underWay.has(id)) twice += 1
      underWay.add(id)
      setTimeout(() => {
        underWay.delete(id)
        response.writeHead(204).end()
      }, 3)
    })
    const ids = await appendMany(300)
    {
      await using one = startDispatcher(core, [plainKind()])
      await using other = startDispatcher(core, [plainKind()])
      await until(isEmpty)
      expect(one.failures.concat(other.failures)).toEqual([])
    }
    expect(twice).toBe(0)
    expect(idsGot().toSorted()).toEqual(ids.toSorted())
  })

  test('a stop writes down what is under way, and leaves the rest for the next start', async () => {
    receiver.answerWith((_received, response) => {
      setTimeout(() => response.writeHead(204).end(), 50)
    })
    const ids = await appendMany(30)
    const first = startDispatcher(core, [plainKind()])
    await receiver.waitFor(2)
    await first[Symbol.asyncDispose]()
    const before = idsGot().length
    expect(before).toBeLessThan(30)
    await using _ = startDispatcher(core, [plainKind()])
    await until(isEmpty)
    expect(idsGot().toSorted()).toEqual(ids.toSorted())
  })
})
