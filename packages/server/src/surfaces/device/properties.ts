import type { Property } from '#domain/properties/property.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { instant } from './wire.ts'

/** What this device may see. */
export const listProperties: Endpoint<'listProperties'> = async ({ core, caller, query }) => ({
  status: 200,
  headers: { 'cache-control': 'no-store' },
  body: (await core.deviceProperties.list(caller, query.owner)).map(toProperty),
})

/** One property. */
export const getProperty: Endpoint<'getProperty'> = async ({ core, caller, params }) => {
  const property = await core.deviceProperties.get(caller, params)
  return { status: 200, headers: headersOf(property), body: toProperty(property) }
}

/** Makes a property, or changes its value. */
export const putProperty: Endpoint<'putProperty'> = async ({
  core,
  caller,
  params,
  headers,
  body,
}) => {
  const ifVersion = versionOf(headers['If-Match'])
  const write = { ...body, ifVersion }
  const { property, isNew } = await core.deviceProperties.put(caller, params, write)
  const reply = { headers: headersOf(property), body: toProperty(property) }
  return isNew ? { status: 201, ...reply } : { status: 200, ...reply }
}

function headersOf({ version }: Property) {
  return { etag: `"${version}"`, 'cache-control': 'no-store' }
}

/** Of an entity tag as the contract has them: a number in quotes. */
function versionOf(tag: string | undefined): number | undefined {
  return tag === undefined ? undefined : Number(tag.slice(1, -1))
}

function toProperty(property: Property): Schemas['Property'] {
  return {
    propertyId: property.id,
    owner: property.deviceId === null ? 'user' : 'device',
    name: property.name,
    type: property.type,
    value: property.value,
    version: property.version,
    readOnly: property.readOnly,
    notify: property.notify,
    inKeystorage: property.inKeystorage,
    cpFlags: property.cpFlags,
    updatedAt: instant(property.updatedAtMs),
  }
}
