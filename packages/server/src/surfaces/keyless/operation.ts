import type { Approval } from '#domain/approvals/approval.ts'
import { type Operation, operationIdOf } from '#domain/approvals/operation.ts'
import type { Schemas } from './contract.gen.ts'
import { customerOf, type Endpoint } from './endpoint.ts'
import { coreFactor, noStore, success, toLocalDateTime, wireFactor } from './wire.ts'

/** Lists what a user has not decided yet. */
export const listPendingOperations: Endpoint<'listPendingOperations'> = async ({
  core,
  caller,
  params,
}) => {
  const pending = await core.operations.listPending(caller, customerOf(caller), params.userId)
  return { status: 200, headers: noStore, body: pending.map(toPending) }
}

/** Asks a user for an approval. */
export const createPendingOperation: Endpoint<'createPendingOperation'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { operationId, operationPayload, externalUserId, authType } = body
  await core.operations.create(caller, customerOf(caller), {
    keylessUserId: params.userId,
    operationId,
    payload: operationPayload,
    externalUserId,
    factor: authType && coreFactor[authType],
  })
  return { status: 200, headers: noStore, body: success }
}

/** Shows an operation in whatever state. */
export const getOperation: Endpoint<'getOperation'> = async ({ core, caller, params }) => {
  const customer = customerOf(caller)
  const operation = await core.operations.get(caller, customer, params.operationId)
  const { approval, number, keylessUserId, operationId } = operation
  const { text, externalUserId, status } = approval
  const authType = factorOf(operation)
  const outcome = outcomes[status]
  return {
    status: 200,
    headers: noStore,
    body: {
      id: number,
      timestamp: toLocalDateTime(approval.createdAtMs),
      nodeId: core.nodeId,
      userId: keylessUserId,
      apiKey: `sdk-public-${customer}`,
      ...(externalUserId === null ? {} : { externalUserId }),
      operationId,
      ...(text === null ? {} : { operationPayload: text }),
      result: status === 'APPROVED',
      ...(authType === undefined ? {} : { authType }),
      state: status === 'APPROVED' ? 'approved' : 'pending',
      ...(outcome === undefined ? {} : { outcome }),
    },
  }
}

/** The published states are two; what has become of the others is told beside them. A cancelled one has had its time. */
const outcomes = {
  PENDING: undefined,
  RETRIEVED: undefined,
  APPROVED: 'approved',
  REJECTED: 'rejected',
  EXPIRED: 'expired',
  CANCELLED: 'expired',
} as const satisfies Record<Approval['status'], Schemas['Operation']['outcome'] | undefined>

function toPending(approval: Approval): Schemas['PendingOperation'] {
  const { text, externalUserId, authentication } = approval
  const { factor } = authentication
  return {
    operationId: operationIdOf(approval),
    ...(text === null ? {} : { operationPayload: text }),
    ...(externalUserId === null ? {} : { externalUserId }),
    ...(factor === null ? {} : { authType: wireFactor[factor] }),
  }
}

/** Used for the approval; before it, the one that is asked for. */
function factorOf({ approval }: Operation): Schemas['AuthType'] | undefined {
  const { status, decision, authentication } = approval
  const factor = (status === 'APPROVED' ? decision?.factor : undefined) ?? authentication.factor
  return factor === null ? undefined : wireFactor[factor]
}
