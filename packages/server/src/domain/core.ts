import type { ApprovalParts } from './approvals/compose-approvals.ts'
import type { KeylessParts } from './approvals/compose-keyless.ts'
import type { AppService } from './apps/app-service.ts'
import type { AppVersionService } from './apps/app-version-service.ts'
import type { LatestVersionService } from './apps/latest-version-service.ts'
import type { PolicyService } from './apps/policy-service.ts'
import type { VersionSearchService } from './apps/version-search-service.ts'
import type { AclLinkService } from './cabinets/acl-link-service.ts'
import type { AclService } from './cabinets/acl-service.ts'
import type { CabinetAuditService } from './cabinets/audit-service.ts'
import type { AuditSubscriptionService } from './cabinets/audit-subscription-service.ts'
import type { CabinetService } from './cabinets/cabinet-service.ts'
import type { DeviceTrust } from './cabinets/device-trust.ts'
import type { FirmwareService } from './cabinets/firmware-service.ts'
import type { CabinetPollService } from './cabinets/poll-service.ts'
import type { AccountTokenService } from './callers/account-token-service.ts'
import type { Authenticator } from './callers/authenticator.ts'
import type { IssuerAuthenticator } from './callers/issuer-authenticator.ts'
import type { OauthService } from './callers/oauth-service.ts'
import type { ServiceAccountService } from './callers/service-account-service.ts'
import type { TrustedIssuerService } from './callers/trusted-issuer-service.ts'
import type { CertificateParts } from './certificates/certificate-parts.ts'
import type { DeviceParts } from './devices/compose-devices.ts'
import type { EventFeed } from './devices/event-feed.ts'
import type { DirectoryService } from './directory/directory-service.ts'
import type { IdempotencyService } from './idempotency/idempotency-service.ts'
import type { CheckpointService } from './journal/checkpoint-service.ts'
import type { JournalService } from './journal/journal-service.ts'
import type { LocalizationParts } from './localization/compose-localization.ts'
import type { NonceParts } from './nonces/compose-nonces.ts'
import type { OtpListMethodService } from './otp-lists/otp-list-method-service.ts'
import type { OtpListService } from './otp-lists/otp-list-service.ts'
import type { AssignmentService } from './otp-tokens/assignment-service.ts'
import type { BatchAssignmentService } from './otp-tokens/batch-assignment-service.ts'
import type { CredentialService } from './otp-tokens/credential-service.ts'
import type { EnrolmentService } from './otp-tokens/enrolment-service.ts'
import type { ExportService } from './otp-tokens/export-service.ts'
import type { ImportService } from './otp-tokens/import-service.ts'
import type { OtpTokenService } from './otp-tokens/otp-token-service.ts'
import type { ProductService } from './otp-tokens/product-service.ts'
import type { RepositoryService } from './otp-tokens/repository-service.ts'
import type { PropertyParts } from './properties/compose-properties.ts'
import type { SettingsService } from './tenants/settings-service.ts'
import type { TenantService } from './tenants/tenant-service.ts'
import type { UserDomainService } from './users/user-domain-service.ts'
import type { UserIdentifierService } from './users/user-identifier-service.ts'
import type { UserLockService } from './users/user-lock-service.ts'
import type { UserService } from './users/user-service.ts'
import type { ListVerificationService } from './verification/list-verification-service.ts'
import type { ResyncService } from './verification/resync-service.ts'
import type { VerificationService } from './verification/verification-service.ts'
import type { WebhookDeliveryService } from './webhooks/webhook-delivery-service.ts'
import type { WebhookService } from './webhooks/webhook-service.ts'

/** The services a surface gets; one member a noun. */
export interface Core
  extends DeviceParts,
    ApprovalParts,
    KeylessParts,
    LocalizationParts,
    PropertyParts,
    NonceParts {
  readonly clock: () => number
  readonly tenants: TenantService
  readonly settings: SettingsService
  readonly serviceAccounts: ServiceAccountService
  /** Accounts as OKM's tokens. */
  readonly accountTokens: AccountTokenService
  readonly trustedIssuers: TrustedIssuerService
  readonly authenticator: Authenticator
  /** Callers by tokens of their tenant's identity provider. */
  readonly issuerAuthenticator: IssuerAuthenticator
  readonly oauth: OauthService
  readonly idempotency: IdempotencyService
  readonly userDomains: UserDomainService
  readonly users: UserService
  readonly userIdentifiers: UserIdentifierService
  readonly userLocks: UserLockService
  readonly products: ProductService
  readonly repositories: RepositoryService
  readonly otpTokens: OtpTokenService
  readonly enrolment: EnrolmentService
  readonly assignments: AssignmentService
  readonly batchAssignments: BatchAssignmentService
  readonly credentials: CredentialService
  readonly otpListMethods: OtpListMethodService
  readonly otpLists: OtpListService
  readonly imports: ImportService
  readonly exports: ExportService
  readonly directory: DirectoryService
  readonly verification: VerificationService
  readonly listVerification: ListVerificationService
  readonly resync: ResyncService
  readonly apps: AppService
  readonly policies: PolicyService
  readonly appVersions: AppVersionService
  readonly appVersionSearch: VersionSearchService
  readonly latestVersions: LatestVersionService
  readonly cabinets: CabinetService
  readonly cabinetAcls: AclService
  readonly cabinetAclLinks: AclLinkService
  readonly cabinetFirmware: FirmwareService
  readonly cabinetPolls: CabinetPollService
  readonly cabinetAudit: CabinetAuditService
  readonly auditSubscriptions: AuditSubscriptionService
  readonly deviceTrust: DeviceTrust
  /** What devices are told as it happens. */
  readonly eventFeed: EventFeed
  readonly journal: JournalService
  readonly checkpoints: CheckpointService
  readonly webhooks: WebhookService
  readonly webhookDeliveries: WebhookDeliveryService
  /** The certificate authority: `pki.signers`, `pki.certificates`, and so on. */
  readonly pki: CertificateParts
}
