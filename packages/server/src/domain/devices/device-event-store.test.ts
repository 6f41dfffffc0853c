import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import { createReadyTestCore, engines, type TestCore } from '#test/support/core.ts'
import { eventsPerDeviceMax } from './device-event-store.ts'

const watch = new StatementWatch()

describe.each(engines)('events of devices on %s', (engine) => {
  let core: TestCore

  beforeAll(async () => {
    core = await createReadyTestCore({ engine, observer: watch })
  }, 60_000)
  afterAll(() => core[Symbol.asyncDispose]())

  const append = (deviceId: string, ids: readonly string[], tenantId = 'acme') =>
    core.storage.transaction(async ({ deviceEvents }) => {
      for (const id of ids) {
        const event = { id, userId: null, type: 'property.changed', data: {}, createdAtMs: 0 }
        await deviceEvents.append({ tenantId, deviceId }, event)
      }
    })
  const kept = async (deviceId: string, tenantId = 'acme') => {
    const limit = 2 * eventsPerDeviceMax
    const events = await core.storage.read.deviceEvents.listAfter({ tenantId, deviceId }, '', limit)
    return events.map(({ id }) => id)
  }
  const newIds = (count: number) => Array.from({ length: count }, () => core.nextId())

  test('the newest of a device stay, the oldest go, and those of others are not touched', async () => {
    const first = newIds(eventsPerDeviceMax)
    await append('other', first.slice(0, 3))
    await append('one', first.slice(0, 3), 'shop')
    await append('one', first)
    expect(await kept('one')).toEqual(first)
    const more = newIds(3)
    await append('one', more)
    expect(await kept('one')).toEqual([...first.slice(3), ...more])
    expect(await kept('other')).toEqual(first.slice(0, 3))
    expect(await kept('one', 'shop')).toEqual(first.slice(0, 3))
  }, 60_000)

  test('many at once leave no more than that', async () => {
    const racers = Array.from({ length: 20 }, () => append('busy', newIds(60)))
    await Promise.all(racers)
    await append('busy', newIds(1))
    expect(await kept('busy')).toHaveLength(eventsPerDeviceMax)
  }, 60_000)

  test.runIf(engine === 'sqlite')('no statement reads more than a device', async () => {
    const ours = watch.distinct.filter((sql) => /"device_event"/.test(sql))
    expect(ours.length).toBeGreaterThan(2)
    const found = await Promise.all(ours.map((sql) => explain(core.test.url, sql)))
    expect(found.flatMap(({ faults }) => faults)).toEqual([])
  })
})
