import type { ApprovalDraft } from '#domain/approvals/approval-draft.ts'
import { approvalView } from '#domain/approvals/approval-view.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { fromInstant, pathOf } from './wire.ts'

const factors = { ANY: undefined, PIN: 'pin', BIOMETRIC: 'bio' } as const

/** Asks a user. */
export const createApproval: Endpoint<'createApproval'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const approval = await core.approvals.create(caller, params.tenantId, draftOf(body))
  return {
    status: 201,
    headers: { location: pathOf('tenants', params.tenantId, 'approvals', approval.id) },
    body: toApproval(approval),
  }
}

/** Newest first. */
export const listApprovals: Endpoint<'listApprovals'> = async ({ core, caller, params, query }) => {
  const { from, to, ...filters } = query
  const page = await core.approvals.list(caller, params.tenantId, {
    ...filters,
    fromMs: fromInstant(from, 'query:from'),
    toMs: fromInstant(to, 'query:to'),
  })
  return { status: 200, body: { ...page, items: page.items.map(toApproval) } }
}

/** One approval, as it is now. */
export const getApproval: Endpoint<'getApproval'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toApproval(await core.approvals.get(caller, params.tenantId, params.approvalId)),
})

/** Takes a question back. */
export const cancelApproval: Endpoint<'cancelApproval'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toApproval(await core.approvals.cancel(caller, params.tenantId, params.approvalId)),
})

/** What proves a decision to a third party. */
export const getApprovalEvidence: Endpoint<'getApprovalEvidence'> = async ({
  core,
  caller,
  params,
}) => {
  const evidence = await core.evidence.get(caller, params.tenantId, params.approvalId)
  return { status: 200, body: evidence as unknown as Schemas['ApprovalEvidence'] }
}

function draftOf(body: Schemas['ApprovalCreate']): ApprovalDraft {
  const { authentication, auditNote, data, ...rest } = body
  return {
    ...rest,
    ...(data === undefined ? {} : { data: data as NonNullable<ApprovalDraft['data']> }),
    ...(auditNote === undefined
      ? {}
      : { auditNote: auditNote as NonNullable<ApprovalDraft['auditNote']> }),
    ...(authentication === undefined
      ? {}
      : { authentication: { ...authentication, factor: factors[authentication.factor ?? 'ANY'] } }),
  }
}

function toApproval(approval: Parameters<typeof approvalView>[0]): Schemas['Approval'] {
  return approvalView(approval) as unknown as Schemas['Approval']
}
