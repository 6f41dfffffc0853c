import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import { createInstallation, type Installation } from './keyless.fixture.ts'

describe.each(engines)('external users on %s', (engine) => {
  let installation: Installation
  beforeAll(async () => {
    installation = await createInstallation({ engine })
  })
  afterAll(() => installation[Symbol.asyncDispose]())

  const call: Installation['call'] = (...given) => installation.call(...given)
  const create = (userId: string, externalUserId: unknown) =>
    call(`POST /v2/users/${userId}/external-user`, { body: { externalUserId } })
  const change = (userId: string, externalUserId: unknown) =>
    call(`PATCH /v2/users/${userId}/external-user`, { body: { externalUserId } })
  const holders = async (externalUserId: string) => {
    const { body } = await call(
      `GET /v2/external-users/${encodeURIComponent(externalUserId)}/users`,
    )
    return Array.isArray(body) ? body.map(({ userId }: { userId: string }) => userId) : body.code
  }

  describe('createExternalUser', () => {
    test('201 with its dates; 409 for a second one, the same too', async () => {
      const userId = await installation.addUser()
      const made = await create(userId, `first-${engine}`)
      const { createdAt } = made.body
      expect(made).toMatchObject({
        status: 201,
        body: { sdkCustomerId: 1, userId, externalUserId: `first-${engine}`, updatedAt: createdAt },
      })
      expect(await create(userId, `first-${engine}`)).toMatchObject({ status: 409 })
      expect(await create(userId, `second-${engine}`)).toMatchObject({
        status: 409,
        body: { code: 10409 },
      })
    })

    test('R4: of ten at once one is 201', async () => {
      const userId = await installation.addUser()
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, index) => create(userId, `race-${index}`)),
      )
      expect(replies.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([
        201,
        ...Array(9).fill(409),
      ])
    })

    test('404 for unknown and foreign users, 400 for what is no id', async () => {
      const foreign = await installation.addUser({ tenantId: 'other' })
      expect(await create(foreign, 'x')).toMatchObject({ status: 404 })
      const userId = await installation.addUser()
      for (const id of ['', 'x'.repeat(256), 7, null, undefined]) {
        expect(await create(userId, id)).toMatchObject({ status: 400 })
      }
    })
  })

  describe('updateExternalUser', () => {
    test('200: updatedAt moves with the value only; 404 for a user without', async () => {
      const userId = await installation.addUser()
      expect(await change(userId, 'x')).toMatchObject({ status: 404 })
      const { createdAt } = (await create(userId, `old-${engine}`)).body
      installation.clock.advance(60_000)
      const same = await change(userId, `old-${engine}`)
      expect(same.body).toMatchObject({ createdAt, updatedAt: createdAt })
      const changed = await change(userId, `new-${engine}`)
      expect(changed).toMatchObject({
        status: 200,
        body: { externalUserId: `new-${engine}`, createdAt },
      })
      expect(changed.body.updatedAt > createdAt).toBe(true)
      expect(await holders(`old-${engine}`)).toBe(10404)
      expect(await holders(`new-${engine}`)).toEqual([userId])
    })
  })

  describe('listExternalUserUsers', () => {
    test('200 with all who share it, in the order in which they got it', async () => {
      const users = [
        await installation.addUser(),
        await installation.addUser(),
        await installation.addUser(),
      ]
      const shared = `shared ${engine}/é`
      await create(users[2] ?? '', shared)
      installation.clock.advance(1000)
      await create(users[0] ?? '', 'elsewhere')
      await create(users[1] ?? '', shared)
      installation.clock.advance(1000)
      await change(users[0] ?? '', shared)
      expect(await holders(shared)).toEqual([users[2], users[1], users[0]])
      expect(await holders(shared.toUpperCase())).toBe(10404)
      const path = `GET /v2/external-users/${encodeURIComponent(shared)}/users` as const
      expect(await call(path, { key: installation.keys.other })).toMatchObject({ status: 404 })
    })

    test('200 with the user who has it as an identifier, and one whose native label it is', async () => {
      const named = await installation.addUser({ external: `pair-${engine}` })
      expect(await holders(`pair-${engine}`)).toEqual([named])
      expect(await create(named, 'x')).toMatchObject({ status: 409 })
      const labelled = await installation.addUser({ id: `labelled-${engine}` })
      installation.clock.advance(1000)
      const native = testCaller('acme', ['tenant:write'])
      const label = { keylessExternalId: `pair-${engine}` }
      await installation.core.users.update(native, 'acme', `labelled-${engine}`, label)
      expect(await holders(`pair-${engine}`)).toEqual([named, labelled])
      // From now on the user goes by the label.
      expect(await change(named, `label-${engine}`)).toMatchObject({ status: 200 })
      expect(await holders(`pair-${engine}`)).toEqual([labelled])
    })

    test('200 with the users whom codes have enrolled: adopted once, then new ones', async () => {
      const externalUserId = `adopted-${engine}`
      const admin = testCaller('acme', ['tenant:write'])
      await installation.core.users.create(admin, 'acme', {
        id: `imported-${engine}`,
        loginName: `imported-${engine}`,
        identifiers: [{ scheme: 'external', value: externalUserId }],
      })
      expect(await holders(externalUserId)).toBe(10404)
      installation.clock.advance(1000)
      const first = await installation.enrol({ externalUserId, isLoggedIn: false })
      expect(first.nativeId).toBe(`imported-${engine}`)
      expect(first.userId).toMatch(/^[0-9A-F]{64}$/)
      const second = await installation.enrol({ externalUserId, isLoggedIn: false })
      expect(second.nativeId).not.toBe(first.nativeId)
      expect(await holders(externalUserId)).toEqual([first.userId, second.userId])
    })

    test('400 or 404 for hostile names, never 500', async () => {
      for (const name of ['%00', '%ED%A0%80', '%', '..%2F..', "'%20or%201=1--", 'x'.repeat(256)]) {
        const { status } = await call(`GET /v2/external-users/${name}/users`)
        expect([400, 404]).toContain(status)
      }
    })
  })

  describe('deleteExternalUser', () => {
    test('200 for every user that carries it, label or identifier; the users stay', async () => {
      const externalUserId = `leaves-${engine}`
      const named = await installation.addUser({ external: externalUserId })
      const both = await installation.addUser()
      await create(both, externalUserId)
      const path = `DELETE /v2/external-users/${externalUserId}` as const
      expect(await call(path, { key: installation.keys.other })).toMatchObject({ status: 404 })
      expect(await holders(externalUserId)).toHaveLength(2)
      expect(await call(path)).toMatchObject({ status: 200, body: { success: true } })
      expect(await holders(externalUserId)).toBe(10404)
      expect(await call(path)).toMatchObject({ status: 404 })
      for (const userId of [named, both]) {
        expect(await call(`GET /v2/users/${userId}/devices`)).toMatchObject({ status: 200 })
        expect(await create(userId, `again-${userId}`)).toMatchObject({ status: 201 })
      }
    })

    test('200 for more users than one step takes', async () => {
      const externalUserId = `crowd-${engine}`
      const admin = testCaller('acme', ['tenant:write'])
      const { users } = installation.core
      const crowd = Array.from({ length: 101 }, (_, index) => `crowd-${engine}-${index}`)
      await Promise.all(
        crowd.map((loginName) =>
          users.create(admin, 'acme', { loginName, keylessExternalId: externalUserId }),
        ),
      )
      expect(await call(`DELETE /v2/external-users/${externalUserId}`)).toMatchObject({
        status: 200,
      })
      expect(await call(`DELETE /v2/external-users/${externalUserId}`)).toMatchObject({
        status: 404,
      })
    })
  })
})
