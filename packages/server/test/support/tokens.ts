import { PinHasher } from '#custody/pin-hasher.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { Vault, type WrappedKey } from '#custody/vault.ts'
import { Caller } from '#domain/callers/caller.ts'
import type { VerificationPolicy } from '#domain/verification/policy.ts'
import { ResyncService } from '#domain/verification/resync-service.ts'
import { VerificationService } from '#domain/verification/verification-service.ts'
import { statement } from '#storage/statement.ts'
import { createTestStorage, type TestStorage, testMasterKey } from './storage.ts'

/** RFC 4226 appendix D and RFC 6238 appendix B. */
export const rfcSecret = Buffer.from('12345678901234567890')

/** RFC 4226 appendix D: the codes of counters 0 to 9. */
export const rfcCodes = [
  '755224',
  '287082',
  '359152',
  '969429',
  '338314',
  '254676',
  '287922',
  '162583',
  '399871',
  '520489',
] as const

/** The settings' defaults. */
export const defaultPolicy: VerificationPolicy = {
  totp: { acceptSteps: 1, resyncHintSteps: 10, resyncSearchSteps: 120 },
  hotp: { acceptCounters: 10, resyncHintCounters: 50, resyncSearchCounters: 1000 },
  lockout: { tokenMaxFailures: 10, tokenLockSeconds: 0, userMaxFailures: 0, userLockSeconds: 900 },
}

export function testCaller(tenantId: string | null, scopes: Caller['granted']): Caller {
  return new Caller({
    type: 'SERVICE_ACCOUNT',
    id: 'test-caller',
    address: '127.0.0.1',
    surface: 'native',
    requestId: '01M7YRRT808A9NYTDXX0X5X0P4',
    tenantId,
    scopes,
  })
}

const insertUser = statement((db, p: { tenantId: string; id: string; nowMs: number }) =>
  db.insertInto('app_user').values({
    tenant_id: p.tenantId,
    id: p.id,
    ulid: p.id,
    domain: 'default',
    login_name: p.id,
    folded_login: p.id,
    status: 'ACTIVE',
    created_at: p.nowMs,
    updated_at: p.nowMs,
  }),
)

const insertProduct = statement((db, p: { tenantId: string; id: string; nowMs: number }) =>
  db.insertInto('otp_product').values({
    tenant_id: p.tenantId,
    id: p.id,
    manufacturer_code: 'CS',
    product_code: p.id,
    name: p.id,
    type: 'HOTP',
    algorithm: 'SHA1',
    digits: 6,
    downloadable: 1,
    created_at: p.nowMs,
  }),
)

interface TokenRow {
  tenantId: string
  id: string
  productId: string
  serial: string
  type: string
  periodSeconds: number | null
  sealedSecret: Uint8Array
  nowMs: number
}

const insertToken = statement((db, p: TokenRow) =>
  db.insertInto('otp_token').values({
    tenant_id: p.tenantId,
    id: p.id,
    product_id: p.productId,
    serial: p.serial,
    identifier: p.serial,
    type: p.type,
    algorithm: 'SHA1',
    digits: 6,
    period_seconds: p.periodSeconds,
    status: 'ACTIVE',
    origin: 'PROVIDED',
    confined: 0,
    sealed_secret: p.sealedSecret,
    created_at: p.nowMs,
    updated_at: p.nowMs,
  }),
)

const insertFactor = statement(
  (db, p: { tenantId: string; id: string; counter: number; lastStep: number; drift: number }) =>
    db.insertInto('otp_factor').values({
      tenant_id: p.tenantId,
      token_id: p.id,
      next_counter: p.counter,
      last_step: p.lastStep,
      drift_steps: p.drift,
    }),
)

interface AssignmentRow {
  tenantId: string
  id: string
  userId: string
  pinHash: string | null
  usageLimit: number
  expiresAtMs: number | null
  priority: number
  nowMs: number
}

