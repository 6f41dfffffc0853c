import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  expectAll,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { AccountTokenService } from './account-token-service.ts'
import { cabinetScopes } from './scopes.ts'

const acme = testCaller('acme', ['tenant:write'])
const other = testCaller('other', ['tenant:write'])
const draft = {
  tenantId: 'acme',
  scopes: ['okms:read'],
  description: '',
  expiresAtMs: null,
} as const

describe.each(engines)('accounts as tokens on %s', (engine) => {
  let core: TestCore
  let tokens: AccountTokenService

  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    for (const id of ['acme', 'other']) await core.tenants.create(platformAdmin, { id, name: id })
    const { storage, serviceAccounts } = core
    tokens = new AccountTokenService({ storage, serviceAccounts, scopes: cabinetScopes })
  })
  afterAll(() => core[Symbol.asyncDispose]())

  const firstPage = { page: 1, resultsPerPage: 100 }

  test('are the accounts of a tenant that have one of the scopes, in order of creation', async () => {
    const { serviceAccounts } = core
    await serviceAccounts.create(acme, { id: 'verifier', scopes: ['verify'] })
    const native = await serviceAccounts.create(acme, { id: 'native', scopes: ['acls:write'] })
    const { token } = await tokens.issue(acme, draft)
    await tokens.issue(other, { ...draft, tenantId: 'other' })
    const { items, totalCount } = await tokens.list(acme, firstPage)
    expect(items.map(({ ulid }) => ulid)).toEqual([native.account.ulid, token.ulid])
    expect(totalCount).toBe(2)
    expect((await tokens.list(platformAdmin, firstPage)).totalCount).toBe(3)
    expect((await tokens.list(acme, { page: 3, resultsPerPage: 1 })).items).toEqual([])
  })

  test('revoking can be repeated, also at once; when it was done stays', async () => {
    const { token } = await tokens.issue(acme, draft)
    await Promise.all(Array.from({ length: 5 }, () => tokens.revoke(acme, token.ulid)))
    const revokedAtMs = core.clock()
    core.clock.advance(1000)
    await tokens.revoke(platformAdmin, token.ulid)
    const { items } = await tokens.list(acme, firstPage)
    expect(items.find(({ ulid }) => ulid === token.ulid)).toEqual({ ...token, revokedAtMs })
    expect((await core.serviceAccounts.get(acme, token.accountId)).enabled).toBe(false)
  })

  test('another tenant does not see them, nor does anybody without the right', async () => {
    const { token } = await tokens.issue(acme, draft)
    await expectAll(
      [tokens.revoke(other, token.ulid), tokens.revoke(acme, ''), tokens.revoke(acme, 'x')],
      refusal('account_not_found'),
    )
    await expectAll(
      [tokens.issue(other, draft), tokens.list(other, { ...firstPage, tenantId: 'acme' })],
      refusal('tenant_not_found'),
    )
    const reader = testCaller('acme', ['tenant:read', 'okms:write'])
    await expectAll(
      [
        tokens.issue(reader, draft),
        tokens.list(reader, firstPage),
        tokens.revoke(reader, token.ulid),
      ],
      refusal('forbidden'),
    )
  })

  test('accounts without any of the scopes, and those of the platform, are no tokens', async () => {
    const { account } = await core.serviceAccounts.create(acme, { scopes: ['verify'] })
    const platform = await core.serviceAccounts.create(platformAdmin, {
      tenantId: null,
      scopes: ['firmware:write'],
    })
    await expectAll(
      [
        tokens.revoke(platformAdmin, account.ulid),
        tokens.revoke(platformAdmin, platform.account.ulid),
      ],
      refusal('account_not_found'),
    )
  })
})
