import {
  type Database,
  type Queries,
  StorageError,
  type TransactionOptions,
} from '#storage/queries.ts'
import { ApprovalStore } from './approvals/approval-store.ts'
import { AppStore } from './apps/app-store.ts'
import { AppVersionStores } from './apps/app-versions-store.ts'
import { PolicyStore } from './apps/policy-store.ts'
import { CabinetStores } from './cabinets/cabinets-store.ts'
import { AccountTokenStore } from './callers/account-token-store.ts'
import { CredentialStore } from './callers/credential-store.ts'
import { IssuerKeyStore } from './callers/issuer-key-store.ts'
import { ServiceAccountStore } from './callers/service-account-store.ts'
import { TrustedIssuerStore } from './callers/trusted-issuer-store.ts'
import { PkiStores } from './certificates/pki-store.ts'
import type { Clock } from './clock.ts'
import { DeviceEventStore } from './devices/device-event-store.ts'
import { DeviceLinkStore } from './devices/device-link-store.ts'
import { DevicePinStore } from './devices/device-pin-store.ts'
import { DeviceSearchStore } from './devices/device-search-store.ts'
import { DeviceSessionStore } from './devices/device-session-store.ts'
import { DeviceStore } from './devices/device-store.ts'
import { EnrolledKeyStore } from './devices/enrolled-key-store.ts'
import { EnrolmentCodeStore } from './devices/enrolment-code-store.ts'
import { DirectoryStore } from './directory/directory-store.ts'
import { IdempotencyStore } from './idempotency/idempotency-store.ts'
import { ChainStore } from './journal/chain-store.ts'
import { CheckpointStore } from './journal/checkpoint-store.ts'
import { CommitChain } from './journal/commit-chain-store.ts'
import { JournalReaderStore } from './journal/journal-reader-store.ts'
import { JournalStore } from './journal/journal-store.ts'
import { UserRecordStore } from './journal/user-record-store.ts'
import { LeaseStore } from './lease-store.ts'
import { TemplateStore } from './localization/template-store.ts'
import { madeOnce, type OnceOf } from './made-once.ts'
import { NonceStores } from './nonces/nonces-store.ts'
import { ListChanges, type ListObserver } from './otp-lists/list-changes.ts'
import { OtpListMethodStore } from './otp-lists/otp-list-method-store.ts'
import { OtpListQueryStore } from './otp-lists/otp-list-query-store.ts'
import { OtpListStore } from './otp-lists/otp-list-store.ts'
import { AssignmentStore } from './otp-tokens/assignment-store.ts'
import { FactorStore } from './otp-tokens/factor-store.ts'
import { OtpTokenStore } from './otp-tokens/otp-token-store.ts'
import { ProductStore } from './otp-tokens/product-store.ts'
import { RepositoryStore } from './otp-tokens/repository-store.ts'
import { TicketStore } from './otp-tokens/ticket-store.ts'
import { TokenExportStore } from './otp-tokens/token-export-store.ts'
import { TokenImportStore } from './otp-tokens/token-import-store.ts'
import { TokenListStore } from './otp-tokens/token-list-store.ts'
import { OutboxStore } from './outbox/outbox-store.ts'
import { PropertySearchStore } from './properties/property-search-store.ts'
import { PropertyStore } from './properties/property-store.ts'
import { asDomainError, ReadingStore } from './reading-store.ts'
import { PlatformValueStore } from './tenants/platform-value-store.ts'
import { SigningKeyStore } from './tenants/signing-key-store.ts'
import { TenantKeyStore } from './tenants/tenant-key-store.ts'
import { TenantPurgeStore } from './tenants/tenant-purge-store.ts'
import { TenantStore } from './tenants/tenant-store.ts'
import type { IdSource } from './ulid.ts'
import { UserCredentialStore } from './users/user-credential-store.ts'
import { UserDomainStore } from './users/user-domain-store.ts'
import { UserIdentifierStore } from './users/user-identifier-store.ts'
import { UserLockStore } from './users/user-lock-store.ts'
import { UserResolver } from './users/user-resolver-store.ts'
import { UserStore } from './users/user-store.ts'
import { UserViewStore } from './users/user-view-store.ts'
import { CandidateStore } from './verification/candidate-store.ts'
import { FailureStore } from './verification/failure-store.ts'
import { ListCandidateStore } from './verification/list-candidate-store.ts'
import { ListSpendingStore } from './verification/list-spending-store.ts'
import { SpendingStore } from './verification/spending-store.ts'
import { EventStore } from './webhooks/event-store.ts'
import { WebhookEndpointStore } from './webhooks/webhook-endpoint-store.ts'

