import { describe, expect, test } from 'vitest'
import { type Slot, Slots, slotLimits, slowMs } from './slots.ts'

const queueOf = (tenant: string, target: number | string = 1) => `${tenant}/webhook/${target}`

/** Takes everything that is free for a queue. */
function takeAll(slots: Slots, queue: string, nowMs = 0): Slot[] {
  const taken: Slot[] = []
  for (let free = slots.free(queue, nowMs); free > 0; free--) taken.push(slots.take(queue, nowMs))
  return taken
}

describe('a receiver', () => {
  test('begins with four calls at once and doubles with every success, up to its limit', () => {
    const slots = new Slots()
    const queue = queueOf('bank')
    for (const expected of [4, 64, 64]) {
      const taken = takeAll(slots, queue)
      expect(taken).toHaveLength(expected)
      for (const slot of taken) slots.giveBack(slot, 'good', 1)
    }
    expect(slots.underWay).toBe(0)
  })

  test('gets more only when half of its places are free', () => {
    const slots = new Slots()
    const [first, second] = takeAll(slots, queueOf('bank'))
    expect(slots.free(queueOf('bank'), 0)).toBe(0)
    if (first !== undefined) slots.giveBack(first, undefined, 0)
    expect(slots.free(queueOf('bank'), 0)).toBe(0)
    if (second !== undefined) slots.giveBack(second, undefined, 0)
    expect(slots.free(queueOf('bank'), 0)).toBe(2)
  })

  test('that fails gets one call at a time, after a pause that doubles, until it succeeds', () => {
    const slots = new Slots()
    const queue = queueOf('bank')
    let nowMs = 0
    for (const pauseMs of [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
      slots.giveBack(slots.take(queue, nowMs), 'bad', nowMs)
      expect(slots.free(queue, nowMs + pauseMs - 1)).toBe(0)
      nowMs += pauseMs
      expect(slots.free(queue, nowMs)).toBe(1)
    }
    const slot = slots.take(queue, nowMs)
    expect(slots.free(queue, nowMs)).toBe(0)
    slots.giveBack(slot, 'good', nowMs)
    expect(slots.free(queue, nowMs)).toBe(8)
  })

  test('that is slow is suspect while it is, and takes no place of the others', () => {
    const slots = new Slots()
    const limit = slotLimits.healthyMax
    for (let target = 0; target < 1_000; target++)
      takeAll(slots, queueOf(`t${target % 10}`, target))
    expect(slots.underWay).toBe(limit)
    expect(slots.free(queueOf('bank'), slowMs - 1)).toBe(0)
    slots.lookAround(slowMs)
    expect(slots.free(queueOf('bank'), slowMs)).toBe(4)
    // The suspects have used up their own share, and more.
    expect(slots.free(queueOf('t0', 0), slowMs)).toBe(0)
  })
})

describe('a tenant', () => {
  test('leaves others a third of the places, whatever it has to send', () => {
    const slots = new Slots()
    for (let target = 0; target < 1_000; target++) takeAll(slots, queueOf('bank', target))
    expect(slots.underWay).toBe(Math.floor((slotLimits.healthyMax * 2) / 3))
    expect(slots.free(queueOf('shop'), 0)).toBe(4)
  })
})

test('never more than the total, however many receivers turn slow', () => {
  const slots = new Slots()
  for (let round = 0; round < 20; round++) {
    const nowMs = round * slowMs
    slots.lookAround(nowMs)
    for (let target = 0; target < 300; target++) {
      takeAll(slots, queueOf(`t${target % 9}`, `${round}-${target}`), nowMs)
    }
  }
  expect(slots.underWay).toBe(slotLimits.totalMax)
})

test('queues that are idle are forgotten before there are too many', () => {
  const slots = new Slots()
  for (let target = 0; target < 25_000; target++) {
    slots.giveBack(slots.take(queueOf('bank', target), 0), 'bad', 0)
  }
  expect(slots.underWay).toBe(0)
  expect(slots.free(queueOf('bank', 0), 0)).toBe(4)
})
