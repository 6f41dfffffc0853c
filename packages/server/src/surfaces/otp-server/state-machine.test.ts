import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Answer, createInstallation, type Installation } from './otp-server.fixture.ts'

/** The companion's "State machine of a list" and "Verification", once more and without any database. */
const method = { name: 'model', listSize: 3, otpLength: 16, otpWindowSize: 2, maxFailures: 3 }
const ages = { freeListMaxAgeSeconds: 600, associatedListMaxAgeSeconds: 900, lockSeconds: 60 }

interface ModelList {
  readonly id: string
  readonly codes: readonly string[]
  status: 'free' | 'associated' | 'active'
  owner: string | undefined
  spentCount: number
  expiresAtMs: number
}

interface ModelUser {
  failureCount: number
  lockedUntilMs: number
}

class Model {
  readonly lists: ModelList[] = []
  readonly gone = new Set<string>()
  readonly users = new Map<string, ModelUser>()

  userOf(name: string): ModelUser {
    const user = this.users.get(name) ?? { failureCount: 0, lockedUntilMs: 0 }
    this.users.set(name, user)
    return user
  }

  listOf(owner: string, status: ModelList['status']): ModelList | undefined {
    return this.lists.find((list) => list.owner === owner && list.status === status)
  }

  remove(list: ModelList | undefined): void {
    if (list === undefined) return
    this.lists.splice(this.lists.indexOf(list), 1)
    this.gone.add(list.id)
  }

  expire(nowMs: number): void {
    for (const list of this.lists.filter(({ expiresAtMs }) => expiresAtMs <= nowMs)) {
      this.remove(list)
    }
  }

  associate(list: ModelList, owner: string, nowMs: number): number {
    if (list.status !== 'free') return 403
    this.remove(this.listOf(owner, 'associated'))
    list.status = 'associated'
    list.owner = owner
    list.expiresAtMs = nowMs + ages.associatedListMaxAgeSeconds * 1000
    return 200
  }

  /** @returns the outcomes that are right; what a user who is locked and has nothing left is told first is open. */
  verify(owner: string, code: string, nowMs: number): readonly string[] {
    const active = this.listOf(owner, 'active')
    const waiting = this.listOf(owner, 'associated')
    if (active === undefined && waiting === undefined) return ['no-list']
    const user = this.userOf(owner)
    const isUsedUp = active?.spentCount === method.listSize && waiting === undefined
    if (user.lockedUntilMs > nowMs) return isUsedUp ? ['locked', 'exhausted'] : ['locked']
    if (user.lockedUntilMs > 0) Object.assign(user, { failureCount: 0, lockedUntilMs: 0 })
    for (const list of [active, waiting].filter((one) => one !== undefined)) {
      const at = list.codes.indexOf(code)
      if (at < list.spentCount || at >= list.spentCount + method.otpWindowSize) continue
      if (list === waiting) this.remove(active)
      list.status = 'active'
      list.spentCount = at + 1
      user.failureCount = 0
      return ['accepted']
    }
    const isSpent = active?.codes.slice(0, active.spentCount).includes(code) === true
    if (isUsedUp && !isSpent) return ['exhausted']
    user.failureCount++
    if (user.failureCount >= method.maxFailures) {
      user.lockedUntilMs = nowMs + ages.lockSeconds * 1000
    }
    return [isSpent ? 'replayed' : 'mismatch']
  }
}

type Command =
  | { readonly do: 'create' }
  | { readonly do: 'associate'; readonly list: number; readonly user: number }
  | { readonly do: 'delete'; readonly list: number }
  /** A code of one of the user's lists, or of any; counted from the one that is next. */
  | {
      readonly do: 'verify'
      readonly user: number
      readonly list: number
      readonly own: boolean
      readonly offset: number
    }
  | { readonly do: 'wait'; readonly seconds: number }

const small = fc.nat({ max: 5 })
const user = fc.nat({ max: 1 })
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'create' } as const) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('associate' as const), list: small, user }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), list: small }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('verify' as const),
      user,
      list: small,
      own: fc.constantFrom(true, true, true, false),
      offset: fc.constantFrom(-1, 0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      seconds: fc.constantFrom(30, 60, 300, 600),
    }),
  },
)

