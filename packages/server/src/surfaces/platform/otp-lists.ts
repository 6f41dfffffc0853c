import type { Caller } from '#domain/callers/caller.ts'
import { DomainError } from '#domain/errors.ts'
import type { OtpList } from '#domain/otp-lists/otp-list.ts'
import type { Endpoint, PlatformCore } from './endpoint.ts'
import {
  addressesReply,
  dataReply,
  designOf,
  pagesReply,
  requireFittingRecipients,
} from './otp-list-output.ts'
import { toOtpList, toOtpListMethod } from './otp-list-wire.ts'
import { fromInstant, pathOf } from './wire.ts'

/** Creates a list method; what is absent is the default. */
export const createOtpListMethod: Endpoint<'createOtpListMethod'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const method = await core.otpListMethods.create(caller, params.tenantId, body)
  const location = pathOf('tenants', params.tenantId, 'otp-list-methods', method.name)
  return { status: 201, headers: { location }, body: toOtpListMethod(method) }
}

/** Methods in order of creation. */
export const listOtpListMethods: Endpoint<'listOtpListMethods'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const page = await core.otpListMethods.list(caller, params.tenantId, query)
  return { status: 200, body: { ...page, items: page.items.map(toOtpListMethod) } }
}

/** One method. */
export const getOtpListMethod: Endpoint<'getOtpListMethod'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toOtpListMethod(await core.otpListMethods.get(caller, params.tenantId, params.method)),
})

/** Changes settings. */
export const updateOtpListMethod: Endpoint<'updateOtpListMethod'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, method } = params
  const updated = await core.otpListMethods.update(caller, tenantId, method, body)
  return { status: 200, body: toOtpListMethod(updated) }
}

/** Deletes a method without lists. */
export const deleteOtpListMethod: Endpoint<'deleteOtpListMethod'> = async ({
  core,
  caller,
  params,
}) => {
  await core.otpListMethods.delete(caller, params.tenantId, params.method)
  return { status: 204 }
}

/** Makes lists and sends their codes, once; the lists are committed before the first byte. */
export const createOtpLists: Endpoint<'createOtpLists'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { output = 'JSON', recipients, method, count, user } = body
  requireFittingRecipients(body)
  const expiresAtMs = fromInstant(body.expiresAt, '/expiresAt')
  const order = { method, count, user, expiresAtMs, maxAgeSeconds: body.maxAgeSeconds }
  if (output === 'JSON' || output === 'CSV') {
    return dataReply(await core.otpLists.create(caller, params.tenantId, order), output)
  }
  const title = body.title ?? (await tenantName(core, caller, params.tenantId))
  const pointed = recipients?.map((lines, index) => ({ lines, pointer: `/recipients/${index}` }))
  const design = await designOf(output, { ...body, title }, pointed ?? [])
  const lists = await core.otpLists.create(caller, params.tenantId, order)
  return pagesReply(lists, output, { design, recipients })
}

/** Prints names and addresses beside ids of lists; no codes. */
export const printOtpListAddresses: Endpoint<'printOtpListAddresses'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { output = 'PDF', addresses } = body
  const { tenantId } = params
  const title = body.title ?? (await tenantName(core, caller, tenantId))
  const pointed = addresses.map(({ recipient: lines }, index) => ({
    lines,
    pointer: `/addresses/${index}/recipient`,
  }))
  const design = await designOf(output, { ...body, title }, pointed)
  let atMs = 0
  for (const [index, { listId }] of addresses.entries()) {
    const list = await namedList(core, caller, {
      tenantId,
      listId,
      pointer: `/addresses/${index}/listId`,
    })
    atMs = Math.max(atMs, list.createdAtMs)
  }
  return addressesReply(addresses, output, { design, atMs })
}

/** Lists in order of creation, all or those that fit every filter. */
export const listOtpLists: Endpoint<'listOtpLists'> = async ({ core, caller, params, query }) => {
  const { limit, cursor, method, status, userId, remainingMax } = query
  const conditions = {
    method,
    statuses: status && [status],
    ...(userId === undefined ? {} : { user: { id: userId } }),
    expiresBeforeMs: fromInstant(query.expiresBefore, 'query:expiresBefore'),
    remainingMax,
  }
  const page = await core.otpLists.query(caller, params.tenantId, conditions, { limit, cursor })
  return { status: 200, body: { ...page, items: page.items.map(toOtpList) } }
}

/** The state of a list. */
export const getOtpList: Endpoint<'getOtpList'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toOtpList(await core.otpLists.get(caller, params.tenantId, params.listId)),
})

/** Deletes a list in any state. */
export const deleteOtpList: Endpoint<'deleteOtpList'> = async ({ core, caller, params }) => {
  await core.otpLists.delete(caller, params.tenantId, params.listId)
  return { status: 204 }
}

/** Gives a free list to a user. */
export const associateOtpList: Endpoint<'associateOtpList'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, listId } = params
  const list = await core.otpLists.associate(caller, tenantId, listId, body.user)
  return { status: 200, body: toOtpList(list) }
}

async function tenantName(core: PlatformCore, caller: Caller, tenantId: string): Promise<string> {
  return (await core.tenants.get(caller, tenantId)).name
}

/** A list that the body names. */
async function namedList(
  core: PlatformCore,
  caller: Caller,
  { tenantId, listId, pointer }: { tenantId: string; listId: string; pointer: string },
): Promise<OtpList> {
  try {
    return await core.otpLists.get(caller, tenantId, listId)
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'list_not_found') throw error
    throw new DomainError('list_not_found', 'No such list.', { pointer, cause: error })
  }
}
