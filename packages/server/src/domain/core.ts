import type { DirectoryService } from './directory/directory-service.ts'
import type { CheckpointService } from './journal/checkpoint-service.ts'
import type { JournalService } from './journal/journal-service.ts'
import type { UserDomainService } from './users/user-domain-service.ts'
import type { UserIdentifierService } from './users/user-identifier-service.ts'
import type { UserLockService } from './users/user-lock-service.ts'
import type { UserService } from './users/user-service.ts'
import type { ResyncService } from './verification/resync-service.ts'
import type { VerificationService } from './verification/verification-service.ts'

/** The services a surface gets; one member a noun. */
export interface Core {
  readonly clock: () => number
  readonly directory: DirectoryService
  readonly journal: JournalService
  readonly checkpoints: CheckpointService
  readonly userDomains: UserDomainService
  readonly users: UserService
  readonly userIdentifiers: UserIdentifierService
  readonly userLocks: UserLockService
  readonly verification: VerificationService
  readonly resync: ResyncService
}