function shownStatus(list: ModelList): Record<string, string> {
  const { status, spentCount } = list
  const remaining = method.listSize - spentCount
  return {
    value: status,
    ...(remaining === 0 ? {} : { index: String(spentCount + 1) }),
    ...(status === 'active' ? { remaining: String(remaining) } : {}),
  }
}

function statusesIn({ tags }: Answer): readonly object[] {
  return tags.filter(({ name }) => name === 'status').map(({ attributes }) => attributes)
}

async function carryOut(at: Installation, model: Model, names: readonly string[], one: Command) {
  const nowMs = at.clock()
  model.expire(nowMs)
  const name = 'user' in one ? (names[one.user] ?? '') : ''
  const isOwn = one.do === 'verify' && one.own
  const lists = model.lists.filter(({ owner }) => !isOwn || owner === name)
  const list = 'list' in one ? lists[one.list % Math.max(1, lists.length)] : undefined
  switch (one.do) {
    case 'create': {
      const { id, codes } = await at.newList(method.name)
      const expiresAtMs = nowMs + ages.freeListMaxAgeSeconds * 1000
      const made = { id, codes: Object.values(codes), owner: undefined, spentCount: 0, expiresAtMs }
      model.lists.push({ ...made, status: 'free' })
      return
    }
    case 'associate': {
      if (list === undefined) return
      const path = `PUT /model/otp-list/${list.id}` as const
      const { status } = await at.call(path, { query: { uniqueID: name } })
      expect(status).toBe(model.associate(list, name, nowMs))
      return
    }
    case 'delete': {
      if (list === undefined) return
      expect((await at.call(`DELETE /model/otp-list/${list.id}`)).status).toBe(204)
      model.remove(list)
      return
    }
    case 'verify': {
      const otp = list?.codes[list.spentCount + one.offset] ?? '0000000000000000'
      const form = { uniqueID: name, otp }
      const answer = await at.call('POST /model/user-info/_verify', { form })
      const { result, reason } = answer.the('verify-response')
      expect(model.verify(name, otp, nowMs)).toContain(reason ?? result)
      return
    }
    case 'wait':
      at.clock.advance(one.seconds * 1000)
  }
}

async function compare(at: Installation, model: Model, names: readonly string[]): Promise<void> {
  model.expire(at.clock())
  for (const list of model.lists) {
    const answer = await at.call(`GET /model/otp-list/${list.id}`)
    expect(statusesIn(answer)).toEqual([shownStatus(list)])
    const owners = answer.tags.filter(({ name }) => name === 'user-info')
    expect(owners.map(({ attributes }) => attributes.uniqueID)).toEqual(
      list.owner === undefined ? [] : [list.owner],
    )
  }
  for (const id of model.gone) {
    expect((await at.call(`GET /model/otp-list/${id}`)).status).toBe(404)
  }
  for (const uniqueID of names) {
    const answer = await at.call('GET /model/user-info/_query', { query: { uniqueID } })
    const lists = [model.listOf(uniqueID, 'active'), model.listOf(uniqueID, 'associated')]
    const present = lists.filter((list) => list !== undefined)
    expect(answer.status).toBe(present.length === 0 ? 204 : 200)
    expect(statusesIn(answer)).toEqual(present.map(shownStatus))
  }
}

describe('the state machine of lists', () => {
  test('holds in whatever order lists are made, given away, used, deleted and left to expire', async () => {
    await using at = await createInstallation()
    await at.addMethod({ ...method, ...ages })
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 40 }), async (commands) => {
        const names = ['a', 'b'].map((letter) => `${letter}${round}`)
        round++
        for (const id of names) await at.addUser({ id, loginName: id })
        const model = new Model()
        for (const one of commands) await carryOut(at, model, names, one)
        await compare(at, model, names)
      }),
      { numRuns: 40 },
    )
  }, 180_000)
})
