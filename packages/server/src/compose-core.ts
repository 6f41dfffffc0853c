import type { MasterKey } from '#custody/master-key.ts'
import { PinHasher } from '#custody/pin-hasher.ts'
import type { Randomness } from '#custody/randomness.ts'
import { JwsVerifier, Signer } from '#custody/signer.ts'
import { Vault } from '#custody/vault.ts'
import { composeApprovals } from '#domain/approvals/compose-approvals.ts'
import { composeKeyless } from '#domain/approvals/compose-keyless.ts'
import { AppRules } from '#domain/apps/app-rules.ts'
import { AppService } from '#domain/apps/app-service.ts'
import { AppVersionService } from '#domain/apps/app-version-service.ts'
import { LatestVersionService } from '#domain/apps/latest-version-service.ts'
import { PolicyLookup } from '#domain/apps/policy-lookup.ts'
import { PolicyService } from '#domain/apps/policy-service.ts'
import { VersionSearchService } from '#domain/apps/version-search-service.ts'
import {
  type CabinetOptions,
  type CabinetParts,
  composeCabinets,
  noCabinets,
} from '#domain/cabinets/compose-cabinets.ts'
import { AccessTokens } from '#domain/callers/access-tokens.ts'
import { AccountTokenService } from '#domain/callers/account-token-service.ts'
import { Authenticator } from '#domain/callers/authenticator.ts'
import { DocumentError, type DocumentSource } from '#domain/callers/document-source.ts'
import { FailureLimiter } from '#domain/callers/failure-limiter.ts'
import {
  IssuerAuthenticator,
  type IssuerTokenOutcome,
} from '#domain/callers/issuer-authenticator.ts'
import { IssuerSignatures } from '#domain/callers/issuer-key.ts'
import { IssuerKeys } from '#domain/callers/issuer-keys.ts'
import { OauthService } from '#domain/callers/oauth-service.ts'
import { RefusalJournal } from '#domain/callers/refusal-journal.ts'
import { cabinetScopes } from '#domain/callers/scopes.ts'
import { ServiceAccountService } from '#domain/callers/service-account-service.ts'
import { TrustedIssuerService } from '#domain/callers/trusted-issuer-service.ts'
import { UsageRecorder } from '#domain/callers/usage-recorder.ts'
import { composeCertificates } from '#domain/certificates/certificate-parts.ts'
import type { Clock } from '#domain/clock.ts'
import type { Core } from '#domain/core.ts'
import { composeDevices } from '#domain/devices/compose-devices.ts'
import { DeviceWakeups } from '#domain/devices/device-wakeups.ts'
import { EventFeed } from '#domain/devices/event-feed.ts'
import { DirectoryService } from '#domain/directory/directory-service.ts'
import { IdempotencyService } from '#domain/idempotency/idempotency-service.ts'
import { CheckpointService } from '#domain/journal/checkpoint-service.ts'
import { JournalService } from '#domain/journal/journal-service.ts'
import { Retention } from '#domain/journal/retention.ts'
import { Sealer } from '#domain/journal/sealer.ts'
import { UserRecords } from '#domain/journal/user-records.ts'
import { composeLocalization } from '#domain/localization/compose-localization.ts'
import { composeNonces } from '#domain/nonces/compose-nonces.ts'
import type { ListObserver } from '#domain/otp-lists/list-changes.ts'
import { OtpListExpiry } from '#domain/otp-lists/list-expiry.ts'
import { OtpListMethodService } from '#domain/otp-lists/otp-list-method-service.ts'
import { OtpListService } from '#domain/otp-lists/otp-list-service.ts'
import { AssignmentService } from '#domain/otp-tokens/assignment-service.ts'
import { BatchAssignmentService } from '#domain/otp-tokens/batch-assignment-service.ts'
import { CredentialService } from '#domain/otp-tokens/credential-service.ts'
import { EnrolmentService } from '#domain/otp-tokens/enrolment-service.ts'
import { ExportService } from '#domain/otp-tokens/export-service.ts'
import { ImportService } from '#domain/otp-tokens/import-service.ts'
import { OtpTokenService } from '#domain/otp-tokens/otp-token-service.ts'
import { ProductService } from '#domain/otp-tokens/product-service.ts'
import { RepositoryService } from '#domain/otp-tokens/repository-service.ts'
import type { DeliveryKind } from '#domain/outbox/delivery-kind.ts'
import { OutboxRetention } from '#domain/outbox/outbox-retention.ts'
import { composeProperties } from '#domain/properties/compose-properties.ts'
import { Storage } from '#domain/storage.ts'
import { type OutboundAllow, OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { PlatformBootstrap } from '#domain/tenants/platform-bootstrap.ts'
import { PlatformSecret } from '#domain/tenants/platform-secret.ts'
import { SettingsService } from '#domain/tenants/settings-service.ts'
import { TenantPurge } from '#domain/tenants/tenant-purge.ts'
import { TenantService } from '#domain/tenants/tenant-service.ts'
import { createIdSource, type IdSource } from '#domain/ulid.ts'
import { UserDomainService } from '#domain/users/user-domain-service.ts'
import { UserIdentifierService } from '#domain/users/user-identifier-service.ts'
import { UserLockService } from '#domain/users/user-lock-service.ts'
import { UserSchemeService } from '#domain/users/user-scheme-service.ts'
import { UserService } from '#domain/users/user-service.ts'
import { ListVerificationService } from '#domain/verification/list-verification-service.ts'
import { ResyncService } from '#domain/verification/resync-service.ts'
import type { VerificationResult } from '#domain/verification/verification.ts'
import { VerificationService } from '#domain/verification/verification-service.ts'
import { WebhookDeliveryService } from '#domain/webhooks/webhook-delivery-service.ts'
import { WebhookKind } from '#domain/webhooks/webhook-kind.ts'
import { WebhookService } from '#domain/webhooks/webhook-service.ts'
import type { Database } from '#storage/queries.ts'

/** What the core is made of, and what varies. */
export interface CoreParts {
  readonly database: Database
  readonly masterKey: MasterKey
  readonly clock: Clock
  readonly randomness: Randomness
  readonly publicUrl: () => string
  readonly outboundAllow: OutboundAllow
  readonly authFailuresPerMinute: number
  /** Absent: no limit. */
  readonly deviceRequestsPerMinute?: number
  /** Absent: nobody is taken for a cabinet. */
  readonly okm?: CabinetOptions
  readonly adminToken: string | undefined
  /** The way to keys of trusted issuers, and how long they count that cannot be fetched again. Absent: there is none. */
  readonly issuerKeys?: { readonly documents: DocumentSource; readonly outageMsMax: number }
  readonly observer: CoreObserver
  /** Absent: nobody counts what happens to printed lists. */
  readonly listObserver?: ListObserver
}

/** What the core tells the process. */
export interface CoreObserver {
  countVerification(result: VerificationResult): void
  countIssuerToken?(outcome: IssuerTokenOutcome): void
  countIssuerKeys?(outcome: 'fetched' | 'failed'): void
  /** Work behind the requests failed; it is tried again. */
  backgroundFailed(work: string, error: unknown): void
}

/** The core, and what the process keeps running beside it. */
export interface ComposedCore {
  readonly core: Core
  readonly storage: Storage
  readonly nextId: IdSource
  /** Names this process among those of the installation. */
  readonly holder: string
  readonly vault: Vault
  readonly signer: Signer
  readonly pins: PinHasher
  readonly sealer: Sealer
  readonly userRecords: UserRecords
  readonly retention: Retention
  readonly outboxRetention: OutboxRetention
  readonly platform: PlatformBootstrap
  readonly tenantPurge: TenantPurge
  readonly otpListExpiry: OtpListExpiry
  readonly accessTokens: AccessTokens
  readonly refusals: RefusalJournal
  readonly usage: UsageRecorder
  /** Where the server may call. */
  readonly outbound: OutboundRule
  /** Everything that leaves the server, by kind. */
  readonly deliveryKinds: readonly DeliveryKind[]
  readonly cabinets: CabinetParts
  /** Tells event streams of this process. */
  readonly wakeups: DeviceWakeups
  /** Lets wake-ups of other processes in. */
  readonly listenToOthers: () => void
}

/** On PostgreSQL: how long a transaction may take that has made its ids, and how far the clocks of processes may lie apart. */
const lateCommitMsMax = 15_000

const noDocuments: NonNullable<CoreParts['issuerKeys']> = {
  documents: { fetch: () => Promise.reject(new DocumentError('address_refused')) },
  outageMsMax: 0,
}

/** Builds every service once, by plain constructors. */
export function composeCore(parts: CoreParts): ComposedCore {
  const { database, masterKey, clock, randomness, publicUrl, adminToken, observer } = parts
  const nextId = createIdSource(clock, randomness)
  const holder = nextId()
  const storage = new Storage(database, clock, nextId, parts.listObserver)
  const vault = new Vault(masterKey, storage.read.tenantKeys, randomness)
  const signer = new Signer(vault)
  const verifier = new JwsVerifier()
  const pinPepper = new PlatformSecret({ storage, vault, randomness }, 'pin-pepper')
  const pins = new PinHasher(() => pinPepper.get())
  const outbound = new OutboundRule(parts.outboundAllow)
  const base = { storage, vault, pins, clock, nextId, randomness }

  const settings = new SettingsService({ ...base, outbound })
  const checkpoints = new CheckpointService({ ...base, signer, verifier })
  const userRecords = new UserRecords(base)
  const sealer = new Sealer({
    ...base,
    holder,
    afterSealing: (tenantId, head) => {
      userRecords.note(tenantId, head.seq)
      return checkpoints.afterSealing(tenantId, head)
    },
    observer: { sealingFailed: (error) => observer.backgroundFailed('sealing', error) },
  })
  const accessTokens = new AccessTokens({ ...base, signer, verifier, publicUrl })
  const refusals = new RefusalJournal(base)
  const usage = new UsageRecorder(base)
  const limiter = new FailureLimiter(parts.authFailuresPerMinute, clock)
  const authenticator = new Authenticator({
    ...base,
    accessTokens,
    limiter,
    refusals,
    usage,
    adminToken,
  })
  const issuerAuthenticator = new IssuerAuthenticator({
    ...base,
    issuerKeys: new IssuerKeys({
      ...base,
      ...(parts.issuerKeys ?? noDocuments),
      observer: {
        keysFetched: (outcome) => observer.countIssuerKeys?.(outcome),
        fetchFailed: (issuer, error) => observer.backgroundFailed(`keys of ${issuer}`, error),
      },
    }),
    signatures: new IssuerSignatures(),
    limiter,
    refusals,
    ownIssuer: publicUrl,
    tokenChecked: (outcome) => observer.countIssuerToken?.(outcome),
  })
  const cabinets = composeCabinets({ ...base, settings, outbound, okm: parts.okm ?? noCabinets })
  const pki = composeCertificates({
    ...base,
    publicUrl,
    lateCommitMs: database.engine === 'sqlite' ? 0 : lateCommitMsMax,
    observer: { issuanceFailed: (error) => observer.backgroundFailed('issuance', error) },
  })
  const wakeups = new DeviceWakeups()
  const userSchemes = new UserSchemeService({ ...base, settings })
  const rules = new AppRules({ ...base, policies: new PolicyLookup(base), userSchemes })
  const devices = composeDevices({
    ...base,
    settings,
    userSchemes,
    rules,
    pki,
    wakeups,
    publicUrl,
    requestsPerMinute: parts.deviceRequestsPerMinute ?? 0,
    limitsFailures: parts.authFailuresPerMinute > 0,
  })
  const localization = composeLocalization({ ...base, settings })
  const approvals = composeApprovals({
    ...base,
    settings,
    userSchemes,
    pki,
    devices,
    wakeups,
    sealer,
    templateTexts: localization.templateTexts,
    publicUrl,
  })
  const nonces = composeNonces({
    ...base,
    settings,
    userSchemes,
    outbound,
    wakeups,
    pki,
    tms: approvals.tms,
  })
  wakeups.relayTo((line) => database.notify(line))
  const eventFeed = new EventFeed({
    ...base,
    gate: devices.deviceGate,
    waiting: approvals.approvalInbox,
    wakeups,
    lateMs: database.engine === 'sqlite' ? 0 : lateCommitMsMax,
    feedFailed: (error) => observer.backgroundFailed('event streams', error),
  })
  const keyless = composeKeyless({ ...base, settings, pki, devices, approvals })
  const tenantPurge = new TenantPurge(base)
  const serviceAccounts = new ServiceAccountService({
    ...base,
    hasAdminToken: adminToken !== undefined,
  })
  const apps = new AppService(base)
  const policies = settings
  const verification = new VerificationService({ ...base, policies, observer })
  const core: Core = {
    clock,
    tenants: new TenantService({
      ...base,
      signer,
      sealer,
      roots: pki.roots,
      purge: tenantPurge,
    }),
    settings,
    serviceAccounts,
    accountTokens: new AccountTokenService({ ...base, serviceAccounts, scopes: cabinetScopes }),
    trustedIssuers: new TrustedIssuerService({ ...base, outbound }),
    authenticator,
    issuerAuthenticator,
    oauth: new OauthService({ accessTokens, authenticator }),
    idempotency: new IdempotencyService({
      ...base,
      observer: { settlingFailed: (error) => observer.backgroundFailed('idempotency', error) },
    }),
    userDomains: new UserDomainService(base),
    users: new UserService({
      ...base,
      devices: {
        async endOfUser(stores, caller, user) {
          // While the devices are still there.
          await approvals.approvalEnding.cancelOfUser(stores, caller, user)
          return devices.deviceEnding.endOfUser(stores, caller, user)
        },
        wake: (tenantId, ids) => devices.deviceEnding.wake(tenantId, ids),
      },
    }),
    userIdentifiers: new UserIdentifierService(base),
    userLocks: new UserLockService(base),
    products: new ProductService(base),
    repositories: new RepositoryService(base),
    otpTokens: new OtpTokenService(base),
    enrolment: new EnrolmentService(base),
    assignments: new AssignmentService(base),
    batchAssignments: new BatchAssignmentService(base),
    credentials: new CredentialService({ ...base, settings }),
    otpListMethods: new OtpListMethodService(base),
    otpLists: new OtpListService(base),
    imports: new ImportService(base),
    exports: new ExportService(base),
    directory: new DirectoryService({ ...base, policies }),
    verification,
    listVerification: new ListVerificationService({ ...base, verification }),
    resync: new ResyncService({ ...base, policies }),
    apps,
    policies: new PolicyService(base),
    appVersions: new AppVersionService(base),
    appVersionSearch: new VersionSearchService(base),
    latestVersions: new LatestVersionService(base),
    ...cabinets.services,
    ...devices,
    ...approvals,
    ...localization,
    ...nonces,
    eventFeed,
    ...composeProperties({ ...base, userSchemes, ending: devices.deviceEnding }),
    ...keyless,
    checkpoints,
    pki,
    journal: new JournalService({ ...base, checkpoints, sealer, userRecords }),
    webhooks: new WebhookService({ ...base, settings, outbound }),
    webhookDeliveries: new WebhookDeliveryService(base),
  }
  return {
    core,
    storage,
    nextId,
    holder,
    vault,
    signer,
    pins,
    sealer,
    userRecords,
    retention: new Retention({ ...base, checkpoints, userRecords }),
    outboxRetention: new OutboxRetention(base),
    platform: new PlatformBootstrap({ ...base, signer }),
    tenantPurge,
    otpListExpiry: new OtpListExpiry(base),
    accessTokens,
    refusals,
    usage,
    outbound,
    deliveryKinds: [
      new WebhookKind({ ...base, settings, outbound }),
      nonces.nonceCallbacks,
      ...cabinets.deliveryKinds,
    ],
    cabinets,
    wakeups,
    listenToOthers: () =>
      database.listen({
        received: (line) => wakeups.receive(line),
        missed: (state) => eventFeed.missed(state),
      }),
  }
}
