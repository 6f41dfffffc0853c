import { customerOf } from './customer.ts'
import type { Endpoint } from './endpoint.ts'
import { errorBody, methodsBesidePatch } from './errors.ts'
import { fromOkm, fromOkmContact, toOkm } from './okm-wire.ts'
import { pageOf, toPagination } from './pagination.ts'

/** Registers a cabinet. */
export const createOkm: Endpoint<'createOkm'> = async ({ core, caller, body }) => {
  const tenantId = customerOf(caller, body.customer)
  const okm = await core.cabinets.register(caller, tenantId, fromOkm(body), fromOkmContact(body))
  return {
    status: 201,
    body: { status: 201, msg: 'Okm registered successfully', data: { okm: toOkm(okm) } },
  }
}

/** The customer's cabinets in the order of their ids. */
export const listOkms: Endpoint<'listOkms'> = async ({ core, caller, query, request }) => {
  const tenantId = customerOf(caller, query.customer)
  const { items, totalCount } = await core.cabinets.list(caller, tenantId, pageOf(query))
  return {
    status: 200,
    body: {
      status: 200,
      msg: 'OKM fetched successfully',
      data: items.map(toOkm),
      pagination: toPagination(request, query, totalCount),
    },
  }
}

/** Partial updates do not exist. */
export const patchOkmCollection: Endpoint<'patchOkmCollection'> = async () =>
  cannotPatch('patchOkmCollection')

/** One cabinet; the published text speaks of a lock. */
export const getOkm: Endpoint<'getOkm'> = async ({ core, caller, params, query }) => {
  const okm = await core.cabinets.get(caller, customerOf(caller, query.customer), params.okmId)
  return {
    status: 200,
    body: { status: 200, msg: 'Lock fetched successfully', data: { okm: toOkm(okm) } },
  }
}

/** Replaces all that the customer says of a cabinet. */
export const updateOkm: Endpoint<'updateOkm'> = async ({ core, caller, params, query, body }) => {
  const tenantId = customerOf(caller, query.customer, body.customer)
  if (body.id !== params.okmId) {
    return { status: 400, body: errorBody('ID_MISMATCH', 'OKM id mismatch') }
  }
  const okm = await core.cabinets.replace(caller, tenantId, fromOkm(body))
  return {
    status: 200,
    body: { status: 200, msg: 'Okm updated successfully', data: { okm: toOkm(okm) } },
  }
}

/** Removes a cabinet and its links. A foreign customer is told otherwise than anywhere else. */
export const deleteOkm: Endpoint<'deleteOkm'> = async ({ core, caller, params, query }) => {
  const { customer } = query
  if (customer !== undefined && customer !== caller.tenantId) {
    const text = `OKM with id ${params.okmId} or ${customer} not found`
    return { status: 400, body: errorBody('BAD_REQUEST', text) }
  }
  await core.cabinets.delete(caller, customerOf(caller), params.okmId)
  return { status: 204 }
}

/** Partial updates do not exist, whether or not the cabinet does. */
export const patchOkm: Endpoint<'patchOkm'> = async () => cannotPatch('patchOkm')

function cannotPatch(operationId: string) {
  return {
    status: 405,
    headers: { allow: methodsBesidePatch[operationId]?.join(', ') ?? '' },
    body: errorBody('METHOD_NOT_ALLOWED', 'Cannot PATCH'),
  } as const
}
