import { expect } from 'vitest'
import { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { JwsVerifier, Signer } from '#custody/signer.ts'
import { Vault } from '#custody/vault.ts'
import { AccessTokens } from '#domain/callers/access-tokens.ts'
import { Authenticator } from '#domain/callers/authenticator.ts'
import { Caller, type CallerIdentity } from '#domain/callers/caller.ts'
import { FailureLimiter } from '#domain/callers/failure-limiter.ts'
import { OauthService } from '#domain/callers/oauth-service.ts'
import { RefusalJournal } from '#domain/callers/refusal-journal.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import { ServiceAccountService } from '#domain/callers/service-account-service.ts'
import { TrustedIssuerService } from '#domain/callers/trusted-issuer-service.ts'
import { UsageRecorder } from '#domain/callers/usage-recorder.ts'
import {
  type CertificateParts,
  composeCertificates,
} from '#domain/certificates/certificate-parts.ts'
import type { ErrorCode } from '#domain/errors.ts'
import { IdempotencyService } from '#domain/idempotency/idempotency-service.ts'
import { Sealer } from '#domain/journal/sealer.ts'
import type { Storage } from '#domain/storage.ts'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { PlatformBootstrap } from '#domain/tenants/platform-bootstrap.ts'
import { SettingsService } from '#domain/tenants/settings-service.ts'
import { TenantPurge } from '#domain/tenants/tenant-purge.ts'
import { TenantService } from '#domain/tenants/tenant-service.ts'
import type { IdSource } from '#domain/ulid.ts'
import { type JournalText, writtenRecords } from './journal.ts'
import {
  createTestStorage,
  type TestClock,
  type TestStorage,
  type TestStorageOptions,
} from './storage.ts'

/** Suites that rest on SQL run on both: `describe.each(engines)`. */
export const engines = ['sqlite', 'postgres'] as const
export type TestEngine = (typeof engines)[number]

export interface TestCoreOptions extends TestStorageOptions {
  readonly masterKey?: MasterKey
  readonly outboundAllow?: OutboundAllow
  readonly adminToken?: string
  /** 0, no limit, unless said otherwise. */
  readonly authFailuresPerMinute?: number
}

/** The core over a real database, wired as the server wires it, with a clock that stands still. */
export interface TestCore extends AsyncDisposable {
  readonly test: TestStorage
  readonly storage: Storage
  readonly clock: TestClock
  readonly nextId: IdSource
  readonly vault: Vault
  readonly signer: Signer
  readonly sealer: Sealer
  readonly platform: PlatformBootstrap
  readonly tenants: TenantService
  readonly tenantPurge: TenantPurge
  readonly settings: SettingsService
  readonly accessTokens: AccessTokens
  readonly authenticator: Authenticator
  readonly refusals: RefusalJournal
  readonly usage: UsageRecorder
  readonly serviceAccounts: ServiceAccountService
  readonly trustedIssuers: TrustedIssuerService
  readonly oauth: OauthService
  readonly idempotency: IdempotencyService
  readonly pki: CertificateParts
}

export const testPublicUrl = 'https://countersign.test'

export const testMasterKeyBytes: Uint8Array = Buffer.alloc(32, 7)

export async function createTestCore(options: TestCoreOptions = {}): Promise<TestCore> {
  const test = await createTestStorage(options)
  const { storage, clock, nextId } = test
  const randomness = systemRandomness
  const masterKey = options.masterKey ?? new MasterKey(testMasterKeyBytes)
  const vault = new Vault(masterKey, storage.read.tenantKeys, randomness)
  const signer = new Signer(vault)
  const outbound = new OutboundRule(options.outboundAllow ?? { hosts: [], ranges: [] })
  const sealer = new Sealer({
    storage,
    clock,
    holder: nextId(),
    afterSealing: async () => {},
    observer: {
      sealingFailed: (error) => {
        throw error
      },
    },
  })
  const platform = new PlatformBootstrap({ storage, vault, signer, randomness, clock })
  const pki = composeCertificates({
    storage,
    vault,
    randomness,
    clock,
    nextId,
    publicUrl: () => testPublicUrl,
    lateCommitMs: 0,
    observer: {
      issuanceFailed: (error) => {
        throw error
      },
    },
  })
  const tenantPurge = new TenantPurge({ storage, clock })
  const tenants = new TenantService({
    storage,
    vault,
    signer,
    sealer,
    roots: pki.roots,
    purge: tenantPurge,
    randomness,
    clock,
    nextId,
  })
  const settings = new SettingsService({ storage, vault, outbound, clock })
  const accessTokens = new AccessTokens({
    storage,
    signer,
    verifier: new JwsVerifier(),
    publicUrl: () => testPublicUrl,
    clock,
    nextId,
  })
  const refusals = new RefusalJournal({ storage, clock })
  const usage = new UsageRecorder({ storage })
  const authenticator = new Authenticator({
    storage,
    accessTokens,
    limiter: new FailureLimiter(options.authFailuresPerMinute ?? 0, clock),
    refusals,
    usage,
    clock,
    adminToken: options.adminToken,
  })
  const serviceAccounts = new ServiceAccountService({
    storage,
    randomness,
    clock,
    nextId,
    hasAdminToken: options.adminToken !== undefined,
  })
  const trustedIssuers = new TrustedIssuerService({ storage, outbound, clock, nextId })
  const oauth = new OauthService({ accessTokens, authenticator })
  const idempotency = new IdempotencyService({
    storage,
    vault,
    clock,
    observer: {
      settlingFailed: (error) => {
        throw error
      },
    },
  })
  return {
    pki,
    idempotency,
    accessTokens,
    authenticator,
    refusals,
    usage,
    serviceAccounts,
    trustedIssuers,
    oauth,
    test,
    storage,
    clock,
    nextId,
    vault,
    signer,
    sealer,
    platform,
    tenants,
    tenantPurge,
    settings,
    async [Symbol.asyncDispose]() {
      await pki.issuance.stop()
      await test[Symbol.asyncDispose]()
    },
  }
}

/** As `createTestCore`, with a platform in which tenants can be made. */
export async function createReadyTestCore(options: TestCoreOptions = {}): Promise<TestCore> {
  const core = await createTestCore(options)
  await core.platform.ensurePlatform()
  return core
}

/** A caller that authentication would have made; of the platform when the tenant is null. */
export function testCaller(
  tenantId: string | null,
  scopes: readonly Scope[],
  changes: Partial<CallerIdentity> = {},
): Caller {
  return new Caller({
    type: 'SERVICE_ACCOUNT',
    id: tenantId === null ? 'bootstrap' : `${tenantId}-account`,
    address: '127.0.0.1',
    surface: 'native',
    requestId: '01M7YRRT808A9NYTDXX0X5X0P4',
    tenantId,
    scopes,
    ...changes,
  })
}

/** All journal records of a tenant, oldest first. */
export function waitingRecords(
  { test }: TestCore,
  tenantId: string,
): Promise<readonly JournalText[]> {
  return writtenRecords(test.database, tenantId)
}

/** Matches a DomainError by its code. */
export function refusal(code: ErrorCode): unknown {
  return expect.objectContaining({ name: 'DomainError', code })
}

/** Every one of the calls is refused like this. */
export async function expectAll(calls: readonly Promise<unknown>[], error: unknown): Promise<void> {
  await Promise.all(calls.map((call) => expect(call).rejects.toThrow(error as Error)))
}

export const platformAdmin: Caller = testCaller(null, ['platform:admin'])
