import { PinHasher } from '#custody/pin-hasher.ts'
import { systemRandomness } from '#custody/randomness.ts'
import type { Caller } from '#domain/callers/caller.ts'
import { AssignmentService } from '#domain/otp-tokens/assignment-service.ts'
import { EnrolmentService } from '#domain/otp-tokens/enrolment-service.ts'
import { ExportService } from '#domain/otp-tokens/export-service.ts'
import { ImportService } from '#domain/otp-tokens/import-service.ts'
import type { HeldToken } from '#domain/otp-tokens/otp-token.ts'
import { OtpTokenService } from '#domain/otp-tokens/otp-token-service.ts'
import { ProductService } from '#domain/otp-tokens/product-service.ts'
import { RepositoryService } from '#domain/otp-tokens/repository-service.ts'
import { UserService } from '#domain/users/user-service.ts'
import { statement } from '#storage/statement.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  type TestCoreOptions,
  testCaller,
} from './core.ts'
import { deviceEnding, recordsOf } from './users.ts'

interface Use {
  readonly tokenId: string
  readonly userId: string
  readonly atMs: number
  /** TOTP: the accepted step. */
  readonly step: number
}

const markUsed = statement((db, p: Use) =>
  db
    .updateTable('otp_factor')
    .set({ last_step: p.step, last_used_at: p.atMs, last_used_by: p.userId })
    .where('tenant_id', '=', tenantId)
    .where('token_id', '=', p.tokenId),
)

const lockForFailures = statement(
  (db, p: { tokenId: string; userId: string; untilMs: number | null }) =>
    db
      .updateTable('otp_assignment')
      .set({
        status: 'LOCKED',
        failure_count: 10,
        locked_until: p.untilMs,
        lock_reason: 'FAILURES',
      })
      .where('tenant_id', '=', tenantId)
      .where('token_id', '=', p.tokenId)
      .where('user_id', '=', p.userId),
)

export interface WaitingRecord {
  readonly action: string
  readonly userId: string | null
  readonly target: { readonly type: string; readonly id: string } | null
  readonly detail: Readonly<Record<string, unknown>> & { readonly serial?: string }
}

/** The tenants `acme` and `other`, the users `jsmith` and `mjones` in `acme`, and the services of their tokens. */
export interface TokenBench extends AsyncDisposable {
  readonly core: TestCore
  readonly admin: Caller
  readonly reader: Caller
  readonly stranger: Caller
  readonly pins: PinHasher
  readonly users: UserService
  readonly products: ProductService
  readonly repositories: RepositoryService
  readonly enrolments: EnrolmentService
  readonly tokens: OtpTokenService
  readonly assignments: AssignmentService
  readonly imports: ImportService
  readonly exports: ExportService
  /** A token of `acme`, HOTP with the RFC 4226 secret unless said otherwise. */
  addToken(draft?: Parameters<EnrolmentService['enrol']>[2]): Promise<HeldToken>
  /** As if a code had been accepted. */
  markUsed(use: Use): Promise<void>
  /** As if ten codes had been wrong. */
  lockForFailures(lock: { tokenId: string; userId: string; untilMs: number | null }): Promise<void>
  /** Records of `acme` that wait to be sealed, oldest first. */
  journal(action?: string): Promise<WaitingRecord[]>
}

export const tenantId = 'acme'

/** RFC 4226 appendix D. */
export const rfcSecretHex = '3132333435363738393031323334353637383930'

export async function createTokenBench(options: TestCoreOptions = {}): Promise<TokenBench> {
  const core = await createReadyTestCore(options)
  const { storage, clock, nextId, vault } = core
  for (const id of [tenantId, 'other']) {
    await core.tenants.create(platformAdmin, { id, name: id === tenantId ? 'Acme Bank' : id })
  }
  const pins = new PinHasher()
  const admin = testCaller(tenantId, ['tenant:write'])
  const devices = deviceEnding(core)
  const users = new UserService({ storage, pins, clock, nextId, devices })
  for (const id of ['jsmith', 'mjones']) {
    await users.create(admin, tenantId, { id, loginName: `${id}@example.com` })
  }
  const enrolments = new EnrolmentService({
    storage,
    vault,
    pins,
    clock,
    nextId,
    randomness: systemRandomness,
  })
  const otherUser = { id: 'jsmith', loginName: 'stranger' }
  const stranger = testCaller('other', ['tenant:write', 'dualshield:management'])
  await users.create(stranger, 'other', otherUser)
  return {
    core,
    admin,
    reader: testCaller(tenantId, ['tenant:read']),
    stranger,
    pins,
    users,
    products: new ProductService({ storage, clock, nextId }),
    repositories: new RepositoryService({ storage, clock, nextId }),
    enrolments,
    tokens: new OtpTokenService({ storage, clock }),
    assignments: new AssignmentService({ storage, pins, clock, nextId }),
    imports: new ImportService({ storage, vault, clock, nextId }),
    exports: new ExportService({ storage, vault, randomness: systemRandomness }),
    async addToken(draft = {}) {
      const secret = { encoding: 'HEX', value: rfcSecretHex } as const
      const { token } = await enrolments.enrol(admin, tenantId, { type: 'HOTP', secret, ...draft })
      return token
    },
    async markUsed(use) {
      await core.test.database.transaction((queries) => queries.run(markUsed, use))
    },
    async lockForFailures(lock) {
      await core.test.database.transaction((queries) => queries.run(lockForFailures, lock))
    },
    async journal(action) {
      const records = (await recordsOf(core, tenantId)) as WaitingRecord[]
      return action === undefined ? records : records.filter((record) => record.action === action)
    },
    [Symbol.asyncDispose]: () => core[Symbol.asyncDispose](),
  }
}
