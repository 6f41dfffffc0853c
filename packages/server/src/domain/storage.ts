import {
  type Database,
  type Queries,
  StorageError,
  type TransactionOptions,
} from '#storage/queries.ts'
import type { Statement } from '#storage/statement.ts'
import { CredentialStore } from './callers/credential-store.ts'
import { ServiceAccountStore } from './callers/service-account-store.ts'
import { TrustedIssuerStore } from './callers/trusted-issuer-store.ts'
import type { Clock } from './clock.ts'
import { DirectoryStore } from './directory/directory-store.ts'
import { DomainError } from './errors.ts'
import { IdempotencyStore } from './idempotency/idempotency-store.ts'
import { ChainStore } from './journal/chain-store.ts'
import { CheckpointStore } from './journal/checkpoint-store.ts'
import { JournalReaderStore } from './journal/journal-reader-store.ts'
import { JournalStore } from './journal/journal-store.ts'
import { LeaseStore } from './lease-store.ts'
import { AssignmentStore } from './otp-tokens/assignment-store.ts'
import { FactorStore } from './otp-tokens/factor-store.ts'
import { OtpTokenStore } from './otp-tokens/otp-token-store.ts'
import { ProductStore } from './otp-tokens/product-store.ts'
import { RepositoryStore } from './otp-tokens/repository-store.ts'
import { TicketStore } from './otp-tokens/ticket-store.ts'
import { TokenExportStore } from './otp-tokens/token-export-store.ts'
import { TokenImportStore } from './otp-tokens/token-import-store.ts'
import { TokenListStore } from './otp-tokens/token-list-store.ts'
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
import { SpendingStore } from './verification/spending-store.ts'

/** Every feature's store over one connection: those of a transaction share its fate. */
export class Stores {
  readonly #queries: Queries
  readonly #clock: Clock
  readonly #nextId: IdSource
  #chain: ChainStore | undefined
  #checkpoints: CheckpointStore | undefined
  #directory: DirectoryStore | undefined
  #idempotency: IdempotencyStore | undefined
  #journal: JournalStore | undefined
  #journalReader: JournalReaderStore | undefined
  #leases: LeaseStore | undefined
  #candidates: CandidateStore | undefined
  #failures: FailureStore | undefined
  #spending: SpendingStore | undefined
  #products: ProductStore | undefined
  #repositories: RepositoryStore | undefined
  #otpTokens: OtpTokenStore | undefined
  #tokenLists: TokenListStore | undefined
  #tokenImports: TokenImportStore | undefined
  #tokenExports: TokenExportStore | undefined
  #factors: FactorStore | undefined
  #assignments: AssignmentStore | undefined
  #tickets: TicketStore | undefined
  #tenants: TenantStore | undefined
  #tenantKeys: TenantKeyStore | undefined
  #tenantPurge: TenantPurgeStore | undefined
  #signingKeys: SigningKeyStore | undefined
  #platformValues: PlatformValueStore | undefined
  #userDomains: UserDomainStore | undefined
  #users: UserStore | undefined
  #userViews: UserViewStore | undefined
  #userIdentifiers: UserIdentifierStore | undefined
  #userCredentials: UserCredentialStore | undefined
  #userLocks: UserLockStore | undefined
  #userResolver: UserResolver | undefined
  #serviceAccounts: ServiceAccountStore | undefined
  #credentials: CredentialStore | undefined
  #trustedIssuers: TrustedIssuerStore | undefined

  constructor(queries: Queries, clock: Clock, nextId: IdSource) {
    this.#queries = queries
    this.#clock = clock
    this.#nextId = nextId
  }

  get serviceAccounts(): ServiceAccountStore {
    this.#serviceAccounts ??= new ServiceAccountStore(this.#queries)
    return this.#serviceAccounts
  }

  get credentials(): CredentialStore {
    this.#credentials ??= new CredentialStore(this.#queries)
    return this.#credentials
  }

  get trustedIssuers(): TrustedIssuerStore {
    this.#trustedIssuers ??= new TrustedIssuerStore(this.#queries)
    return this.#trustedIssuers
  }

  get tenants(): TenantStore {
    this.#tenants ??= new TenantStore(this.#queries)
    return this.#tenants
  }

  get tenantKeys(): TenantKeyStore {
    this.#tenantKeys ??= new TenantKeyStore(this.#queries)
    return this.#tenantKeys
  }

  get tenantPurge(): TenantPurgeStore {
    this.#tenantPurge ??= new TenantPurgeStore(this.#queries)
    return this.#tenantPurge
  }

  get signingKeys(): SigningKeyStore {
    this.#signingKeys ??= new SigningKeyStore(this.#queries)
    return this.#signingKeys
  }

  get platformValues(): PlatformValueStore {
    this.#platformValues ??= new PlatformValueStore(this.#queries)
    return this.#platformValues
  }

  get chain(): ChainStore {
    this.#chain ??= new ChainStore(this.#queries)
    return this.#chain
  }

