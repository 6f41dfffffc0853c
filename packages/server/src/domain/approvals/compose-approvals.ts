import type { Randomness } from '#custody/randomness.ts'
import type { CertificateParts } from '../certificates/certificate-parts.ts'
import type { Clock } from '../clock.ts'
import type { DeviceParts } from '../devices/compose-devices.ts'
import type { DeviceWakeups } from '../devices/device-wakeups.ts'
import type { Sealer } from '../journal/sealer.ts'
import type { TemplateTexts } from '../localization/template-texts.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { ApprovalEnding } from './approval-ending.ts'
import { ApprovalInbox } from './approval-inbox.ts'
import { ApprovalOpening } from './approval-opening.ts'
import { ApprovalService } from './approval-service.ts'
import { CustomerJwts } from './customer-jwt.ts'
import { DecisionService } from './decision-service.ts'
import { EvidenceService } from './evidence-service.ts'
import { SignatureJudge } from './signature-judge.ts'
import { SpontaneousService } from './spontaneous-service.ts'
import { TmsService } from './tms-service.ts'

/** Everything of approvals. */
export interface ApprovalParts {
  readonly approvals: ApprovalService
  readonly approvalInbox: ApprovalInbox
  readonly approvalEnding: ApprovalEnding
  readonly decisions: DecisionService
  readonly spontaneous: SpontaneousService
  readonly customerJwts: CustomerJwts
  readonly evidence: EvidenceService
  /** As AST callers deal with them. */
  readonly tms: TmsService
}

/** Builds what approvals need by plain constructors. */
export function composeApprovals(dependencies: {
  storage: Storage
  clock: Clock
  nextId: IdSource
  randomness: Randomness
  settings: SettingsService
  userSchemes: UserSchemeService
  pki: CertificateParts
  devices: DeviceParts
  wakeups: DeviceWakeups
  sealer: Sealer
  templateTexts: TemplateTexts
  publicUrl: () => string
}): ApprovalParts {
  const { pki, devices } = dependencies
  const judge = new SignatureJudge({ ...dependencies, ...pki })
  const jwts = new CustomerJwts({ ...dependencies, customerKeys: pki.customerKeys })
  const ending = new ApprovalEnding(dependencies)
  const inbox = new ApprovalInbox({ ...dependencies, ending })
  const base = {
    ...dependencies,
    judge,
    jwts,
    ending,
    inbox,
    factors: devices.deviceFactors,
    nonces: devices.serverNonces,
    issuer: devices.deviceIssuer,
  }
  const approvals = new ApprovalService({ ...base, opening: new ApprovalOpening(dependencies) })
  return {
    approvals,
    tms: new TmsService({ ...base, approvals }),
    approvalInbox: inbox,
    approvalEnding: ending,
    decisions: new DecisionService(base),
    spontaneous: new SpontaneousService(base),
    customerJwts: jwts,
    evidence: new EvidenceService({ ...dependencies, ...pki }),
  }
}
