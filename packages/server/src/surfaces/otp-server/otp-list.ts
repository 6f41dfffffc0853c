import { Readable } from 'node:stream'
import type { OtpListQuery } from '#domain/otp-lists/otp-list-service.ts'
import { writeXml, type XmlElement, xmlParts } from '#http/xml.ts'
import type { Schemas } from './contract.gen.ts'
import { foundListElement, newListElement, ownedListElement } from './elements.ts'
import { type Endpoint, tenantOf } from './endpoint.ts'
import { findNamedUser, instantOf, merged, namedUser, wantedAge } from './parameters.ts'
import { coreStatus, fromUuid, noStore } from './wire.ts'

/** Creates one list. */
export const createOtpList: Endpoint<'createOtpList'> = async (input) => {
  const { core, caller, params, query, body } = input
  const order = { method: params['method-name'], count: 1, ...wantedAge(query, body) }
  const [created] = await core.otpLists.create(caller, tenantOf(caller), order)
  if (created === undefined) throw new Error('No list was made of one.')
  return { status: 200, headers: noStore, body: writeXml(newListElement(created)) }
}

/** Creates several lists, all or none. The answer may hold 100,000 codes: it is written a list at a time. */
export const createOtpListBatch: Endpoint<'createOtpListBatch'> = async (input) => {
  const { core, caller, params, query, body } = input
  const count = merged('batch-size', query['batch-size'], body?.['batch-size']) ?? 1
  const order = { method: params['method-name'], count, ...wantedAge(query, body) }
  const created = await core.otpLists.create(caller, tenantOf(caller), order)
  const response: XmlElement = {
    name: 'batch-response',
    attributes: { 'batch-size': created.length },
    content: created.values().map(newListElement),
  }
  return { status: 200, headers: noStore, body: Readable.from(xmlParts(response)) }
}

/** Finds lists that match conditions. */
export const queryOtpLists: Endpoint<'queryOtpLists'> = async (input) => {
  const { core, caller, params, query } = input
  const named = findNamedUser(query)
  const conditions: OtpListQuery = {
    method: params['method-name'],
    statuses: query.status?.map((status) => coreStatus[status]),
    user: named?.reference,
    createdAfterMs: instantOf('created-after', query['created-after']),
    createdBeforeMs: instantOf('created-before', query['created-before']),
    expiresAfterMs: instantOf('expires-after', query['expires-after']),
    expiresBeforeMs: instantOf('expires-before', query['expires-before']),
    remainingMax: query['remaining-max'],
  }
  const limit = query['page-size']
  const page = { limit, cursor: query['page-token'] }
  const { items, nextCursor } = await core.otpLists.query(
    caller,
    tenantOf(caller),
    conditions,
    page,
  )
  const response: XmlElement = {
    name: 'query-response',
    attributes: { count: items.length, 'page-size': limit, 'next-page-token': nextCursor },
    content: items.map((list) => foundListElement(list, named)),
  }
  return { status: 200, headers: noStore, body: writeXml(response) }
}

/** Looks up the status of a list. */
export const getOtpList: Endpoint<'getOtpList'> = async ({ core, caller, params }) => {
  const { listId, of } = listNamedBy(params)
  const list = await core.otpLists.get(caller, tenantOf(caller), listId, of)
  return { status: 200, headers: noStore, body: writeXml(ownedListElement(list)) }
}

/** Ties a free list to a user. */
export const associateOtpList: Endpoint<'associateOtpList'> = async (input) => {
  const { core, caller, params, query } = input
  const { listId, of } = listNamedBy(params)
  const named = namedUser(query)
  const list = await core.otpLists.associate(caller, tenantOf(caller), listId, named.reference, of)
  return { status: 200, headers: noStore, body: writeXml(ownedListElement(list, named)) }
}

/** Removes a list in any state. */
export const deleteOtpList: Endpoint<'deleteOtpList'> = async ({ core, caller, params }) => {
  const { listId, of } = listNamedBy(params)
  await core.otpLists.delete(caller, tenantOf(caller), listId, of)
  return { status: 204, headers: noStore }
}

/** @param params validated: the id is a UUID. */
export function listNamedBy(params: {
  readonly 'method-name': string
  readonly 'list-id': Schemas['Uuid']
}): { listId: string; of: { method: string } } {
  return { listId: fromUuid(params['list-id']), of: { method: params['method-name'] } }
}
