import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type {
  ApprovalPush,
  ApprovalStatus,
  DeviceCondition,
  FailureReason,
} from '#domain/approvals/approval.ts'
import type { TmsMessage } from '#domain/approvals/tms-draft.ts'
import type { Tms } from '#domain/approvals/tms-service.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { toInstant } from './wire.ts'

export const retrievalSecondsDefault = 300
export const tmsSecondsDefault = 600
const displaySecondsDefault = 600

/** Asks a user for a signature. */
export const startTms: Endpoint<'startTms'> = async ({ core, caller, params, body }) => {
  const tms = await core.tms.start(caller, params.tenantId, {
    userName: body.userId,
    message: toMessage(body.tmsData),
    devices: toDevices(body),
    push: toPush(body.push, 'newTms'),
    retrievalSeconds: body.retrievalTimeout ?? retrievalSecondsDefault,
    decisionSeconds: body.tmsTimeout ?? tmsSecondsDefault,
    isExplicit: body.requireExplicitAuthentication ?? false,
    maxAgeSeconds: maxAgeOf(body.requireFreshnessOfAuthentication),
    auditMessage: body.auditMessage as JsonValue | undefined,
  })
  return { status: 202, body: toTmsStatus(tms) }
}

/** Takes a transaction back while it runs. */
export const cancelTms: Endpoint<'cancelTms'> = async ({ core, caller, params }) => {
  await core.tms.cancel(caller, params.tenantId, params.tmsId)
  return { status: 204 }
}

/** How a transaction stands. */
export const getTmsStatus: Endpoint<'getTmsStatus'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toTmsStatus(await core.tms.get(caller, params.tenantId, params.tmsId)),
})

/** How a transaction ended. */
export const getTmsResult: Endpoint<'getTmsResult'> = async ({ core, caller, params }) => {
  const { signedData, ...tms } = await core.tms.result(caller, params.tenantId, params.tmsId)
  const { decision, failureReason, failureMessage } = tms.approval
  return {
    status: 200,
    body: {
      info: toTmsStatus(tms),
      ...(decision === null ? {} : { completedBy: decision.deviceId }),
      ...(signedData === undefined ? {} : { signedData }),
      ...(failureReason === null
        ? {}
        : {
            failureReason: {
              reason: failureReasons[failureReason],
              ...(failureMessage === null ? {} : { message: failureMessage }),
            },
          }),
    },
  }
}

/** Sends a text that nobody answers. */
export const sendDisplayMessage: Endpoint<'sendDisplayMessage'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const id = await core.tms.sendMessage(caller, params.tenantId, {
    userName: body.userId,
    message: toMessage(body.displayMessageData),
    devices: toDevices(body),
    push: toPush(body.push, 'newDm'),
    displaySeconds: body.displayMessageTimeout ?? displaySecondsDefault,
    auditMessage: body.auditMessage as JsonValue | undefined,
  })
  return { status: 202, body: { id } }
}

const states = {
  PENDING: 'STARTED',
  RETRIEVED: 'DOWNLOADED',
  APPROVED: 'ACCEPTED',
  REJECTED: 'REJECTED',
  EXPIRED: 'TIMEOUT',
  CANCELLED: 'CANCELLED',
} as const satisfies Record<ApprovalStatus, Schemas['TmsState']>

const failureReasons = {
  USER_REJECTED: 'USER_REJECTED',
  SUSPICIOUS: 'USER_REJECTED',
  RETRIEVAL_TIMEOUT: 'RETRIEVAL_TIMEOUT',
  DECISION_TIMEOUT: 'COMPLETION_TIMEOUT',
  CANCELLED: 'CANCELLED',
  DEVICE_FAILURE: 'CLIENT_FAILURE',
} as const satisfies Record<FailureReason, Schemas['FailureReason']['reason']>

export function toMessage({ text, external = false, data }: Schemas['MessageData']): TmsMessage {
  return { text, isTemplate: external, data: data as TmsMessage['data'] }
}

/** -1 is off. */
export function maxAgeOf(freshness = -1): number | null {
  return freshness === -1 ? null : freshness
}

function toDevices({
  appFilter,
  astClientIds,
}: Pick<Schemas['StartTmsRequest'], 'appFilter' | 'astClientIds'>): DeviceCondition | undefined {
  if (appFilter === undefined && astClientIds === undefined) return undefined
  const { appName, platform, versionStr } = appFilter ?? {}
  return {
    ...(astClientIds === undefined ? {} : { deviceIds: [...new Set(astClientIds)] }),
    ...(appName === undefined ? {} : { appName }),
    ...(platform === undefined ? {} : { platform }),
    ...(versionStr === undefined ? {} : { appVersion: versionStr }),
  }
}

/** A part that is missing is the vendor's key for it, null none. */
function toPush(
  { title, body, skip = false }: NonNullable<Schemas['StartTmsRequest']['push']> = {},
  kind: 'newTms' | 'newDm',
): ApprovalPush {
  if (skip) return { skip }
  const key = `com.kobil.ast.tms.${kind}`
  return {
    title: title === undefined ? `${key}.title` : title,
    body: body === undefined ? `${key}.body` : body,
  }
}

function toTmsStatus({ approval, userName }: Tms): Schemas['TmsStatus'] {
  const { timeouts, devices, retrievedAtMs, completedAtMs } = approval
  return {
    id: approval.id,
    status: states[approval.status],
    startedAt: toInstant(approval.createdAtMs),
    ...(retrievedAtMs === null ? {} : { retrievedAt: toInstant(retrievedAtMs) }),
    ...(completedAtMs === null ? {} : { completedAt: toInstant(completedAtMs) }),
    // Approvals without these are not seen here.
    retrievalTimeout: timeouts.retrievalSeconds ?? 0,
    tmsTimeout: timeouts.decisionSeconds ?? 0,
    userId: userName,
    ...(devices?.appName === undefined
      ? {}
      : { appFilter: toAppFilter({ ...devices, appName: devices.appName }) }),
    ...(devices?.deviceIds === undefined ? {} : { astClientIds: [...devices.deviceIds] }),
  }
}

function toAppFilter({
  appName,
  platform,
  appVersion,
}: DeviceCondition & { readonly appName: string }): Schemas['AppFilter'] {
  return {
    appName,
    ...(platform === undefined ? {} : { platform }),
    ...(appVersion === undefined ? {} : { versionStr: appVersion }),
  }
}
