import { type FilterProperties, parseFilters } from '#domain/filter/filter-parser.ts'
import type { Property, PropertyDraft } from '#domain/properties/property.ts'
import type { NamedProperty } from '#domain/properties/property-service.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { filtersOf, noStore, pageOf, totalCountHeader } from './wire.ts'

/** A value is compared as the type of its property says. */
const filterProperties: FilterProperties = {
  name: { field: 'name', kind: 'text' },
  id: { field: 'id', kind: 'text' },
  value: { field: 'value', kind: 'text' },
}

/** A user's properties on all clients. */
export const listUserProperties: Endpoint<'listUserProperties'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const owner = { userName: params.userId, deviceId: null }
  const { items, totalCount } = await core.properties.list(caller, params.tenantId, owner, {
    ...pageOf(query),
    condition: parseFilters(filtersOf(query), filterProperties),
  })
  const headers = { ...totalCountHeader(totalCount), ...noStore }
  return { status: 200, headers, body: items.map(toProperty) }
}

/** A user's properties on one client. */
export const listClientProperties: Endpoint<'listClientProperties'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const owner = { userName: params.userId, deviceId: params.astClientId }
  const { items, totalCount } = await core.properties.list(caller, params.tenantId, owner, {
    ...pageOf(query),
    condition: parseFilters(filtersOf(query), filterProperties),
  })
  const headers = { ...totalCountHeader(totalCount), ...noStore }
  return { status: 200, headers, body: items.map(toProperty) }
}

/** Makes a property. */
export const createProperty: Endpoint<'createProperty'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId } = params
  const owner = { userName: body.userId, deviceId: body.astClientId ?? null }
  const { id } = await core.properties.create(caller, tenantId, owner, toDraft(body))
  const location = `/ast/v1/tenants/${encodeURIComponent(tenantId)}/portal/properties/${id}`
  return { status: 201, headers: { location }, body: { id } }
}

/** One property. */
export const getProperty: Endpoint<'getProperty'> = async ({ core, caller, params }) => {
  const { tenantId, propertyId } = params
  const property = await core.properties.get(caller, tenantId, propertyId)
  return { status: 200, headers: noStore, body: toProperty(property) }
}

/** Replaces everything but whose it is. */
export const updateProperty: Endpoint<'updateProperty'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, propertyId } = params
  await core.properties.update(caller, tenantId, propertyId, toDraft(body))
  return { status: 204 }
}

/** Deletes a property. */
export const deleteProperty: Endpoint<'deleteProperty'> = async ({ core, caller, params }) => {
  await core.properties.delete(caller, params.tenantId, params.propertyId)
  return { status: 204 }
}

/** Deletes a property of the user on all clients. */
export const deleteUserPropertyByName: Endpoint<'deleteUserPropertyByName'> = async ({
  core,
  caller,
  params,
}) => {
  const { tenantId, userId, propertyName } = params
  const owner = { userName: userId, deviceId: null }
  await core.properties.deleteByName(caller, tenantId, owner, propertyName)
  return { status: 204 }
}

/** Deletes a property of the user on one client. */
export const deleteClientPropertyByName: Endpoint<'deleteClientPropertyByName'> = async ({
  core,
  caller,
  params,
}) => {
  const { tenantId, userId, astClientId, propertyName } = params
  const owner = { userName: userId, deviceId: astClientId }
  await core.properties.deleteByName(caller, tenantId, owner, propertyName)
  return { status: 204 }
}

const booleanMembers: readonly string[] = ['readOnly', 'notify', 'inKeystorage']
const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
])

/** The samples of the page have booleans and `cpFlags` as texts (ast.md, section 10). */
export function withPropertyTypes(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return Object.fromEntries(
    Object.entries(body).map(([member, value]) => [member, typed(member, value)]),
  )
}

function typed(member: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (booleanMembers.includes(member)) return booleans.get(value) ?? value
  return member === 'cpFlags' && /^\d{1,3}$/.test(value) ? Number(value) : value
}

function toDraft(body: Schemas['PropertyWrite']): PropertyDraft {
  const { encryption = 'NONE', readOnly = false, notify = false } = body
  const { inKeystorage = false, cpFlags = 0, visibility } = body
  return {
    name: body.name,
    type: body.type,
    value: body.value,
    encryption,
    readOnly,
    notify,
    inKeystorage,
    cpFlags,
    // In one order, so that the same viewers are the same.
    visibility: viewers.filter((viewer) => visibility?.includes(viewer) === true),
  }
}

const viewers: Property['visibility'] = ['CLIENT', 'INTERNAL', 'EXTERNAL']

function toProperty(property: NamedProperty): Schemas['Property'] {
  return {
    id: property.id,
    name: property.name,
    type: property.type,
    value: property.value,
    encryption: property.encryption,
    readOnly: property.readOnly,
    notify: property.notify,
    inKeystorage: property.inKeystorage,
    cpFlags: property.cpFlags,
    visibility: [...property.visibility],
    userId: property.userName,
    astClientId: property.deviceId,
  }
}
