import type { Approval } from '#domain/approvals/approval.ts'
import type { ApprovalDraft } from '#domain/approvals/approval-draft.ts'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Storage } from '#domain/storage.ts'
import type { OutboundAllow } from '#domain/tenants/outbound-rule.ts'
import type { Database } from '#storage/queries.ts'
import type { ComposedCore } from '../../src/compose-core.ts'
import { composeTestCore } from './composed.ts'
import { platformAdmin, type TestEngine, testCaller } from './core.ts'
import { type JournalText, writtenRecords } from './journal.ts'
import { Phone, type PhoneOptions } from './phone.ts'
import { createTestStorage, type TestClock, type TestStorageOptions } from './storage.ts'

/** The whole core over a database of its own, with a tenant, users, and phones that ask it directly. */
export interface ApprovalBench extends AsyncDisposable {
  readonly core: Core
  readonly composed: ComposedCore
  readonly storage: Storage
  readonly database: Database
  readonly clock: TestClock
  /** By which others look at the database. */
  readonly url: string
  /** May do everything in the tenant. */
  readonly admin: Caller
  /** An AST backend. */
  readonly ast: Caller
  createUser(): Promise<string>
  enrol(userId: string, options?: PhoneOptions): Promise<Phone>
  /** Asks; a text and the user are given by default. */
  ask(userId: string, draft?: Partial<ApprovalDraft>, caller?: Caller): Promise<Approval>
  /** All journal records of the tenant, oldest first. */
  records(): Promise<readonly JournalText[]>
}

export const tenantId = 'acme'

export async function createApprovalBench(
  engine: TestEngine = 'sqlite',
  options: Omit<TestStorageOptions, 'engine'> & {
    /** The database was made before, by another process. */
    readonly isMade?: boolean
    readonly outboundAllow?: OutboundAllow
  } = {},
): Promise<ApprovalBench> {
  const test = await createTestStorage({ engine, ...options })
  const { clock, database } = test
  const { outboundAllow } = options
  const composed = composeTestCore(database, {
    clock,
    ...(outboundAllow === undefined ? {} : { outboundAllow }),
  })
  await composed.platform.ensurePlatform()
  const { core, storage } = composed
  if (options.isMade !== true) {
    await core.tenants.create(platformAdmin, { id: tenantId, name: 'Acme' })
  }
  const admin = testCaller(tenantId, ['tenant:write', 'audit:read'])
  const host = { core, storage, clock }
  let userCount = 0
  return {
    core,
    composed,
    storage,
    database,
    clock,
    url: test.url,
    admin,
    ast: testCaller(tenantId, ['ast:write'], { surface: 'ast', id: 'acme-ast' }),
    async createUser() {
      const loginName = `user-${++userCount}`
      return (await core.users.create(admin, tenantId, { loginName })).id
    },
    enrol: (userId, phone) => Phone.enrol(host, admin, { tenantId, userId }, phone),
    ask: (userId, draft = {}, caller = admin) =>
      core.approvals.create(caller, tenantId, {
        user: { id: userId },
        text: 'Pay 500 EUR to Max Muster',
        ...draft,
      }),
    records: () => writtenRecords(database, tenantId),
    async [Symbol.asyncDispose]() {
      await core.pki.issuance.stop()
      await test[Symbol.asyncDispose]()
    },
  }
}
