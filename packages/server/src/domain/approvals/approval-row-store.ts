import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { ApprovalTable } from '#storage/schema/approvals.ts'
import { statement } from '#storage/statement.ts'
import type { SurfaceName } from '../callers/caller.ts'
import type { Factor } from '../devices/device.ts'
import type {
  Approval,
  ApprovalKind,
  ApprovalPush,
  ApprovalStatus,
  DeviceCondition,
  EvidenceKind,
  FailureReason,
} from './approval.ts'

/** Does nothing when the number is taken. */
export const insert = statement((db, row: ApprovalTable) =>
  db
    .insertInto('approval')
    .values({
      tenant_id: row.tenant_id,
      id: row.id,
      number: row.number,
      reference: row.reference,
      kind: row.kind,
      evidence: row.evidence,
      user_id: row.user_id,
      status: row.status,
      text: row.text,
      template_key: row.template_key,
      data: row.data,
      retrieval_seconds: row.retrieval_seconds,
      decision_seconds: row.decision_seconds,
      total_seconds: row.total_seconds,
      factor: row.factor,
      explicit_scope: row.explicit_scope,
      max_age_seconds: row.max_age_seconds,
      device_filter: row.device_filter,
      push: row.push,
      external_user_id: row.external_user_id,
      surface: row.surface,
      created_by: row.created_by,
      created_at: row.created_at,
      retrieved_at: row.retrieved_at,
      expires_at: row.expires_at,
      completed_at: row.completed_at,
      erase_at: row.erase_at,
      device_id: row.device_id,
      decided_factor: row.decided_factor,
      failure_reason: row.failure_reason,
      failure_message: row.failure_message,
    })
    .onConflict((taken) => taken.doNothing()),
)

/** An approval as its row. */
export function asRow(approval: Approval): ApprovalTable {
  const { timeouts, authentication, decision } = approval
  return {
    tenant_id: approval.tenantId,
    id: approval.id,
    // Given by the store: it is the next free one.
    number: null,
    reference: approval.reference,
    kind: approval.kind,
    evidence: approval.evidence,
    user_id: approval.userId,
    status: approval.status,
    text: approval.text,
    template_key: approval.templateKey,
    data: json(approval.data),
    retrieval_seconds: timeouts.retrievalSeconds,
    decision_seconds: timeouts.decisionSeconds,
    total_seconds: timeouts.totalSeconds,
    factor: authentication.factor,
    explicit_scope: authentication.explicitScope,
    max_age_seconds: authentication.maxAgeSeconds,
    device_filter: json(approval.devices),
    push: json(approval.push),
    external_user_id: approval.externalUserId,
    surface: approval.surface,
    created_by: approval.createdBy,
    created_at: approval.createdAtMs,
    retrieved_at: approval.retrievedAtMs,
    expires_at: approval.expiresAtMs,
    completed_at: approval.completedAtMs,
    erase_at: null,
    device_id: decision?.deviceId ?? null,
    decided_factor: decision?.factor ?? null,
    failure_reason: approval.failureReason,
    failure_message: approval.failureMessage,
  }
}

/** A row as the approval that it holds; deadlines are not looked at. */
export function asApproval(row: ApprovalTable): Approval {
  return {
    tenantId: row.tenant_id,
    id: row.id,
    reference: row.reference,
    kind: row.kind as ApprovalKind,
    evidence: row.evidence as EvidenceKind,
    userId: row.user_id,
    status: row.status as ApprovalStatus,
    text: row.text,
    templateKey: row.template_key,
    data: parsed<{ readonly [name: string]: JsonValue }>(row.data),
    timeouts: {
      retrievalSeconds: row.retrieval_seconds,
      decisionSeconds: row.decision_seconds,
      totalSeconds: row.total_seconds,
    },
    authentication: {
      factor: row.factor as Factor | null,
      explicitScope: row.explicit_scope,
      maxAgeSeconds: row.max_age_seconds,
    },
    devices: parsed<DeviceCondition>(row.device_filter),
    push: parsed<ApprovalPush>(row.push),
    externalUserId: row.external_user_id,
    surface: row.surface as SurfaceName,
    createdBy: row.created_by,
    createdAtMs: row.created_at,
    retrievedAtMs: row.retrieved_at,
    expiresAtMs: row.expires_at,
    completedAtMs: row.completed_at,
    decision:
      row.device_id === null || row.completed_at === null
        ? null
        : {
            deviceId: row.device_id,
            factor: row.decided_factor as Factor | null,
            atMs: row.completed_at,
          },
    failureReason: row.failure_reason as FailureReason | null,
    failureMessage: row.failure_message,
  }
}

function json(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value)
}

function parsed<T>(text: string | null): T | null {
  return text === null ? null : (JSON.parse(text) as T)
}
