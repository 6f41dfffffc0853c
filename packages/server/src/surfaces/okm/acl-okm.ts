import type { AclLink } from '#domain/cabinets/acl.ts'
import { DomainError } from '#domain/errors.ts'
import type { Schemas } from './contract.gen.ts'
import { customerOf } from './customer.ts'
import type { Endpoint } from './endpoint.ts'
import { errorBody } from './errors.ts'
import { pageOf, toAclOkmPagination } from './pagination.ts'
import { fromUuid, toUuid } from './wire.ts'

/** Lets a cabinet carry an access list. */
export const createAclOkm: Endpoint<'createAclOkm'> = async ({ core, caller, body }) => {
  const tenantId = customerOf(caller, body.customer)
  const pair = { aclId: body.acl_id, cabinetId: body.okm_id }
  try {
    const link = await core.cabinetAclLinks.create(caller, tenantId, pair)
    return {
      status: 201,
      body: { message: 'Resource created successfully', data: toAclOkm(link) },
    }
  } catch (error) {
    const missing = missingText(error, pair)
    if (missing === undefined) throw error
    return { status: 404, body: errorBody('NOT_FOUND', missing) }
  }
}

/** The customer's links by access list, then by cabinet. */
export const listAclOkms: Endpoint<'listAclOkms'> = async ({ core, caller, query, request }) => {
  const tenantId = customerOf(caller, query.customer)
  const { items, totalCount } = await core.cabinetAclLinks.list(caller, tenantId, pageOf(query))
  return {
    status: 200,
    body: {
      message: 'Resource fetched successfully',
      pagination: toAclOkmPagination(request, query, totalCount),
      data: items.map(toAclOkm),
    },
  }
}

/** One link. */
export const getAclOkm: Endpoint<'getAclOkm'> = async ({ core, caller, params, query }) => {
  const tenantId = customerOf(caller, query.customer)
  const link = await core.cabinetAclLinks.get(caller, tenantId, fromUuid(params.aclOkmId))
  return {
    status: 200,
    body: { message: 'Resource fetched successfully', data: toAclOkm(link) },
  }
}

/** Takes an access list away from a cabinet. */
export const deleteAclOkm: Endpoint<'deleteAclOkm'> = async ({ core, caller, params, query }) => {
  const tenantId = customerOf(caller, query.customer)
  await core.cabinetAclLinks.delete(caller, tenantId, fromUuid(params.aclOkmId))
  return { status: 204 }
}

/** Both are named in the body, so which one is missing has to be said. */
function missingText(
  error: unknown,
  { aclId, cabinetId }: { readonly aclId: string; readonly cabinetId: string },
): string | undefined {
  if (!(error instanceof DomainError)) return undefined
  if (error.code === 'acl_not_found') return `ACL with id ${aclId} not found`
  if (error.code === 'cabinet_not_found') return `OKM with id ${cabinetId} not found`
  return undefined
}

function toAclOkm({ id, tenantId, aclId, cabinetId }: AclLink): Schemas['AclOkm'] {
  return { id: toUuid(id), customer: tenantId, acl_id: aclId, okm_id: cabinetId }
}
