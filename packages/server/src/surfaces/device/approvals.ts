import { encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import {
  type Approval,
  authTimeAtLeast,
  isFinal,
  messageDeadline,
} from '#domain/approvals/approval.ts'
import type { InboxItem } from '#domain/approvals/approval-inbox.ts'
import { contentHash } from '#domain/approvals/content.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { instant } from './wire.ts'

/** What waits for the user on this device. */
export const listApprovals: Endpoint<'listApprovals'> = async ({ core, caller }) => ({
  status: 200,
  body: (await core.approvalInbox.list(caller)).map(toSummary),
})

/** Fetches an approval; the first call freezes what the device is shown. */
export const retrieveApproval: Endpoint<'retrieveApproval'> = async ({
  core,
  caller,
  params,
  headers,
}) => {
  const languages = headers['Accept-Language']
  const item = await core.approvalInbox.retrieve(caller, params.approvalId, languages)
  return {
    status: 200,
    headers: { 'cache-control': 'no-store' },
    body: toApproval(item, caller.deviceId, core.clock()),
  }
}

/** Decides, for ever. */
export const decideApproval: Endpoint<'decideApproval'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { approval, signedJwt } = await core.decisions.decide(caller, params.approvalId, body)
  const { id, status, completedAtMs } = approval
  return {
    status: 200,
    body: {
      approvalId: id,
      status: status as 'APPROVED' | 'REJECTED' | 'EXPIRED',
      completedAt: instant(completedAtMs ?? core.clock()),
      ...(signedJwt === undefined ? {} : { signedJwt }),
    },
  }
}

/** Authenticates without a pending approval. */
export const authenticateUser: Endpoint<'authenticateUser'> = async ({ core, caller, body }) => {
  const done = await core.spontaneous.authenticate(caller, body)
  return {
    status: 200,
    body: {
      userId: done.userId,
      factor: done.factor,
      authenticatedAt: instant(done.atMs),
      ...(done.reference === undefined ? {} : { reference: done.reference }),
      ...(done.signedJwt === undefined ? {} : { signedJwt: done.signedJwt }),
    },
  }
}

function toSummary(approval: Approval): Schemas['ApprovalSummary'] {
  const deadlineMs = shownDeadline(approval)
  return {
    approvalId: approval.id,
    kind: approval.kind,
    status: approval.status,
    createdAt: instant(approval.createdAtMs),
    ...(deadlineMs === null ? {} : { expiresAt: instant(deadlineMs) }),
    ...(approval.reference === null ? {} : { reference: approval.reference }),
  }
}

function toApproval(
  { approval, delivery }: InboxItem,
  deviceId: string,
  nowMs: number,
): Schemas['Approval'] {
  const { retrievedAtMs, completedAtMs, externalUserId, decision } = approval
  const deadlineMs = shownDeadline(approval)
  const isOver = isFinal(approval) && approval.kind !== 'MESSAGE'
  const shown = isOver ? undefined : delivery
  return {
    ...toSummary(approval),
    userId: approval.userId,
    ...(retrievedAtMs === null ? {} : { retrievedAt: instant(retrievedAtMs) }),
    ...(completedAtMs === null || !isOver ? {} : { completedAt: instant(completedAtMs) }),
    ...(deadlineMs === null
      ? {}
      : { remainingSeconds: Math.max(0, Math.floor((deadlineMs - nowMs) / 1000)) }),
    ...(externalUserId === null ? {} : { externalUserId }),
    ...(shown === undefined
      ? {}
      : {
          content: {
            mediaType: shown.mediaType,
            bytes: encodeBase64(shown.bytes),
            sha256: contentHash(shown.bytes),
            ...(shown.locale === null ? {} : { locale: shown.locale }),
          },
          challenge: shown.challenge,
        }),
    requirements: toRequirements(approval),
    ...(isOver ? { decidedByThisDevice: decision?.deviceId === deviceId } : {}),
  }
}

function toRequirements(approval: Approval): Schemas['Requirements'] {
  const { authentication, retrievedAtMs, evidence } = approval
  const { factor, explicitScope, maxAgeSeconds } = authentication
  const atLeast =
    retrievedAtMs === null ? undefined : authTimeAtLeast(authentication, retrievedAtMs)
  return {
    evidence,
    ...(factor === null ? {} : { factor }),
    ...(explicitScope === null ? {} : { scope: explicitScope }),
    ...(maxAgeSeconds === null ? {} : { maxAgeSeconds: Math.max(2, maxAgeSeconds) }),
    ...(atLeast === undefined ? {} : { authTimeAtLeast: atLeast }),
  }
}

/** The next deadline; of a message, until when it can be fetched. */
function shownDeadline(approval: Approval): number | null {
  if (approval.kind === 'MESSAGE') return messageDeadline(approval)
  return isFinal(approval) ? null : approval.expiresAtMs
}
