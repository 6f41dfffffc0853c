import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  waitingRecords,
} from '#test/support/core.ts'
import type { PresentedCredentials } from './authenticator.ts'
import type { Scope } from './scopes.ts'
import type { NewServiceAccount } from './service-account-service.ts'

const origin = { address: '192.0.2.7', surface: 'native', requestId: null } as const
const refused = refusal('unauthenticated')
const thumbprint = 'ab'.repeat(32)
const adminToken = 'an admin token with %+ and 24 characters'.replaceAll(' ', '-')

describe.each(engines)('authentication on %s', (engine) => {
  let core: TestCore
  let statements: string[] = []
  beforeAll(async () => {
    core = await createReadyTestCore({
      engine,
      observer: { observeDatabase: () => {}, statementRun: (sql) => statements.push(sql) },
    })
    for (const id of ['acme', 'other', 'closed']) {
      await core.tenants.create(platformAdmin, { id, name: id })
    }
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const authenticate = (presented: PresentedCredentials, address: string = origin.address) =>
    core.authenticator.authenticate(presented, { ...origin, address })

  async function account(id: string, changes: Partial<NewServiceAccount> = {}): Promise<string> {
    const { secret } = await core.serviceAccounts.create(platformAdmin, {
      id,
      tenantId: 'acme',
      scopes: ['verify', 'tenant:write'],
      ...changes,
    })
    return secret
  }

  async function token(secret: string, scopes?: readonly string[]): Promise<string> {
    const principal = await core.authenticator.identify({ bearer: secret }, origin)
    return (await core.oauth.issue(principal, scopes)).accessToken
  }

  test('four presentations stand for the same account', async () => {
    const secret = await account('four', { certificateThumbprints: [thumbprint] })
    const expected = { id: 'four', tenantId: 'acme', granted: ['verify', 'tenant:write'] }
    for (const presented of [
      { bearer: secret },
      { apiKey: secret },
      { basic: { id: 'four', secret } },
      { certificateThumbprint: thumbprint },
    ]) {
      const caller = await authenticate(presented)
      expect(caller).toMatchObject({ ...expected, type: 'SERVICE_ACCOUNT', address: '192.0.2.7' })
      expect(caller.settingsVersion).toBe(1)
    }
    const caller = await authenticate({ bearer: await token(secret) })
    expect(caller).toMatchObject({ id: 'four', tenantId: 'acme' })
    expect(caller.has('tenant:read')).toBe(true)
  })

  test('a secret costs one indexed read', async () => {
    const secret = await account('counted')
    statements = []
    await authenticate({ bearer: secret })
    expect(statements).toHaveLength(1)
    expect(statements[0]).toContain('"account"."secret_hash" = ')
  })

  test('requests of one moment share the read; a change is seen at once', async () => {
    const secret = await account('moment')
    const showAll = () =>
      Promise.allSettled(Array.from({ length: 20 }, () => authenticate({ apiKey: secret })))
    await authenticate({ apiKey: secret })
    statements = []
    for (const { status } of await showAll()) expect(status).toBe('fulfilled')
    expect(statements.length).toBeLessThanOrEqual(engine === 'sqlite' ? 1 : 20)
    const [, ...after] = await Promise.all([
      core.serviceAccounts.update(platformAdmin, 'moment', { enabled: false }),
      showAll(),
    ])
    expect(after).toHaveLength(1)
    for (const { status } of await showAll()) expect(status).toBe('rejected')
  })

  test('an account of the platform has no tenant', async () => {
    const secret = await account('of-platform', { tenantId: null })
    expect(await authenticate({ apiKey: secret })).toMatchObject({
      isPlatform: true,
      settingsVersion: undefined,
    })
  })

  test('several presentations must be of one account', async () => {
    const one = await account('one')
    const two = await account('two')
    expect(await authenticate({ bearer: one, apiKey: one })).toMatchObject({ id: 'one' })
    expect(
      await authenticate({ bearer: await token(one), basic: { id: 'one', secret: one } }),
    ).toMatchObject({ id: 'one' })
    for (const presented of [
      { bearer: one, apiKey: two },
      { bearer: await token(one), apiKey: two },
      { bearer: one, apiKey: 'csk_unknown' },
      { bearer: 'csk_unknown', apiKey: one },
      { bearer: one, basic: { id: 'two', secret: two } },
      { bearer: one, basic: { id: 'one', secret: two } },
      { bearer: one, certificateThumbprint: thumbprint },
    ]) {
      await expect(authenticate(presented)).rejects.toThrow(refused)
    }
  })

  test('of a token and a secret the narrower scopes count', async () => {
    const secret = await account('narrow')
    const caller = await authenticate({ bearer: await token(secret, ['verify']), apiKey: secret })
    expect(caller.has('verify')).toBe(true)
    expect(caller.has('tenant:read')).toBe(false)
  })

  test('nothing, nonsense and hostile texts are refused alike', async () => {
    const secret = await account('hostile')
    await expect(authenticate({})).rejects.toThrow(refused)
    const messages = new Set<string>()
    for (const text of [
      '',
      ' ',
      'csk_',
      secret.slice(0, -1),
      `${secret}A`,
      secret.toLowerCase(),
      ` ${secret}`,
      'x'.repeat(10_240),
      `eyJ${'.'.repeat(10_000)}`,
      `eyJ.${'A'.repeat(9_000)}.A`,
      '\0',
      "' or 1=1 --",
      'none:',
      'ünïcödé',
    ]) {
      for (const presented of [
        { bearer: text },
        { apiKey: text },
        { basic: { id: 'hostile', secret: text } },
        { basic: { id: text, secret } },
        { certificateThumbprint: text },
      ]) {
        const error = await authenticate(presented).catch((reason: Error) => reason)
        expect(error).toEqual(refused)
        messages.add((error as Error).message)
      }
    }
    expect(messages.size).toBe(1)
  })

  test("another account's secret does not open an id", async () => {
    const mine = await account('mine')
    await account('yours')
    await expect(authenticate({ basic: { id: 'yours', secret: mine } })).rejects.toThrow(refused)
    await expect(authenticate({ basic: { id: 'MINE', secret: mine } })).rejects.toThrow(refused)
  })

  describe('the state of the account is looked at on every request, for tokens too', () => {
    async function expectRefusedAfter(
      id: string,
      change: () => Promise<unknown>,
      address?: string,
    ): Promise<void> {
      const secret = await account(id)
      const bearer = await token(secret)
      await authenticate({ bearer }, address)
      await change()
      for (const presented of [{ bearer: secret }, { bearer }, { basic: { id, secret } }]) {
        await expect(authenticate(presented, address)).rejects.toThrow(refused)
      }
    }

    test('disabled', () =>
      expectRefusedAfter('disabled', () =>
        core.serviceAccounts.update(platformAdmin, 'disabled', { enabled: false }),
      ))

    test('expired', () =>
      expectRefusedAfter('expired', () =>
        core.serviceAccounts.update(platformAdmin, 'expired', { expiresAtMs: core.clock() }),
      ))

    test('deleted', () =>
      expectRefusedAfter('removed', () => core.serviceAccounts.delete(platformAdmin, 'removed')))

    test('called from an address that is not allowed', () =>
      expectRefusedAfter(
        'far-away',
        () =>
          core.serviceAccounts.update(platformAdmin, 'far-away', {
            allowedAddresses: ['192.0.2.0/25', '2001:db8::/32'],
          }),
        '192.0.2.200',
      ))

    test('its tenant is disabled', async () => {
      const secret = await account('closed-account', { tenantId: 'closed' })
      const bearer = await token(secret)
      await core.tenants.update(platformAdmin, 'closed', { status: 'DISABLED' })
      await expect(authenticate({ bearer: secret })).rejects.toThrow(refused)
      await expect(authenticate({ bearer })).rejects.toThrow(refused)
      await core.tenants.update(platformAdmin, 'closed', { status: 'ACTIVE' })
      await authenticate({ bearer })
      await core.tenants.update(platformAdmin, 'closed', { status: 'DISABLED' })
      await core.tenants.delete(platformAdmin, 'closed')
      await expect(authenticate({ bearer: secret })).rejects.toThrow(refused)
    })

    test('an allowed address works in every spelling of it', async () => {
      const secret = await account('near', { allowedAddresses: ['192.0.2.0/24', '2001:db8::1'] })
      for (const address of ['192.0.2.255', '::ffff:192.0.2.1', '2001:db8:0::1']) {
        await authenticate({ bearer: secret }, address)
      }
      await expect(authenticate({ bearer: secret }, '2001:db8::2')).rejects.toThrow(refused)
      await expect(
        core.authenticator.authenticate({ bearer: secret }, { ...origin, address: null }),
      ).rejects.toThrow(refused)
    })

    test('scopes of a token shrink with those of the account, and never grow', async () => {
      const secret = await account('shrinking')
      const bearer = await token(secret)
      await core.serviceAccounts.update(platformAdmin, 'shrinking', {
        scopes: ['tenant:read', 'audit:read'],
      })
      const caller = await authenticate({ bearer })
      expect([caller.has('tenant:read'), caller.has('tenant:write'), caller.has('verify')]).toEqual(
        [true, false, false],
      )
      expect(caller.has('audit:read')).toBe(false)
    })
  })

  describe('after a rotation', () => {
    test('without grace the old secret and its tokens end at once, the new ones work', async () => {
      const old = await account('sudden')
      const oldToken = await token(old)
      const { secret } = await core.serviceAccounts.rotateSecret(platformAdmin, 'sudden', {})
      await expect(authenticate({ bearer: old })).rejects.toThrow(refused)
      await expect(authenticate({ bearer: oldToken })).rejects.toThrow(refused)
      await authenticate({ bearer: secret })
      await authenticate({ bearer: await token(secret) })
    })

    test('with grace both work until it is over, with their tokens', async () => {
      const old = await account('gentle')
      const oldToken = await token(old)
      const { secret } = await core.serviceAccounts.rotateSecret(platformAdmin, 'gentle', {
        graceSeconds: 60,
      })
      core.clock.advance(59_999)
      for (const bearer of [old, oldToken, secret]) await authenticate({ bearer })
      await authenticate({ basic: { id: 'gentle', secret: old } })
      core.clock.advance(1)
      await expect(authenticate({ bearer: old })).rejects.toThrow(refused)
      await expect(authenticate({ bearer: oldToken })).rejects.toThrow(refused)
      await expect(authenticate({ basic: { id: 'gentle', secret: old } })).rejects.toThrow(refused)
      await authenticate({ bearer: secret })
    })

    test('a second one ends the grace of the first', async () => {
      const first = await account('twice')
      await core.serviceAccounts.rotateSecret(platformAdmin, 'twice', { graceSeconds: 3600 })
      await core.serviceAccounts.rotateSecret(platformAdmin, 'twice', { graceSeconds: 3600 })
      await expect(authenticate({ bearer: first })).rejects.toThrow(refused)
    })
  })

  describe('refused credentials', () => {
    const refusals = async (id: string) =>
      (await waitingRecords(core, 'acme')).filter(
        ({ action, target }) => action === 'caller.refused' && target?.id === id,
      )

    test('of a known account are in the journal, once a minute with a count', async () => {
      await account('guessed')
      const guess = () =>
        expect(authenticate({ basic: { id: 'guessed', secret: 'wrong' } })).rejects.toThrow(refused)
      await Promise.all(Array.from({ length: 50 }, guess))
      expect(await refusals('guessed')).toEqual([
        expect.objectContaining({
          outcome: 'FAILURE',
          actor: { address: '192.0.2.7', id: null, type: 'ANONYMOUS' },
          detail: { reason: 'wrong_secret', count: 1 },
        }),
      ])
      core.clock.advance(60_000)
      await guess()
      expect((await refusals('guessed')).map(({ detail }) => detail.count)).toEqual([1, 50])
      await guess()
      await core.refusals.flush()
      expect(await refusals('guessed')).toHaveLength(2)
      await core.refusals.flush({ final: true })
      expect((await refusals('guessed')).map(({ detail }) => detail.count)).toEqual([1, 50, 1])
    })

    test('say why', async () => {
      const secret = await account('reasons', { enabled: false })
      await expect(authenticate({ bearer: secret })).rejects.toThrow(refused)
      expect((await refusals('reasons')).map(({ detail }) => detail.reason)).toEqual(['disabled'])
    })

    test('of nobody are not', async () => {
      const before = (await waitingRecords(core, '_platform')).length
      await expect(authenticate({ bearer: 'csk_nobody' })).rejects.toThrow(refused)
      expect(await waitingRecords(core, '_platform')).toHaveLength(before)
    })
  })

  test('the last use is stored behind the request, accurate to a minute', async () => {
    const secret = await account('used')
    const lastUse = async () => (await core.serviceAccounts.get(platformAdmin, 'used')).lastUsedAtMs
    await authenticate({ bearer: secret })
    expect(await lastUse()).toBeNull()
    await core.usage.flush()
    const firstUseMs = core.clock()
    expect(await lastUse()).toBe(firstUseMs)

    core.clock.advance(59_999)
    await authenticate({ bearer: secret })
    await core.usage.flush()
    expect(await lastUse()).toBe(firstUseMs)
    core.clock.advance(1)
    await authenticate({ bearer: secret })
    await core.usage.flush()
    expect(await lastUse()).toBe(firstUseMs + 60_000)
  })
})

describe('failed credentials per address', () => {
  test('429 before any work from the limit on; good ones do not count', async () => {
    const statements: string[] = []
    await using core = await createReadyTestCore({
      authFailuresPerMinute: 3,
      observer: { observeDatabase: () => {}, statementRun: (sql) => statements.push(sql) },
    })
    const made = await core.serviceAccounts.ensureAdministrator()
    const good = () => core.authenticator.authenticate({ bearer: made?.secret }, origin)
    const bad = () => core.authenticator.authenticate({ bearer: 'csk_wrong' }, origin)
    for (let time = 0; time < 10; time++) await good()
    for (let time = 0; time < 3; time++) await expect(bad()).rejects.toThrow(refused)
    statements.length = 0
    await expect(bad()).rejects.toThrow(refusal('too_many_requests'))
    await expect(good()).rejects.toThrow(refusal('too_many_requests'))
    expect(statements).toEqual([])
    core.clock.advance(60_000)
    await good()
  })
})

describe('the admin token of the configuration', () => {
  const admin: readonly Scope[] = ['platform:admin']

  test('is the secret of the account bootstrap, which is listed like any other', async () => {
    await using core = await createReadyTestCore({ adminToken })
    expect(await core.serviceAccounts.ensureAdministrator()).toBeUndefined()
    for (const presented of [
      { bearer: adminToken },
      { apiKey: adminToken },
      { basic: { id: 'bootstrap', secret: adminToken } },
    ]) {
      const caller = await core.authenticator.authenticate(presented, origin)
      expect(caller).toMatchObject({ id: 'bootstrap', granted: admin, isPlatform: true })
    }
    const { items } = await core.serviceAccounts.list(platformAdmin, { limit: 10 })
    expect(items.map(({ id }) => id)).toEqual(['bootstrap'])
    await expect(core.serviceAccounts.rotateSecret(platformAdmin, 'bootstrap', {})).rejects.toThrow(
      refusal('state_conflict'),
    )
    await expect(core.serviceAccounts.delete(platformAdmin, 'bootstrap')).rejects.toThrow(
      refusal('state_conflict'),
    )
  })

  test('takes the place of the stored secret while it is set', async () => {
    await using core = await createReadyTestCore()
    const made = await core.serviceAccounts.ensureAdministrator()
    const { Authenticator } = await import('./authenticator.ts')
    const { FailureLimiter } = await import('./failure-limiter.ts')
    const withToken = new Authenticator({
      storage: core.storage,
      accessTokens: core.accessTokens,
      limiter: new FailureLimiter(0, core.clock),
      refusals: core.refusals,
      usage: core.usage,
      clock: core.clock,
      adminToken,
    })
    await withToken.authenticate({ bearer: adminToken }, origin)
    for (const presented of [
      { bearer: made?.secret },
      { basic: { id: 'bootstrap', secret: made?.secret ?? '' } },
    ]) {
      await expect(withToken.authenticate(presented, origin)).rejects.toThrow(refused)
      expect(await core.authenticator.authenticate(presented, origin)).toBeDefined()
    }
    await expect(core.authenticator.authenticate({ bearer: adminToken }, origin)).rejects.toThrow(
      refused,
    )
  })

  test('gone, the account gets a secret, because nobody knows one', async () => {
    await using core = await createReadyTestCore({ adminToken })
    await core.serviceAccounts.ensureAdministrator()
    const { ServiceAccountService } = await import('./service-account-service.ts')
    const { systemRandomness: randomness } = await import('#custody/randomness.ts')
    const { storage, clock, nextId } = core
    const dependencies = { storage, randomness, clock, nextId, hasAdminToken: false }
    const made = await new ServiceAccountService(dependencies).ensureAdministrator()
    expect(made?.account.id).toBe('bootstrap')
    expect(made?.secret).toMatch(/^csk_/)
  })

  test('is of no use for an account that was disabled or deleted', async () => {
    await using core = await createReadyTestCore({ adminToken })
    await core.serviceAccounts.ensureAdministrator()
    await core.serviceAccounts.create(platformAdmin, { tenantId: null, scopes: admin })
    await core.serviceAccounts.update(platformAdmin, 'bootstrap', { enabled: false })
    const call = () => core.authenticator.authenticate({ bearer: adminToken }, origin)
    await expect(call()).rejects.toThrow(refused)
    await core.serviceAccounts.delete(platformAdmin, 'bootstrap')
    await expect(call()).rejects.toThrow(refused)
    await core.serviceAccounts.ensureAdministrator()
    expect(await call()).toMatchObject({ id: 'bootstrap' })
  })
})
