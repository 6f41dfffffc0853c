import { expect, test } from 'vitest'
import { refusal } from '#test/support/core.ts'
import { BoundedWork } from './bounded-work.ts'

const createWork = (atOnceMax: number, waitingMax: number) =>
  new BoundedWork({ atOnceMax, waitingMax, refusal: 'Too much.' })

/** Work that ends when told to, and what of it has begun. */
function createJobs() {
  const begun: number[] = []
  const ends: (() => void)[] = []
  const job = (number: number) => () =>
    new Promise<number>((resolve) => {
      begun.push(number)
      ends.push(() => resolve(number))
    })
  return { begun, ends, job }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('begins as much as it may, the rest in its order, one for each that ends', async () => {
  const work = createWork(2, 10)
  const { begun, ends, job } = createJobs()
  const all = [1, 2, 3, 4].map((number) => work.run(job(number)))
  await turn()
  expect(begun).toEqual([1, 2])
  ends[1]?.()
  await turn()
  expect(begun).toEqual([1, 2, 3])
  ends[0]?.()
  await turn()
  expect(begun).toEqual([1, 2, 3, 4])
  for (const end of ends) end()
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4])
})

test('refuses what is more than may wait, and takes work again when there is room', async () => {
  const work = createWork(1, 1)
  const { begun, ends, job } = createJobs()
  const first = work.run(job(1))
  const second = work.run(job(2))
  await expect(work.run(job(3))).rejects.toThrow(refusal('too_many_requests'))
  ends[0]?.()
  await first
  await turn()
  const fourth = work.run(job(4))
  ends[1]?.()
  await second
  await turn()
  ends[2]?.()
  expect(await fourth).toBe(4)
  expect(begun).toEqual([1, 2, 4])
})

test('work that fails makes room like any other', async () => {
  const work = createWork(1, 10)
  const failed = work.run(() => Promise.reject(new Error('no')))
  const next = work.run(() => Promise.resolve('done'))
  await expect(failed).rejects.toThrow('no')
  expect(await next).toBe('done')
})
