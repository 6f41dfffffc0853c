import { afterAll, beforeAll, expect, test } from 'vitest'
import { StatementWatch } from '#test/storage/query-plans.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { AccountTokenService } from './account-token-service.ts'
import { cabinetScopes } from './scopes.ts'

const thumbprint = 'ab'.repeat(32)
const origin = { address: '127.0.0.1', surface: 'native', requestId: null } as const
const admin = testCaller('acme', ['tenant:write'])
/** Reads a table from end to end, or sorts what it has read. */
const grows = /^SCAN (?!CONSTANT)|TEMP B-TREE/

let core: TestCore
let tokens: AccountTokenService
let secret: string
const watch = new StatementWatch()

beforeAll(async () => {
  core = await createReadyTestCore({
    observer: watch,
  })
  await core.tenants.create(platformAdmin, { id: 'acme', name: 'A bank' })
  const made = await core.serviceAccounts.create(admin, {
    id: 'gateway',
    scopes: ['verify', 'okms:read'],
    certificateThumbprints: [thumbprint],
  })
  secret = made.secret
  const { storage, serviceAccounts } = core
  tokens = new AccountTokenService({ storage, serviceAccounts, scopes: cabinetScopes })
})
afterAll(() => core[Symbol.asyncDispose]())

async function plansOf(work: () => Promise<unknown>): Promise<string[]> {
  const plans = await watch.plansOf(core.test.url, work)
  return plans.flatMap(({ accesses }) => accesses)
}

test.each<[string, () => Promise<unknown>]>([
  ['a secret', () => core.authenticator.authenticate({ bearer: secret }, origin)],
  [
    'an unknown secret',
    () => core.authenticator.authenticate({ bearer: 'csk_x' }, origin).catch(() => {}),
  ],
  ['Basic', () => core.authenticator.authenticate({ basic: { id: 'gateway', secret } }, origin)],
  [
    'a certificate',
    () => core.authenticator.authenticate({ certificateThumbprint: thumbprint }, origin),
  ],
  [
    'a token of a trusted issuer',
    () => core.storage.read.trustedIssuers.findByIssuer('acme', 'https://idp.example'),
  ],
  [
    'a token of another tenant’s issuer',
    () => core.storage.read.trustedIssuers.listByIssuer('https://idp.example', 4),
  ],
  [
    'keys of a trusted issuer',
    () => core.storage.read.issuerKeys.find({ tenantId: 'acme', issuerId: 'x', jwksUri: 'x' }),
  ],
])('authentication by %s follows an index', async (_name, work) => {
  const plans = await plansOf(work)
  expect(plans.length).toBeGreaterThan(0)
  expect(plans.filter((plan) => grows.test(plan))).toEqual([])
})

test.each<[string, () => Promise<unknown>]>([
  ['tenants', () => core.tenants.list(platformAdmin, { limit: 1 })],
  ['accounts of a tenant', () => core.serviceAccounts.list(admin, { limit: 1 })],
  ['accounts of all tenants', () => core.serviceAccounts.list(platformAdmin, { limit: 1 })],
  ['tokens of a tenant', () => tokens.list(admin, { page: 1, resultsPerPage: 1 })],
  ['tokens of all tenants', () => tokens.list(platformAdmin, { page: 1, resultsPerPage: 1 })],
  ['issuers', () => core.trustedIssuers.list(admin, 'acme', { limit: 1 })],
])('a page of %s comes in the order of an index', async (_name, work) => {
  const plans = await plansOf(work)
  const sorted = plans.filter((plan) => plan.includes('TEMP B-TREE'))
  const whole = plans.filter((plan) => plan.startsWith('SCAN') && !plan.includes('USING'))
  expect([...sorted, ...whole]).toEqual([])
})
