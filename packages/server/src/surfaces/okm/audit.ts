import type { FastifyRequest } from 'fastify'
import type { AuditBody } from '#domain/cabinets/audit-service.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { deviceAddresses } from './wire.ts'

/** Takes in what a cabinet read from keys: bytes, or readable events of a software one. */
export const uploadAuditRecords: Endpoint<'uploadAuditRecords'> = async ({
  core,
  caller,
  params,
  body,
  request,
}) => {
  await core.cabinetAudit.upload(caller, params.serialNumber, fromUpload(body, request))
  return { status: 204 }
}

/** The same on the path that is burnt into cabinets; the answer names the path that is to be used. */
export const uploadAuditRecordsLegacy: Endpoint<'uploadAuditRecordsLegacy'> = async ({
  core,
  caller,
  params,
  body,
  request,
}) => {
  await core.cabinetAudit.upload(caller, params.serialNumber, fromUpload(body, request))
  return { status: 200, body: { auditUrl: deviceAddresses.auditUrl } }
}

/** Records of wireless keys, which come by way of another server and name no cabinet. */
export const uploadLoraKeyAuditRecords: Endpoint<'uploadLoraKeyAuditRecords'> = async ({
  core,
  caller,
  body,
  request,
}) => {
  await core.cabinetAudit.uploadOfKeys(caller, fromUpload(body, request))
  return { status: 204 }
}

/** Receivers get bytes and media type as they came. */
function fromUpload(
  body: Buffer | Schemas['AuditUploadJson'],
  { headers, body: sent }: FastifyRequest,
): AuditBody {
  const contentType = headers['content-type'] ?? 'application/octet-stream'
  if (!('events' in body)) return { kind: 'binary', contentType, bytes: body }
  if (!(sent instanceof Buffer)) throw new Error('The body as it was sent is gone.')
  return { kind: 'json', contentType, bytes: sent, eventCount: body.events.length }
}
