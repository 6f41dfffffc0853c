import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createIdSource, ulidTimeMs } from './ulid.ts'

const atMs = Date.UTC(2026, 10, 21)

test('ids of one millisecond count up, over every carry', () => {
  const nextId = createIdSource(
    () => atMs,
    (length) => new Uint8Array(length).fill(31),
  )
  const ids = Array.from({ length: 3_000 }, nextId)
  expect(ids[0]).toMatch(/FZZZZZZZZZZZZZZZ$/)
  expect(ids[1]).toMatch(/G000000000000000$/)
  expect(ids[33]).toMatch(/G000000000000010$/)
  expect(ids).toEqual(ids.toSorted())
  expect(new Set(ids).size).toBe(ids.length)
})

test('ids never go backwards, whatever the clock does, and name its moment', () => {
  let nowMs = atMs
  const nextId = createIdSource(() => nowMs, randomBytes)
  const ids: string[] = []
  for (const step of [0, 0, 1, 0, 7, -5, 0, 5, 1]) {
    nowMs += step
    ids.push(nextId())
  }
  expect(ids).toEqual(ids.toSorted())
  expect(ids.map(ulidTimeMs)).toEqual([0, 0, 1, 1, 8, 8, 8, 8, 9].map((later) => atMs + later))
  for (const id of ids) expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
})
