import type { Firmware } from '#domain/cabinets/firmware.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { pageOf, toPagination } from './pagination.ts'
import { fromUuid, toUuid } from './wire.ts'

/** Publishes where a version is to be had. */
export const createFirmware: Endpoint<'createFirmware'> = async ({ core, caller, body }) => {
  const firmware = await core.cabinetFirmware.create(caller, body)
  return {
    status: 201,
    body: { status: 201, msg: 'Firmware created successfully', data: toFirmware(firmware) },
  }
}

/** Entries by type, the newest version first. */
export const listFirmware: Endpoint<'listFirmware'> = async ({ core, caller, query, request }) => {
  const filter = { type: query.type, ...pageOf(query) }
  const { items, totalCount } = await core.cabinetFirmware.list(caller, filter)
  return {
    status: 200,
    body: {
      status: 200,
      msg: 'Firmwares fetched successfully',
      data: items.map(toFirmware),
      pagination: toPagination(request, query, totalCount),
    },
  }
}

/** One entry; this reply has no `status`. */
export const getFirmware: Endpoint<'getFirmware'> = async ({ core, caller, params }) => ({
  status: 200,
  body: {
    msg: 'Firmwares fetched successfully',
    data: toFirmware(await core.cabinetFirmware.get(caller, fromUuid(params.firmwareId))),
  },
})

/** Replaces an entry. */
export const updateFirmware: Endpoint<'updateFirmware'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const firmware = await core.cabinetFirmware.replace(caller, fromUuid(params.firmwareId), body)
  return {
    status: 200,
    body: { status: 200, msg: 'Firmware updated successfully', data: toFirmware(firmware) },
  }
}

/** Removes an entry; it is offered to no device any more. */
export const deleteFirmware: Endpoint<'deleteFirmware'> = async ({ core, caller, params }) => {
  await core.cabinetFirmware.delete(caller, fromUuid(params.firmwareId))
  return { status: 204 }
}

function toFirmware({ id, type, version, url }: Firmware): Schemas['Firmware'] {
  return { id: toUuid(id), type, version, url }
}
