import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  expectAll,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
  waitingRecords,
} from '#test/support/core.ts'
import { AppService } from './app-service.ts'
import { PolicyLookup } from './policy-lookup.ts'
import { PolicyService } from './policy-service.ts'

const tenantId = 'acme'
const admin = testCaller(tenantId, ['ast:write'])
const reader = testCaller(tenantId, ['ast:read'])
const stranger = testCaller('shop', ['ast:write'])
const appName = 'acme-bank'

describe.each(engines)('policies on %s', (engine) => {
  let core: TestCore
  let policies: PolicyService
  let apps: AppService
  let lookup: PolicyLookup

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    policies = new PolicyService(core)
    apps = new AppService(core)
    lookup = new PolicyLookup(core)
    for (const id of [tenantId, 'shop']) {
      await core.tenants.create(platformAdmin, { id, name: id })
      const owner = testCaller(id, ['ast:write'])
      for (const name of [appName, 'other']) {
        await apps.create(owner, id, name, { categories: ['tms'] })
      }
    }
  }, 60_000)
  afterAll(() => core[Symbol.asyncDispose]())

  const ruleFor = (platform: string, architecture: string, of = { tenantId, appName }) =>
    lookup.policyFor({ ...of, platform, architecture })

  test('the built-in policy is there, first in the list, and stays as it is', async () => {
    const builtIn = {
      name: 'registrationUser',
      rule: { type: 'registrationUser' },
      assignments: [],
    }
    expect(await policies.get(reader, tenantId, 'registrationUser')).toEqual(builtIn)
    expect((await policies.list(reader, tenantId))[0]).toEqual(builtIn)
    const quorum = { type: 'quorum' } as const
    await expect(policies.create(admin, tenantId, 'registrationUser', quorum)).rejects.toEqual(
      refusal('already_exists'),
    )
    await expectAll(
      [
        policies.update(admin, tenantId, 'registrationUser', quorum),
        policies.delete(admin, tenantId, 'registrationUser'),
      ],
      refusal('state_conflict'),
    )
  })

  test('parameters that are missing have their default, those of the other type do not count', async () => {
    await policies.create(admin, tenantId, 'by default', { type: 'quorum', userId: 'jsmith' })
    await policies.create(admin, tenantId, 'by user', {
      type: 'registrationUser',
      quorum: 3,
      userId: 'jsmith',
    })
    expect((await policies.get(reader, tenantId, 'by default')).rule).toEqual({
      type: 'quorum',
      quorum: 10,
    })
    expect((await policies.get(reader, tenantId, 'by user')).rule).toEqual({
      type: 'registrationUser',
      userId: 'jsmith',
    })
    await policies.update(admin, tenantId, 'by user', { type: 'quorum', quorum: 2 })
    expect((await policies.get(reader, tenantId, 'by user')).rule).toEqual({
      type: 'quorum',
      quorum: 2,
    })
    await policies.update(admin, tenantId, 'by user', { type: 'registrationUser' })
    expect((await policies.get(reader, tenantId, 'by user')).rule).toEqual({
      type: 'registrationUser',
    })
  })

  test.each([0, -1, 1001, 1.5, Number.NaN, 2 ** 53])(
    'a quorum of %d is refused',
    async (quorum) => {
      const draft = { type: 'quorum', quorum } as const
      await expect(policies.create(admin, tenantId, 'never', draft)).rejects.toEqual(
        refusal('invalid_request'),
      )
      await expect(policies.get(admin, tenantId, 'never')).rejects.toEqual(
        refusal('policy_not_found'),
      )
    },
  )

  test('the most specific assignment counts; without one the built-in policy does', async () => {
    const levels = [
      ['app', {}, 1],
      ['architecture', { architecture: 'arm64' }, 2],
      ['platform', { platform: 'Android' }, 3],
      ['both', { platform: 'Android', architecture: 'arm64' }, 4],
    ] as const
    const ids: string[] = []
    expect(await ruleFor('Android', 'arm64')).toEqual({ type: 'registrationUser' })
    for (const [name, target, quorum] of levels) {
      await policies.create(admin, tenantId, name, { type: 'quorum', quorum })
      ids.push((await policies.assign(admin, tenantId, name, { appName, ...target })).id)
      expect(await ruleFor('Android', 'arm64')).toEqual({ type: 'quorum', quorum })
    }
    expect(await ruleFor('Android', 'x86')).toMatchObject({ quorum: 3 })
    expect(await ruleFor('iOS', 'arm64')).toMatchObject({ quorum: 2 })
    expect(await ruleFor('iOS', 'x86')).toMatchObject({ quorum: 1 })
    for (const of of [
      { tenantId, appName: 'other' },
      { tenantId: 'shop', appName },
    ]) {
      expect(await ruleFor('Android', 'arm64', of)).toEqual({ type: 'registrationUser' })
    }

    await policies.update(admin, tenantId, 'both', { type: 'registrationUser', userId: 'jsmith' })
    expect(await ruleFor('Android', 'arm64')).toEqual({
      type: 'registrationUser',
      userId: 'jsmith',
    })
    for (const [index, expected] of [
      [3, 3],
      [2, 2],
      [1, 1],
    ] as const) {
      await policies.unassign(admin, tenantId, ids[index] ?? '')
      expect(await ruleFor('Android', 'arm64')).toMatchObject({ quorum: expected })
    }
    await policies.unassign(admin, tenantId, ids[0] ?? '')
    expect(await ruleFor('Android', 'arm64')).toEqual({ type: 'registrationUser' })
  })

  test('the built-in policy can be assigned, and takes a part of an app out of another one', async () => {
    await policies.create(admin, tenantId, 'crowd', { type: 'quorum', quorum: 5 })
    const all = await policies.assign(admin, tenantId, 'crowd', { appName })
    const part = await policies.assign(admin, tenantId, 'registrationUser', {
      appName,
      platform: 'iOS',
    })
    expect(await ruleFor('Android', 'arm64')).toMatchObject({ quorum: 5 })
    expect(await ruleFor('iOS', 'arm64')).toEqual({ type: 'registrationUser' })
    expect((await policies.list(reader, tenantId))[0]?.assignments).toEqual([
      { id: part.id, appName, platform: 'iOS' },
    ])
    await policies.unassign(admin, tenantId, part.id)
    await policies.unassign(admin, tenantId, all.id)
  })

  test('R4: one policy is assigned to one target, also when many are at once', async () => {
    const target = { appName: 'other', platform: 'Android', architecture: 'x86' }
    for (const name of ['one', 'two']) {
      await policies.create(admin, tenantId, name, { type: 'quorum' })
    }
    const outcomes = await Promise.allSettled(
      ['one', 'two', 'one', 'two', 'registrationUser'].map((name) =>
        policies.assign(admin, tenantId, name, target),
      ),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(refusal('already_exists'))
    }
  })

  test('a policy that is assigned is not deleted, whichever comes first', async () => {
    for (let round = 0; round < 8; round++) {
      const name = `contested ${round}`
      const target = { appName, architecture: `cpu-${round}` }
      await policies.create(admin, tenantId, name, { type: 'quorum' })
      const [assigned, deleted] = await Promise.allSettled([
        policies.assign(admin, tenantId, name, target),
        policies.delete(admin, tenantId, name),
      ])
      const isThere = await policies.get(admin, tenantId, name).then(
        ({ assignments }) => assignments.length,
        () => undefined,
      )
      if (deleted.status === 'fulfilled') {
        expect(assigned).toMatchObject({ status: 'rejected', reason: { code: 'policy_not_found' } })
        expect(isThere).toBeUndefined()
      } else {
        expect(deleted.reason).toEqual(refusal('in_use'))
        expect(assigned.status).toBe('fulfilled')
        expect(isThere).toBe(1)
      }
    }
    const { read } = core.storage
    const known = new Set((await policies.list(admin, tenantId)).map(({ name }) => name))
    for (const { policy } of await read.policies.listAssignments(tenantId)) {
      expect(known).toContain(policy)
    }
  })

  test('nothing is assigned to an app that is being deleted', async () => {
    await policies.create(admin, tenantId, 'for apps', { type: 'quorum' })
    for (let round = 0; round < 8; round++) {
      const name = `fleeting ${round}`
      await apps.create(admin, tenantId, name, { categories: ['tms'] })
      await Promise.allSettled([
        policies.assign(admin, tenantId, 'for apps', { appName: name }),
        apps.delete(admin, tenantId, name),
      ])
      await apps.delete(admin, tenantId, name).catch(() => undefined)
    }
    expect((await policies.get(admin, tenantId, 'for apps')).assignments).toEqual([])
  })

  test('what is not there is told by its kind', async () => {
    const target = { appName }
    await expectAll(
      [
        policies.get(reader, tenantId, 'nobody'),
        policies.update(admin, tenantId, 'nobody', { type: 'quorum' }),
        policies.delete(admin, tenantId, 'nobody'),
        policies.assign(admin, tenantId, 'nobody', target),
        policies.get(stranger, 'shop', 'crowd'),
        policies.assign(stranger, 'shop', 'crowd', target),
      ],
      refusal('policy_not_found'),
    )
    await expect(policies.assign(admin, tenantId, 'crowd', { appName: 'nobody' })).rejects.toEqual(
      refusal('app_not_found'),
    )
    for (const platform of ['android', '__proto__']) {
      await expect(
        policies.assign(admin, tenantId, 'crowd', { appName, platform }),
      ).rejects.toEqual(refusal('platform_not_found'))
    }
    const { id } = await policies.assign(admin, tenantId, 'crowd', { ...target, platform: 'Web' })
    await expectAll(
      [
        policies.unassign(stranger, 'shop', id),
        policies.unassign(admin, tenantId, '01F6MJ6J1AA8HWB7G6XRJB709E'),
      ],
      refusal('policy_assignment_not_found'),
    )
    await policies.unassign(admin, tenantId, id)
    await expect(policies.unassign(admin, tenantId, id)).rejects.toEqual(
      refusal('policy_assignment_not_found'),
    )
  })

  test('another tenant does not see it, and readers change nothing', async () => {
    await expectAll(
      [
        policies.list(stranger, tenantId),
        policies.get(stranger, tenantId, 'crowd'),
        policies.delete(stranger, tenantId, 'crowd'),
      ],
      refusal('tenant_not_found'),
    )
    await expectAll(
      [
        policies.create(reader, tenantId, 'x', { type: 'quorum' }),
        policies.update(reader, tenantId, 'crowd', { type: 'quorum' }),
        policies.delete(reader, tenantId, 'crowd'),
        policies.assign(reader, tenantId, 'crowd', { appName }),
        policies.unassign(reader, tenantId, '01F6MJ6J1AA8HWB7G6XRJB709E'),
      ],
      refusal('forbidden'),
    )
    const [builtIn, ...others] = await policies.list(stranger, 'shop')
    expect(builtIn?.assignments).toEqual([])
    expect(others).toEqual([])
  })

  test('every change is in the journal', async () => {
    await policies.create(admin, tenantId, 'told', { type: 'quorum', quorum: 7 })
    const { id } = await policies.assign(admin, tenantId, 'told', { appName, platform: 'Linux' })
    await policies.unassign(admin, tenantId, id)
    await policies.delete(admin, tenantId, 'told')
    const records = await waitingRecords(core, tenantId)
    const detail = { assignment: id, app: appName, platform: 'Linux', architecture: null }
    expect(records.filter(({ target }) => target?.id === 'told')).toMatchObject([
      { action: 'policy.created', detail: { type: 'quorum', quorum: 7 } },
      { action: 'policy.assigned', detail },
      { action: 'policy.unassigned', detail },
      { action: 'policy.deleted' },
    ])
  })
})