  get checkpoints(): CheckpointStore {
    this.#checkpoints ??= new CheckpointStore(this.#queries)
    return this.#checkpoints
  }

  get journalReader(): JournalReaderStore {
    this.#journalReader ??= new JournalReaderStore(this.#queries)
    return this.#journalReader
  }

  get directory(): DirectoryStore {
    this.#directory ??= new DirectoryStore(this.#queries)
    return this.#directory
  }

  get leases(): LeaseStore {
    this.#leases ??= new LeaseStore(this.#queries)
    return this.#leases
  }

  get candidates(): CandidateStore {
    this.#candidates ??= new CandidateStore(this.#queries)
    return this.#candidates
  }

  get failures(): FailureStore {
    this.#failures ??= new FailureStore(this.#queries)
    return this.#failures
  }

  get spending(): SpendingStore {
    this.#spending ??= new SpendingStore(this.#queries)
    return this.#spending
  }

  get idempotency(): IdempotencyStore {
    this.#idempotency ??= new IdempotencyStore(this.#queries)
    return this.#idempotency
  }

  get journal(): JournalStore {
    this.#journal ??= new JournalStore(this.#queries, this.#clock, this.#nextId)
    return this.#journal
  }

  get products(): ProductStore {
    this.#products ??= new ProductStore(this.#queries)
    return this.#products
  }

  get repositories(): RepositoryStore {
    this.#repositories ??= new RepositoryStore(this.#queries)
    return this.#repositories
  }

  get otpTokens(): OtpTokenStore {
    this.#otpTokens ??= new OtpTokenStore(this.#queries)
    return this.#otpTokens
  }

  get tokenLists(): TokenListStore {
    this.#tokenLists ??= new TokenListStore(this.#queries)
    return this.#tokenLists
  }

  get tokenImports(): TokenImportStore {
    this.#tokenImports ??= new TokenImportStore(this.#queries)
    return this.#tokenImports
  }

  get tokenExports(): TokenExportStore {
    this.#tokenExports ??= new TokenExportStore(this.#queries)
    return this.#tokenExports
  }

  get factors(): FactorStore {
    this.#factors ??= new FactorStore(this.#queries)
    return this.#factors
  }

  get assignments(): AssignmentStore {
    this.#assignments ??= new AssignmentStore(this.#queries)
    return this.#assignments
  }

  get tickets(): TicketStore {
    this.#tickets ??= new TicketStore(this.#queries)
    return this.#tickets
  }

  get userDomains(): UserDomainStore {
    this.#userDomains ??= new UserDomainStore(this.#queries)
    return this.#userDomains
  }

  get users(): UserStore {
    this.#users ??= new UserStore(this.#queries)
    return this.#users
  }

  get userViews(): UserViewStore {
    this.#userViews ??= new UserViewStore(this.#queries)
    return this.#userViews
  }

  get userIdentifiers(): UserIdentifierStore {
    this.#userIdentifiers ??= new UserIdentifierStore(this.#queries)
    return this.#userIdentifiers
  }

  get userCredentials(): UserCredentialStore {
    this.#userCredentials ??= new UserCredentialStore(this.#queries)
    return this.#userCredentials
  }

  get userLocks(): UserLockStore {
    this.#userLocks ??= new UserLockStore(this.#queries)
    return this.#userLocks
  }

  get userResolver(): UserResolver {
    this.#userResolver ??= new UserResolver(this.#queries)
    return this.#userResolver
  }
}

/** Where the core keeps everything. */
export class Storage {
  /** Reads what is committed, statement by statement. */
  readonly read: Stores
  readonly #database: Database
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(database: Database, clock: Clock, nextId: IdSource) {
    this.#database = database
    this.#clock = clock
    this.#nextId = nextId
    this.read = new Stores(new Reader(database.reader), clock, nextId)
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
      return await this.#database.transaction(
        (queries) => work(new Stores(queries, this.#clock, this.#nextId)),
        options,
      )
    } catch (error) {
      throw asDomainError(error)
    }
  }
}

/** The database is away or full: the surface's 503. A key that is taken is for the feature to explain. */
export function asDomainError(error: unknown): unknown {
  if (error instanceof StorageError && error.failure === 'unavailable') {
    return new DomainError('unavailable', 'The database is not available.', {
      cause: error,
      retryAfterSeconds: 1,
    })
  }
  return error
}

/** The reader, with its failures in the core's words. */
class Reader implements Queries {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    try {
      return await this.#queries.all(statement, parameters)
    } catch (error) {
      throw asDomainError(error)
    }
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    try {
      return await this.#queries.first(statement, parameters)
    } catch (error) {
      throw asDomainError(error)
    }
  }

  run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    return this.#queries.run(statement, parameters)
  }
}

/** The index or table whose key is taken; undefined for any other error. */
export function takenKey(error: unknown): string | undefined {
  return error instanceof StorageError && error.failure === 'taken' ? error.place : undefined
}