const insertAssignment = statement((db, p: AssignmentRow) =>
  db.insertInto('otp_assignment').values({
    tenant_id: p.tenantId,
    token_id: p.id,
    user_id: p.userId,
    id: p.id,
    is_owner: 1,
    status: 'ACTIVE',
    pin_hash: p.pinHash,
    failure_count: 0,
    usage_limit: p.usageLimit,
    use_count: 0,
    priority: p.priority,
    expires_at: p.expiresAtMs,
    created_at: p.nowMs,
    updated_at: p.nowMs,
  }),
)

export interface TokenOptions {
  tenantId?: string
  userId?: string
  serial?: string
  type?: 'HOTP' | 'TOTP'
  counter?: number
  driftSteps?: number
  lastStep?: number
  pin?: string
  usageLimit?: number
  expiresAtMs?: number
  priority?: number
}

/** A database with tokens in it and the service that verifies their codes. */
export interface VerificationBench extends AsyncDisposable {
  readonly test: TestStorage
  readonly verification: VerificationService
  readonly resync: ResyncService
  readonly pins: PinHasher
  readonly vault: Vault
  policy: VerificationPolicy
  /** An RFC token of `jsmith` in `acme`, serial `1001`, unless said otherwise. @returns its id. */
  addToken(options?: TokenOptions): Promise<string>
}

export async function createVerificationBench(
  options: { url?: string; test?: TestStorage } = {},
): Promise<VerificationBench> {
  const test =
    options.test ?? (await createTestStorage(options.url === undefined ? {} : { url: options.url }))
  const { storage, database, clock, nextId } = test
  const keys = new Map<string, WrappedKey>()
  const vault: Vault = new Vault(
    testMasterKey(),
    {
      listWrappedKeys: async (tenantId) => {
        const key = keys.get(tenantId) ?? vault.createWrappedKey(tenantId, 1)
        keys.set(tenantId, key)
        return [key]
      },
    },
    systemRandomness,
  )
  const pins = new PinHasher()
  const bench: VerificationBench = {
    test,
    pins,
    vault,
    policy: defaultPolicy,
    verification: new VerificationService({
      storage,
      vault,
      pins,
      clock,
      policies: { settingsFor: async () => bench.policy },
    }),
    resync: new ResyncService({
      storage,
      vault,
      clock,
      policies: { settingsFor: async () => bench.policy },
    }),
    async addToken(token = {}) {
      const { tenantId = 'acme', userId = 'jsmith', serial = '1001', type = 'HOTP' } = token
      const id = nextId()
      const place = { tenantId, table: 'otp_token', row: id, column: 'sealed_secret' }
      const sealedSecret = await vault.seal(place, rfcSecret)
      const pinHash = token.pin === undefined ? null : await pins.hash(token.pin)
      const nowMs = clock()
      const productId = nextId()
      await database.transaction(async (queries) => {
        const user = await storage.read.candidates.findUserState(tenantId, userId)
        if (user === undefined) await queries.run(insertUser, { tenantId, id: userId, nowMs })
        await queries.run(insertProduct, { tenantId, id: productId, nowMs })
        const periodSeconds = type === 'TOTP' ? 30 : null
        await queries.run(insertToken, {
          tenantId,
          id,
          productId,
          serial,
          type,
          periodSeconds,
          sealedSecret,
          nowMs,
        })
        await queries.run(insertFactor, {
          tenantId,
          id,
          counter: token.counter ?? 0,
          lastStep: token.lastStep ?? -1,
          drift: token.driftSteps ?? 0,
        })
        await queries.run(insertAssignment, {
          tenantId,
          id,
          userId,
          pinHash,
          usageLimit: token.usageLimit ?? 0,
          expiresAtMs: token.expiresAtMs ?? null,
          priority: token.priority ?? 0,
          nowMs,
        })
      })
      return id
    },
    async [Symbol.asyncDispose]() {
      if (options.test === undefined) await test[Symbol.asyncDispose]()
    },
  }
  return bench
}