/** Every feature's store over one connection: those of a transaction share its fate. */
export class Stores {
  readonly #once: OnceOf<[Queries, Clock, IdSource, CommitChain]>

  constructor(
    queries: Queries,
    clock: Clock,
    nextId: IdSource,
    commitChain: CommitChain = new CommitChain(),
  ) {
    this.#once = madeOnce(queries, clock, nextId, commitChain)
  }

  get serviceAccounts(): ServiceAccountStore {
    return this.#once(ServiceAccountStore)
  }

  get accountTokens(): AccountTokenStore {
    return this.#once(AccountTokenStore)
  }

  get credentials(): CredentialStore {
    return this.#once(CredentialStore)
  }

  get trustedIssuers(): TrustedIssuerStore {
    return this.#once(TrustedIssuerStore)
  }

  get issuerKeys(): IssuerKeyStore {
    return this.#once(IssuerKeyStore)
  }

  get tenants(): TenantStore {
    return this.#once(TenantStore)
  }

  get tenantKeys(): TenantKeyStore {
    return this.#once(TenantKeyStore)
  }

  get tenantPurge(): TenantPurgeStore {
    return this.#once(TenantPurgeStore)
  }

  get signingKeys(): SigningKeyStore {
    return this.#once(SigningKeyStore)
  }

  get platformValues(): PlatformValueStore {
    return this.#once(PlatformValueStore)
  }

  get chain(): ChainStore {
    return this.#once(ChainStore)
  }

  get checkpoints(): CheckpointStore {
    return this.#once(CheckpointStore)
  }

  get journalReader(): JournalReaderStore {
    return this.#once(JournalReaderStore)
  }

  get userRecords(): UserRecordStore {
    return this.#once(UserRecordStore)
  }

  get directory(): DirectoryStore {
    return this.#once(DirectoryStore)
  }

  get apps(): AppStore {
    return this.#once(AppStore)
  }

  get policies(): PolicyStore {
    return this.#once(PolicyStore)
  }

  get approvals(): ApprovalStore {
    return this.#once(ApprovalStore)
  }

  get appVersions(): AppVersionStores {
    return this.#once(AppVersionStores)
  }

  get devices(): DeviceStore {
    return this.#once(DeviceStore)
  }

  get deviceLinks(): DeviceLinkStore {
    return this.#once(DeviceLinkStore)
  }

  get deviceSearch(): DeviceSearchStore {
    return this.#once(DeviceSearchStore)
  }

  get devicePins(): DevicePinStore {
    return this.#once(DevicePinStore)
  }

  get deviceSessions(): DeviceSessionStore {
    return this.#once(DeviceSessionStore)
  }

  get deviceEvents(): DeviceEventStore {
    return this.#once(DeviceEventStore)
  }

  get enrolledKeys(): EnrolledKeyStore {
    return this.#once(EnrolledKeyStore)
  }

  get enrolmentCodes(): EnrolmentCodeStore {
    return this.#once(EnrolmentCodeStore)
  }

  get templates(): TemplateStore {
    return this.#once(TemplateStore)
  }

  get nonces(): NonceStores {
    return this.#once(NonceStores)
  }

  get leases(): LeaseStore {
    return this.#once(LeaseStore)
  }

  get candidates(): CandidateStore {
    return this.#once(CandidateStore)
  }

  get failures(): FailureStore {
    return this.#once(FailureStore)
  }

  get spending(): SpendingStore {
    return this.#once(SpendingStore)
  }

  get listCandidates(): ListCandidateStore {
    return this.#once(ListCandidateStore)
  }

