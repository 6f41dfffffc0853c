import type { DirectoryService } from './directory/directory-service.ts'
import type { CheckpointService } from './journal/checkpoint-service.ts'
import type { JournalService } from './journal/journal-service.ts'
import type { ResyncService } from './verification/resync-service.ts'
import type { VerificationService } from './verification/verification-service.ts'

/** The services a surface gets; one member a noun. */
export interface Core {
  readonly clock: () => number
  readonly directory: DirectoryService
  readonly journal: JournalService
  readonly checkpoints: CheckpointService
  readonly verification: VerificationService
  readonly resync: ResyncService
}
