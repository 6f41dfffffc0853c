import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { SurfaceName } from '../callers/caller.ts'
import type { Device, Factor } from '../devices/device.ts'

/** A transaction is decided, a message only read. */
export type ApprovalKind = 'TRANSACTION' | 'MESSAGE'

/** The last four are final; RETRIEVED is final for a message. */
export type ApprovalStatus =
  | 'PENDING'
  | 'RETRIEVED'
  | 'APPROVED'
  | 'REJECTED'
  | 'EXPIRED'
  | 'CANCELLED'

/** What proves an acceptance: a CMS signature (AST), a decision JWS with a factor (Keyless, native), nothing (messages). */
export type EvidenceKind = 'CMS' | 'FACTOR' | 'NONE'

export type FailureReason =
  | 'USER_REJECTED'
  | 'SUSPICIOUS'
  | 'RETRIEVAL_TIMEOUT'
  | 'DECISION_TIMEOUT'
  | 'CANCELLED'
  | 'DEVICE_FAILURE'

/** Null: no such limit. */
export interface ApprovalTimeouts {
  /** From creation to the first retrieval. */
  readonly retrievalSeconds: number | null
  /** From that retrieval to the decision. */
  readonly decisionSeconds: number | null
  /** From creation to the decision. */
  readonly totalSeconds: number | null
}

export interface ApprovalAuthentication {
  /** Null: any. */
  readonly factor: Factor | null
  /** The scope that the answering token must carry; null: an authentication made for this is not asked for. */
  readonly explicitScope: string | null
  /** How old the login behind the answer may be at retrieval; null: any. */
  readonly maxAgeSeconds: number | null
}

/** Which of the user's devices are asked; all given members must hold. */
export interface DeviceCondition {
  readonly deviceIds?: readonly string[] | undefined
  readonly appName?: string | undefined
  readonly platform?: string | undefined
  readonly appVersion?: string | undefined
}

/** What a push message says; absent members: the settings, null suppresses that part. */
export interface ApprovalPush {
  readonly title?: string | null | undefined
  readonly body?: string | null | undefined
  /** Nothing is pushed; the device's own stream tells it. */
  readonly skip?: boolean | undefined
}

export interface ApprovalDecision {
  readonly deviceId: string
  /** Null: the device key alone. */
  readonly factor: Factor | null
  readonly atMs: number
}

/** One question to one user, answered once. */
export interface Approval {
  readonly tenantId: string
  readonly id: string
  readonly reference: string | null
  readonly kind: ApprovalKind
  readonly evidence: EvidenceKind
  readonly userId: string
  readonly status: ApprovalStatus
  /** Of a template what was first delivered, null before; null also for a Keyless operation without payload. */
  readonly text: string | null
  readonly templateKey: string | null
  readonly data: { readonly [name: string]: JsonValue } | null
  readonly timeouts: ApprovalTimeouts
  readonly authentication: ApprovalAuthentication
  readonly devices: DeviceCondition | null
  /** Null: as the settings say. Only for whoever pushes; callers do not see it. */
  readonly push: ApprovalPush | null
  readonly externalUserId: string | null
  readonly surface: SurfaceName
  readonly createdBy: string
  readonly createdAtMs: number
  /** First retrieval by any device. */
  readonly retrievedAtMs: number | null
  /** Next deadline; null when final or without limit. */
  readonly expiresAtMs: number | null
  readonly completedAtMs: number | null
  /** Of APPROVED, and of what a device rejected. */
  readonly decision: ApprovalDecision | null
  readonly failureReason: FailureReason | null
  readonly failureMessage: string | null
}

/** Shortest age of a login that can be asked for: clocks have seconds. */
const ageSecondsMin = 2

/** Until when a new approval waits for its first retrieval. */
export function firstDeadline(createdAtMs: number, timeouts: ApprovalTimeouts): number | null {
  return earliest(
    after(createdAtMs, timeouts.retrievalSeconds),
    after(createdAtMs, timeouts.totalSeconds),
  )
}

/** Until when an approval that was retrieved waits for its decision. */
export function secondDeadline(
  { createdAtMs, timeouts }: Pick<Approval, 'createdAtMs' | 'timeouts'>,
  retrievedAtMs: number,
): number | null {
  return earliest(
    after(retrievedAtMs, timeouts.decisionSeconds),
    after(createdAtMs, timeouts.totalSeconds),
  )
}

/** Until when further devices may fetch a message. */
export function messageDeadline({
  createdAtMs,
  timeouts,
}: Pick<Approval, 'createdAtMs' | 'timeouts'>): number | null {
  return firstDeadline(createdAtMs, timeouts)
}

export function isFinal({ status, kind }: Pick<Approval, 'status' | 'kind'>): boolean {
  return status === 'RETRIEVED' ? kind === 'MESSAGE' : status !== 'PENDING'
}

/** The approval as it is at an instant: a deadline that has passed has passed, whether or not a timer saw it. */
export function approvalAt(approval: Approval, nowMs: number): Approval {
  const { expiresAtMs, status } = approval
  if (expiresAtMs === null || expiresAtMs > nowMs || isFinal(approval)) return approval
  return {
    ...approval,
    status: 'EXPIRED',
    expiresAtMs: null,
    completedAtMs: expiresAtMs,
    failureReason: timeoutReason(status),
  }
}

export function timeoutReason(status: ApprovalStatus): FailureReason {
  return status === 'PENDING' ? 'RETRIEVAL_TIMEOUT' : 'DECISION_TIMEOUT'
}

/** The seconds since the epoch that a login's time must reach; undefined: any will do. */
export function authTimeAtLeast(
  { maxAgeSeconds }: ApprovalAuthentication,
  retrievedAtMs: number,
): number | undefined {
  if (maxAgeSeconds === null) return undefined
  return Math.floor(retrievedAtMs / 1000) - Math.max(maxAgeSeconds, ageSecondsMin)
}

/** Whether a device of the user is asked. */
export function isAddressed(
  condition: DeviceCondition | null,
  { id, app }: Pick<Device, 'id' | 'app'>,
): boolean {
  if (condition === null) return true
  const { deviceIds, appName, platform, appVersion } = condition
  return (
    (deviceIds === undefined || deviceIds.includes(id)) &&
    (appName === undefined || appName === app.name) &&
    (platform === undefined || platform === app.platform) &&
    (appVersion === undefined || appVersion === app.versionStr)
  )
}

export function approvalTarget(id: string): { type: 'approval'; id: string } {
  return { type: 'approval', id }
}

function after(fromMs: number, seconds: number | null): number | null {
  return seconds === null ? null : fromMs + seconds * 1000
}

function earliest(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}
