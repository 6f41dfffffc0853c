import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import type { ListRefusal } from '../verification/list-verification-service.ts'
import type { OtpList } from './otp-list.ts'
import type { OtpListMethod } from './otp-list-method.ts'

const users = ['jsmith', 'mjones'] as const
const runs = { sqlite: 60, postgres: 12 }

interface ModelList {
  readonly id: string
  /** In the order of the sheet. */
  readonly codes: readonly string[]
  status: 'FREE' | 'ASSOCIATED' | 'ACTIVE'
  user: number | undefined
  expiresAtMs: number | null
  /** Positions that are spent or skipped, from 0. */
  readonly spent: Set<number>
  /** Which one is asked for; undefined when used up. */
  asked: number | undefined
}

/** What is done; lists are named by their number in the order of creation, modulo. */
type Action =
  | { do: 'create'; user: number | undefined }
  | { do: 'associate'; list: number; user: number }
  | { do: 'delete'; list: number }
  | { do: 'verify'; user: number; list: number; position: number }
  | { do: 'guess'; user: number }
  | { do: 'wait'; seconds: number }

/** otp-server.md, "State machine of a list" and "Verification": as short as they can be said. */
class Model {
  readonly lists: ModelList[] = []
  readonly failures = new Map<number, { count: number; untilMs: number | undefined }>()
  readonly method: OtpListMethod
  nowMs: number

  constructor(method: OtpListMethod, nowMs: number) {
    this.method = method
    this.nowMs = nowMs
  }

  find(number: number): ModelList | undefined {
    const list = this.lists[number % Math.max(1, this.lists.length)]
    return list !== undefined && this.#exists(list) ? list : undefined
  }

  of(user: number, status: 'ACTIVE' | 'ASSOCIATED'): ModelList | undefined {
    return this.lists.find(
      (list) => list.user === user && list.status === status && this.#exists(list),
    )
  }

  remove(list: ModelList): void {
    list.expiresAtMs = Number.NEGATIVE_INFINITY
  }

  associate(list: ModelList, user: number): void {
    const waiting = this.of(user, 'ASSOCIATED')
    if (waiting !== undefined) this.remove(waiting)
    const seconds = this.method.associatedListMaxAgeSeconds
    list.status = 'ASSOCIATED'
    list.user = user
    list.expiresAtMs = seconds === 0 ? null : this.nowMs + seconds * 1000
  }

  /** @returns the list and position that accept; else why not. */
  verify(user: number, code: string): { list: ModelList; position: number } | ListRefusal {
    const active = this.of(user, 'ACTIVE')
    const waiting = this.of(user, 'ASSOCIATED')
    if (active === undefined && waiting === undefined) return 'no_list'
    const lock = this.failures.get(user)
    if (lock?.untilMs !== undefined && this.nowMs < lock.untilMs) return 'locked'
    for (const list of [active, waiting]) {
      const position = list && this.#window(list).find((at) => list.codes[at] === code)
      if (list === undefined || position === undefined) continue
      this.#accept(list, position)
      this.failures.delete(user)
      return { list, position }
    }
    const isReplayed = [...(active?.spent ?? [])].some((at) => active?.codes[at] === code)
    if (!isReplayed && waiting === undefined && active?.asked === undefined) return 'exhausted'
    const count = (lock === undefined || lock.untilMs !== undefined ? 0 : lock.count) + 1
    const isLast = count >= this.method.maxFailures
    const untilMs = isLast ? this.nowMs + this.method.lockSeconds * 1000 : undefined
    this.failures.set(user, { count, untilMs })
    return isReplayed ? 'replayed' : 'mismatch'
  }

  #accept(list: ModelList, position: number): void {
    const old = this.of(list.user ?? -1, 'ACTIVE')
    if (old !== undefined && old !== list) this.remove(old)
    list.status = 'ACTIVE'
    if (this.method.order === 'RANDOM') list.spent.add(position)
    else for (let at = 0; at <= position; at++) list.spent.add(at)
  }

  #window({ asked, codes }: ModelList): number[] {
    if (asked === undefined) return []
    if (this.method.order === 'RANDOM') return [asked]
    const reach = Array.from({ length: this.method.otpWindowSize }, (_, n) => asked + n)
    return reach.filter((position) => position < codes.length)
  }

  #exists({ expiresAtMs }: ModelList): boolean {
    return expiresAtMs === null || this.nowMs < expiresAtMs
  }
}

const list = fc.nat({ max: 5 })
const user = fc.nat({ max: users.length - 1 })
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({
    do: fc.constant('create' as const),
    user: fc.option(user, { nil: undefined }),
  }),
  fc.record({ do: fc.constant('associate' as const), list, user }),
  fc.record({ do: fc.constant('delete' as const), list }),
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('verify' as const),
      user,
      list,
      position: fc.nat({ max: 4 }),
    }),
  },
  fc.record({ do: fc.constant('guess' as const), user }),
  fc.record({
    do: fc.constant('wait' as const),
    seconds: fc.constantFrom(1, 10, 29, 30, 59, 60, 100),
  }),
)

const settings = fc.record({
  order: fc.constantFrom('SEQUENTIAL' as const, 'RANDOM' as const),
  otpWindowSize: fc.integer({ min: 1, max: 3 }),
  listSize: fc.integer({ min: 1, max: 4 }),
  associatedListMaxAgeSeconds: fc.constantFrom(0, 100),
  maxFailures: fc.integer({ min: 1, max: 3 }),
  lockSeconds: fc.constantFrom(30, 60),
})