  get listSpending(): ListSpendingStore {
    return this.#once(ListSpendingStore)
  }

  get idempotency(): IdempotencyStore {
    return this.#once(IdempotencyStore)
  }

  get journal(): JournalStore {
    return this.#once(JournalStore)
  }

  get products(): ProductStore {
    return this.#once(ProductStore)
  }

  get repositories(): RepositoryStore {
    return this.#once(RepositoryStore)
  }

  get otpTokens(): OtpTokenStore {
    return this.#once(OtpTokenStore)
  }

  get tokenLists(): TokenListStore {
    return this.#once(TokenListStore)
  }

  get tokenImports(): TokenImportStore {
    return this.#once(TokenImportStore)
  }

  get tokenExports(): TokenExportStore {
    return this.#once(TokenExportStore)
  }

  get factors(): FactorStore {
    return this.#once(FactorStore)
  }

  get assignments(): AssignmentStore {
    return this.#once(AssignmentStore)
  }

  get tickets(): TicketStore {
    return this.#once(TicketStore)
  }

  get cabinets(): CabinetStores {
    return this.#once(CabinetStores)
  }

  get properties(): PropertyStore {
    return this.#once(PropertyStore)
  }

  get propertySearch(): PropertySearchStore {
    return this.#once(PropertySearchStore)
  }

  get otpListMethods(): OtpListMethodStore {
    return this.#once(OtpListMethodStore)
  }

  get otpLists(): OtpListStore {
    return this.#once(OtpListStore)
  }

  get otpListQueries(): OtpListQueryStore {
    return this.#once(OtpListQueryStore)
  }

  get otpListChanges(): ListChanges {
    return this.#once(ListChanges)
  }

  get userDomains(): UserDomainStore {
    return this.#once(UserDomainStore)
  }

  get users(): UserStore {
    return this.#once(UserStore)
  }

  get userViews(): UserViewStore {
    return this.#once(UserViewStore)
  }

  get userIdentifiers(): UserIdentifierStore {
    return this.#once(UserIdentifierStore)
  }

  get userCredentials(): UserCredentialStore {
    return this.#once(UserCredentialStore)
  }

  get userLocks(): UserLockStore {
    return this.#once(UserLockStore)
  }

  get userResolver(): UserResolver {
    return this.#once(UserResolver)
  }

  get outbox(): OutboxStore {
    return this.#once(OutboxStore)
  }

  get webhookEndpoints(): WebhookEndpointStore {
    return this.#once(WebhookEndpointStore)
  }

  get pki(): PkiStores {
    return this.#once(PkiStores)
  }

  get events(): EventStore {
    return this.#once(EventStore)
  }
}

/** Where the core keeps everything. */
export class Storage {
  /** Reads what is committed, statement by statement. */
  readonly read: Stores
  /** Which chains grew with commits of this process. */
  readonly commitChain: CommitChain = new CommitChain()
  readonly #database: Database
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #observer: ListObserver | undefined

  constructor(database: Database, clock: Clock, nextId: IdSource, observer?: ListObserver) {
    this.#database = database
    this.#clock = clock
    this.#nextId = nextId
    this.#observer = observer
    this.read = new Stores(new ReadingStore(database.reader), clock, nextId)
  }

  /**
   * The only way to write. A throw of `work` undoes its writes; it may be run more than once, so it does nothing but
   * read, decide and write.
   *
   * @throws DomainError `unavailable` when the database cannot say that everything is on disk.
   */
  async transaction<T>(
    work: (stores: Stores) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    try {
      const { result, stores } = await this.#database.transaction(async (queries) => {
        const stores = new Stores(queries, this.#clock, this.#nextId, this.commitChain)
        return { result: await work(stores), stores }
      }, options)
      if (this.#observer !== undefined) stores.otpListChanges.tellTo(this.#observer)
      return result
    } catch (error) {
      throw asDomainError(error)
    }
  }
}

/** The index or table whose key is taken; undefined for any other error. */
export function takenKey(error: unknown): string | undefined {
  return error instanceof StorageError && error.failure === 'taken' ? error.place : undefined
}
