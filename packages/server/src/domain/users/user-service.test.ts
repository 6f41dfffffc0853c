import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PinHasher } from '#custody/pin-hasher.ts'
import { statement } from '#storage/statement.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { createVerificationBench, type VerificationBench } from '#test/support/tokens.ts'
import { recordsOf, refusal, type UserServices, userServices } from '#test/support/users.ts'
import type { User, UserDraft } from './user.ts'

const passwordOf = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('app_user')
    .select('password_hash')
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

describe.each(engines)('users on %s', (engine) => {
  let core: TestCore
  let bench: VerificationBench
  let services: UserServices
  let tenantCount = 0

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    bench = await createVerificationBench({ test: core.test })
    services = userServices(core)
  })
  afterAll(() => core[Symbol.asyncDispose]())

  async function newTenant() {
    const { id } = await core.tenants.create(platformAdmin, {
      id: `bank-${++tenantCount}`,
      name: 'A bank',
    })
    const admin = testCaller(id, ['tenant:write'])
    return {
      id,
      admin,
      create: (draft: UserDraft) => services.users.create(admin, id, draft),
      get: (userId: string) => services.users.get(admin, id, userId),
    }
  }

  test('a user has what was given, defaults for the rest, and an id of its own', async () => {
    const { create, get } = await newTenant()
    const given = await create({
      id: 'jsmith',
      loginName: 'john.smith',
      displayName: 'John Smith',
      email: 'john.smith@acme.com',
      identifiers: [
        { scheme: 'uniqueID', value: 'user1' },
        { scheme: 'login', value: 'JSmith' },
      ],
    })
    expect(given).toMatchObject({
      id: 'jsmith',
      domain: 'default',
      loginName: 'john.smith',
      displayName: 'John Smith',
      email: 'john.smith@acme.com',
      status: 'ACTIVE',
      lock: null,
      failureCount: 0,
      identifiers: [
        { scheme: 'login', value: 'jsmith' },
        { scheme: 'uniqueID', value: 'user1' },
      ],
      keylessExternalId: null,
      lastLoginAtMs: null,
      lastAuthenticatedAtMs: null,
      createdAtMs: core.clock(),
      updatedAtMs: core.clock(),
    })
    expect(await get('jsmith')).toEqual(given)
    const plain = await create({ loginName: 'jane' })
    expect(plain).toMatchObject({ id: plain.ulid, displayName: null, identifiers: [] })
    expect(await core.storage.read.userViews.findWithUlid(plain.tenantId, plain.ulid, 0)).toEqual(
      plain,
    )
  })

  test('a refusal names every member that is taken, and nothing is made', async () => {
    const { id, admin, create } = await newTenant()
    await create({
      id: 'one',
      loginName: 'Jos\u00e9',
      identifiers: [
        { scheme: 'external', value: 'E1' },
        { scheme: 'objectGuid', value: '{3F2504E0-4F89-11D3-9A0C-0305E82C3301}' },
      ],
    })
    await expect(create({ id: 'one', loginName: 'JOSE\u0301' })).rejects.toEqual(
      refusal('already_exists', ['/id', '/loginName']),
    )
    await expect(create({ id: 'ONE', loginName: 'josE\u0301' })).rejects.toEqual(
      refusal('already_exists', ['/loginName']),
    )
    await expect(
      create({
        loginName: 'two',
        identifiers: [
          { scheme: 'objectGuid', value: '3f2504e04f8911d39a0c0305e82c3301' },
          { scheme: 'external', value: 'free' },
          { scheme: 'external', value: 'E1' },
        ],
      }),
    ).rejects.toEqual(refusal('already_exists', ['/identifiers/0', '/identifiers/2']))
    await create({ loginName: 'two', identifiers: [{ scheme: 'external', value: 'free' }] })
    const { items } = await services.users.list(admin, id, { limit: 50 })
    expect(items.map(({ loginName }) => loginName)).toEqual(['Jos\u00e9', 'two'])
  })

  test('a login name is taken in its domain only', async () => {
    const { id, admin, create } = await newTenant()
    await services.domains.create(admin, id, { name: 'Acme' })
    await create({ loginName: 'john' })
    const other = await create({ loginName: 'JOHN', domain: 'ACME' })
    expect(other).toMatchObject({ domain: 'Acme', loginName: 'JOHN' })
    await expect(services.users.update(admin, id, other.id, { domain: 'default' })).rejects.toEqual(
      refusal('already_exists', ['/domain']),
    )
    await expect(
      services.users.update(admin, id, other.id, { domain: 'default', loginName: 'John' }),
    ).rejects.toEqual(refusal('already_exists', ['/loginName']))
    const moved = await services.users.update(admin, id, other.id, {
      domain: 'default',
      loginName: 'jack',
    })
    expect(moved).toMatchObject({ domain: 'default', loginName: 'jack' })
    await create({ loginName: 'John', domain: 'acme' })
  })

  test('identifiers of one draft that are one in normal form are one', async () => {
    const { create } = await newTenant()
    const user = await create({
      loginName: 'john',
      identifiers: [
        { scheme: 'login', value: 'John' },
        { scheme: 'login', value: 'JOHN' },
      ],
    })
    expect(user.identifiers).toEqual([{ scheme: 'login', value: 'john' }])
  })

  test.each([
    ['/id', { id: 'a b' }],
    ['/id', { id: '..' }],
    ['/id', { id: 'a/b' }],
    ['/id', { id: 'Rene\u0301' }],
    ['/id', { id: 'x'.repeat(256) }],
    ['/id', { id: 'a\ud800' }],
    ['/loginName', { loginName: '' }],
    ['/loginName', { loginName: 'ACME\\john' }],
    ['/loginName', { loginName: 'a\0' }],
    ['/loginName', { loginName: '\u0958'.repeat(128) }],
    ['/displayName', { displayName: 'x'.repeat(256) }],
    ['/displayName', { displayName: 'a\0b' }],
    ['/firstName', { firstName: '\udc00' }],
    ['/description', { description: 'x'.repeat(100_000) }],
    ['/email', { email: 'nobody' }],
    ['/email', { email: 'a@b' }],
    ['/email', { email: `a@${'b'.repeat(250)}.com` }],
    ['/email', { email: 'a@b..com' }],
    ['/password', { password: '' }],
    ['/password', { password: 'x'.repeat(1025) }],
    ['/identifiers/0/scheme', { identifiers: [{ scheme: 'id', value: 'x' }] }],
    ['/identifiers/0/value', { identifiers: [{ scheme: 'keyless', value: 'x' }] }],
    [
      '/identifiers',
      { identifiers: Array.from({ length: 51 }, (_, n) => ({ scheme: 's', value: `${n}` })) },
    ],
  ])('%s is refused in %j, and nothing is made', async (pointer, members) => {
    const { id, admin, create } = await newTenant()
    await expect(create({ loginName: 'john', ...members })).rejects.toEqual(
      refusal('invalid_request', [pointer]),
    )
    expect((await services.users.list(admin, id, { limit: 1 })).items).toEqual([])
    expect(await recordsOf(core, id)).toEqual([])
  })

  test('names of 255 characters and text that looks like SQL are kept as they are', async () => {
    const { create, get } = await newTenant()
    const long = '😀'.repeat(255)
    const sql = '\'; delete from app_user; -- " $1 ? \\n'
    const user = await create({
      id: "x';--",
      loginName: long,
      displayName: sql,
      description: `${sql}\n\t`,
      identifiers: [{ scheme: 'external', value: sql }],
    })
    expect(user).toMatchObject({ loginName: long, displayName: sql, description: `${sql}\n\t` })
    expect(await get("x';--")).toEqual(user)
  })

  test('of twenty that want one login name at once, one gets it', async () => {
    const { id, admin, create } = await newTenant()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        create({ loginName: index % 2 === 0 ? 'john' : 'JOHN' }),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toEqual(refusal('already_exists', ['/loginName']))
      }
    }
    expect((await services.users.list(admin, id, { limit: 50 })).items).toHaveLength(1)
  })

  test('of twenty that want the same identifiers at once, in any order, one gets them all', async () => {
    const { id, admin, create } = await newTenant()
    const identifiers = Array.from({ length: 5 }, (_, n) => ({ scheme: 'external', value: `${n}` }))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        create({
          loginName: `user-${index}`,
          identifiers: index % 2 === 0 ? identifiers : identifiers.toReversed(),
        }),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        const all = identifiers.map((_, index) => `/identifiers/${index}`)
        expect(outcome.reason).toEqual(refusal('already_exists', all))
      }
    }
    const { items } = await services.users.list(admin, id, { limit: 50 })
    expect(items.map((user) => user.identifiers)).toEqual([identifiers])
  })

  test('of two that rename themselves to one login at once, one does', async () => {
    const { id, admin, create } = await newTenant()
    const users = await Promise.all(['a', 'b', 'c', 'd'].map((loginName) => create({ loginName })))
    const outcomes = await Promise.allSettled(
      users.map((user) => services.users.update(admin, id, user.id, { loginName: 'John' })),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason).toEqual(refusal('already_exists', ['/loginName']))
      }
    }
  })

  test('an unknown domain is named, an unknown tenant is not there', async () => {
    const { create } = await newTenant()
    await expect(create({ loginName: 'john', domain: 'nowhere' })).rejects.toMatchObject({
      code: 'domain_not_found',
      pointer: '/domain',
    })
    await expect(
      services.users.create(platformAdmin, 'nobody', { loginName: 'john' }),
    ).rejects.toEqual(refusal('tenant_not_found'))
    await expect(services.users.list(platformAdmin, 'nobody', { limit: 1 })).rejects.toEqual(
      refusal('tenant_not_found'),
    )
  })

  test('a change leaves alone what it does not name, and null clears', async () => {
    const { id, admin, create, get } = await newTenant()
    const user = await create({
      loginName: 'john',
      displayName: 'John',
      email: 'John@acme.com',
      mobile: '+49 1',
      description: 'd',
    })
    core.clock.advance(1000)
    const changed = await services.users.update(admin, id, user.id, {
      email: null,
      mobile: '+49 2',
      status: 'DISABLED',
    })
    expect(changed).toEqual({
      ...user,
      email: null,
      mobile: '+49 2',
      status: 'DISABLED',
      updatedAtMs: user.createdAtMs + 1000,
    })
    expect(await get(user.id)).toEqual(changed)
    await expect(services.users.update(admin, id, 'nobody', { email: null })).rejects.toEqual(
      refusal('user_not_found'),
    )
  })

  test('without a display name first and last name are shown', async () => {
    const { id, admin, create } = await newTenant()
    const user = await create({ loginName: 'john', firstName: 'John', lastName: 'Smith' })
    expect(user.displayName).toBe('John Smith')
    const renamed = await services.users.update(admin, id, user.id, { lastName: null })
    expect(renamed.displayName).toBe('John')
    const long = { firstName: 'x'.repeat(255), lastName: 'y'.repeat(255) }
    expect((await create({ loginName: 'long', ...long })).displayName).toBe(long.firstName)
  })

  test('a password is kept as argon2id and is in no answer and no record', async () => {
    const { id, admin, create } = await newTenant()
    const password = 'correct horse battery'
    const user = await create({ loginName: 'john', password })
    const changed = await services.users.update(admin, id, user.id, { password: `${password}!` })
    const stored = await core.test.database.reader.first(passwordOf, { tenantId: id, id: user.id })
    expect(await new PinHasher().verify(stored?.password_hash ?? '', `${password}!`)).toBe(true)
    expect(stored?.password_hash).toMatch(/^\$argon2id\$/)
    expect(JSON.stringify([user, changed, await recordsOf(core, id)])).not.toMatch(/horse|argon2/)
  })

  test('paging by key, with every filter', async () => {
    const { id, admin, create } = await newTenant()
    await services.domains.create(admin, id, { name: 'Acme' })
    await create({ id: 'a', loginName: 'john', identifiers: [{ scheme: 'login', value: 'JJ' }] })
    await create({ id: 'b', loginName: 'JOHN', domain: 'acme', keylessExternalId: 'E1' })
    await create({ id: 'c', loginName: 'jane', status: 'DISABLED', keylessExternalId: 'E1' })
    const ids = async (query: object) => {
      const page = await services.users.list(admin, id, { limit: 50, ...query })
      return page.items.map((user) => user.id).join('')
    }
    expect(await ids({})).toBe('abc')
    expect(await ids({ domain: 'ACME' })).toBe('b')
    expect(await ids({ loginName: 'jOhn' })).toBe('ab')
    expect(await ids({ loginName: 'john', domain: 'default' })).toBe('a')
    expect(await ids({ scheme: 'login', value: 'jj' })).toBe('a')
    expect(await ids({ scheme: 'login', value: 'jj', status: 'DISABLED' })).toBe('')
    expect(await ids({ scheme: 'keyless', value: 'no hex' })).toBe('')
    expect(await ids({ scheme: 'id', value: 'a' })).toBe('')
    expect(await ids({ keylessExternalId: 'E1' })).toBe('bc')
    expect(await ids({ keylessExternalId: 'E1\0' })).toBe('')
    expect(await ids({ status: 'ACTIVE' })).toBe('ab')
    expect(await ids({ domain: 'nowhere' })).toBe('')
    expect(await ids({ domain: 'a/b' })).toBe('')
    await expect(ids({ scheme: 'login' })).rejects.toEqual(
      refusal('invalid_request', ['query:value']),
    )
    await expect(ids({ value: 'x' })).rejects.toEqual(refusal('invalid_request', ['query:scheme']))
  })

  test('pages never repeat and never skip while users come and go', async () => {
    const { id, admin, create } = await newTenant()
    const stays: string[] = []
    const goes: string[] = []
    for (let index = 0; index < 12; index++) {
      stays.push((await create({ loginName: `stays-${index}` })).id)
      goes.push((await create({ loginName: `goes-${index}` })).id)
    }
    const seen: string[] = []
    let cursor: string | undefined
    for (let page = 0; ; page++) {
      const { items, nextCursor } = await services.users.list(admin, id, { limit: 4, cursor })
      seen.push(...items.map((user) => user.id))
      if (nextCursor === undefined) break
      cursor = nextCursor
      // One that was seen, and one that perhaps was not.
      for (const goner of [goes.shift(), goes.pop()]) {
        if (goner !== undefined) await services.users.delete(admin, id, goner)
      }
      await create({ loginName: `late-${page}` })
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((one) => stays.includes(one))).toEqual(stays)
  })

  test('a cursor opens neither another filter nor another tenant', async () => {
    const one = await newTenant()
    const other = await newTenant()
    await one.create({ loginName: 'a' })
    await one.create({ loginName: 'b' })
    const { nextCursor } = await services.users.list(one.admin, one.id, { limit: 1 })
    const again = { limit: 1, cursor: nextCursor }
    await expect(
      services.users.list(one.admin, one.id, { ...again, status: 'ACTIVE' }),
    ).rejects.toEqual(refusal('cursor_invalid'))
    await expect(services.users.list(other.admin, other.id, again)).rejects.toEqual(
      refusal('cursor_invalid'),
    )
  })

  test('the latest authentication is the latest of all tokens that the user still has', async () => {
    const { id, admin, create, get } = await newTenant()
    const user = await create({ loginName: 'john' })
    const other = await create({ loginName: 'jane' })
    await bench.addToken({ tenantId: id, userId: user.id, serial: '1' })
    await bench.addToken({ tenantId: id, userId: user.id, serial: '2', counter: 5 })
    const verify = async (code: string) =>
      (
        await bench.verification.verify(testCaller(id, ['verify']), id, {
          user: { id: user.id },
          code,
        })
      ).result
    core.clock.advance(1000)
    expect(await verify('755224')).toBe('ACCEPTED')
    core.clock.advance(1000)
    const latestAtMs = core.clock()
    expect(await verify('254676')).toBe('ACCEPTED')
    expect((await get(user.id)).lastAuthenticatedAtMs).toBe(latestAtMs)
    const { items } = await services.users.list(admin, id, { limit: 50 })
    expect(items.map((one) => one.lastAuthenticatedAtMs)).toEqual([latestAtMs, null])
    expect((await get(other.id)).lastAuthenticatedAtMs).toBeNull()
  })

  test('deleting a user frees tokens, login name and identifiers, but never a keyless value', async () => {
    const { id, admin, create } = await newTenant()
    const keyless = { scheme: 'keyless', value: 'ab'.repeat(32) }
    const external = { scheme: 'external', value: 'E1' }
    const draft = { id: 'john', loginName: 'john' }
    await create({ ...draft, identifiers: [keyless, external] })
    const tokenId = await bench.addToken({ tenantId: id, userId: 'john', serial: '77' })
    core.clock.advance(1000)
    await bench.verification.verify(testCaller(id, ['verify']), id, {
      user: { id: 'john' },
      code: '755224',
    })
    const ticket = {
      tenantId: id,
      ticketHash: `hash-${id}`,
      tokenId,
      userId: 'john',
      expiresAtMs: core.clock() + 1000,
    }
    await core.storage.transaction(({ tickets }) => tickets.replace(ticket, core.clock()))

    await services.users.delete(admin, id, 'john')
    await expect(services.users.get(admin, id, 'john')).rejects.toEqual(refusal('user_not_found'))
    await expect(services.users.delete(admin, id, 'john')).rejects.toEqual(
      refusal('user_not_found'),
    )
    const { read } = core.storage
    expect(await read.assignments.listOfToken(id, tokenId)).toEqual([])
    expect(await read.tickets.find(ticket.ticketHash)).toBeUndefined()
    expect(await read.otpTokens.find(id, tokenId)).toMatchObject({ serial: '77' })
    expect((await recordsOf(core, id)).slice(-2)).toEqual([
      {
        action: 'otp-token.unassigned',
        target: { type: 'otp-token', id: tokenId },
        userId: 'john',
        detail: { serial: '77', reason: 'USER_DELETED' },
      },
      {
        action: 'user.deleted',
        target: { type: 'user', id: 'john' },
        userId: 'john',
        detail: { domain: 'default', loginName: 'john' },
      },
    ])

    await expect(create({ ...draft, identifiers: [keyless, external] })).rejects.toEqual(
      refusal('already_exists', ['/identifiers/0']),
    )
    const again = await create({ ...draft, identifiers: [external] })
    expect(again).toMatchObject({ identifiers: [external], lastAuthenticatedAtMs: null })
  })

  test('a new user of an old id starts without failures', async () => {
    const { id, admin, create } = await newTenant()
    await create({ id: 'john', loginName: 'john' })
    await bench.addToken({ tenantId: id, userId: 'john', serial: '1' })
    await bench.verification.verify(testCaller(id, ['verify']), id, {
      user: { id: 'john' },
      code: '000000',
    })
    expect((await services.users.get(admin, id, 'john')).failureCount).toBe(1)
    await services.users.delete(admin, id, 'john')
    expect((await create({ id: 'john', loginName: 'john' })).failureCount).toBe(0)
  })

  test('another tenant does not see it, and a missing scope is forbidden', async () => {
    const one = await newTenant()
    const other = await newTenant()
    const draft = { id: 'john', loginName: 'john', identifiers: [{ scheme: 'x', value: '1' }] }
    await one.create(draft)
    await expect(other.get('john')).rejects.toEqual(refusal('user_not_found'))
    expect(await services.users.list(other.admin, other.id, { limit: 50 })).toEqual({ items: [] })
    await other.create(draft)
    await services.users.delete(other.admin, other.id, 'john')
    expect((await one.get('john')).identifiers).toHaveLength(1)

    const foreign = (work: Promise<unknown>) =>
      expect(work).rejects.toEqual(refusal('tenant_not_found'))
    await foreign(services.users.get(other.admin, one.id, 'john'))
    await foreign(services.users.delete(other.admin, one.id, 'john'))
    await foreign(services.users.list(other.admin, one.id, { limit: 1 }))
    const reader = testCaller(one.id, ['tenant:read'])
    const forbidden = (work: Promise<unknown>) => expect(work).rejects.toEqual(refusal('forbidden'))
    await forbidden(services.users.create(reader, one.id, draft))
    await forbidden(services.users.update(reader, one.id, 'john', { email: null }))
    await forbidden(services.users.delete(reader, one.id, 'john'))
    await forbidden(services.users.get(testCaller(one.id, ['verify']), one.id, 'john'))
    const vendor = testCaller(one.id, ['dualshield:management'], { surface: 'dualshield' })
    expect((await services.users.get(vendor, one.id, 'john')).id).toBe('john')
    // A right of one door is none at another.
    await forbidden(
      services.users.get(testCaller(one.id, ['dualshield:management']), one.id, 'john'),
    )
  })

  test('every change is recorded with it, without what it changed', async () => {
    const { id, admin, create } = await newTenant()
    const user: User = await create({ id: 'john', loginName: 'john', email: 'secret@acme.com' })
    await services.users.update(admin, id, user.id, { email: null, status: 'DISABLED' })
    const about = { target: { type: 'user', id: 'john' }, userId: 'john' }
    const named = { domain: 'default', loginName: 'john' }
    expect(await recordsOf(core, id)).toEqual([
      { action: 'user.created', ...about, detail: named },
      {
        action: 'user.updated',
        ...about,
        detail: { ...named, changed: ['email', 'status'], status: 'DISABLED' },
      },
    ])
  })
})