describe.each(engines)('the state machine of lists on %s', (engine) => {
  let bench: ListBench
  let number = 0

  beforeAll(async () => {
    bench = await createListBench({ engine })
  })
  afterAll(async () => {
    await bench[Symbol.asyncDispose]()
  })

  test('any order of creating, giving, checking, deleting and waiting does what the rules say', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(action, { minLength: 5, maxLength: 30 }),
        async (draft, actions) => {
          const otpWindowSize = draft.order === 'RANDOM' ? 1 : draft.otpWindowSize
          const method = await bench.methods.create(bench.admin, listTenant, {
            name: `model-${++number}`,
            freeListMaxAgeSeconds: 60,
            ...draft,
            otpWindowSize,
          })
          const model = new Model(method, bench.core.clock())
          for (const step of actions) await take(model, step)
        },
      ),
      { numRuns: runs[engine] },
    )
  }, 120_000)

  async function take(model: Model, step: Action): Promise<void> {
    switch (step.do) {
      case 'create':
        await create(model, step.user)
        break
      case 'associate':
        await associate(model, step)
        break
      case 'delete':
        await remove(model, step.list)
        break
      case 'verify':
        await verify(
          model,
          step.user,
          model.lists[step.list % Math.max(1, model.lists.length)]?.codes[step.position],
        )
        break
      case 'guess':
        await verify(model, step.user, 'A00000')
        break
      case 'wait':
        bench.core.clock.advance(step.seconds * 1000)
        model.nowMs = bench.core.clock()
        // Whether the rows are there or not makes no difference.
        if (step.seconds % 2 === 0) await bench.expiry.removeExpired()
    }
    for (const user of users.keys()) await compare(model, user)
  }

  async function create(model: Model, user: number | undefined): Promise<void> {
    const [made] = await bench.lists.create(bench.admin, listTenant, {
      method: model.method.name,
      user: user === undefined ? undefined : { id: users[user] ?? '' },
    })
    if (made === undefined) throw new Error('No list was made.')
    const list: ModelList = {
      id: made.list.id,
      codes: made.codes.map(({ otp }) => otp),
      status: 'FREE',
      user: undefined,
      expiresAtMs: model.nowMs + model.method.freeListMaxAgeSeconds * 1000,
      spent: new Set(),
      asked: askedOf(made.list),
    }
    model.lists.push(list)
    if (user !== undefined) model.associate(list, user)
  }

  async function associate(model: Model, step: { list: number; user: number }): Promise<void> {
    const list = model.find(step.list)
    const to = { id: users[step.user] ?? '' }
    const id = list?.id ?? model.lists[step.list % Math.max(1, model.lists.length)]?.id
    if (id === undefined) return
    const outcome = bench.lists.associate(bench.admin, listTenant, id, to)
    if (list?.status === 'FREE') {
      await expect(outcome).resolves.toMatchObject({ status: 'ASSOCIATED', userId: to.id })
      model.associate(list, step.user)
    } else {
      const code = list === undefined ? 'list_not_found' : 'list_not_free'
      await expect(outcome).rejects.toMatchObject({ code })
    }
  }

  async function remove(model: Model, number: number): Promise<void> {
    const list = model.find(number)
    const id = list?.id ?? model.lists[number % Math.max(1, model.lists.length)]?.id
    if (id === undefined) return
    const outcome = bench.lists.delete(bench.admin, listTenant, id)
    if (list === undefined) {
      await expect(outcome).rejects.toMatchObject({ code: 'list_not_found' })
    } else {
      await outcome
      model.remove(list)
    }
  }

  async function verify(model: Model, user: number, code = 'A00000'): Promise<void> {
    const expected = model.verify(user, code)
    const outcome = await bench.verifyList(code, {
      method: model.method.name,
      userId: users[user] ?? '',
    })
    if (typeof expected === 'string') {
      expect(outcome.refusal).toBe(expected)
      return
    }
    const { list, position } = expected
    expect(outcome.matched).toMatchObject({ listId: list.id, index: String(position + 1) })
    list.asked = outcome.active === undefined ? undefined : askedOf(outcome.active)
    const isLeft = list.spent.size < list.codes.length
    expect(list.asked !== undefined).toBe(isLeft)
    if (list.asked === undefined) return
    expect(list.spent.has(list.asked)).toBe(false)
    if (model.method.order === 'SEQUENTIAL') expect(list.asked).toBe(position + 1)
  }

  /** What the server says of a user's lists, against the model. */
  async function compare(model: Model, user: number): Promise<void> {
    const info = await bench.lists.userInfo(bench.admin, listTenant, {
      method: model.method.name,
      user: { id: users[user] ?? '' },
    })
    for (const status of ['ACTIVE', 'ASSOCIATED'] as const) {
      const expected = model.of(user, status)
      const seen = status === 'ACTIVE' ? info?.active : info?.associated
      expect(seen && view(seen)).toEqual(
        expected && {
          id: expected.id,
          status,
          remaining: expected.codes.length - expected.spent.size,
          asked: expected.asked,
          expiresAtMs: expected.expiresAtMs,
        },
      )
    }
  }
})

function askedOf({ nextPosition }: OtpList): number | undefined {
  return nextPosition === null ? undefined : nextPosition - 1
}

function view(list: OtpList): object {
  const { id, status, remaining, expiresAtMs } = list
  return { id, status, remaining, asked: askedOf(list), expiresAtMs }
}
