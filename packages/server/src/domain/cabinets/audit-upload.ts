import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { ulidToHex } from '../ulid.ts'

/** Audit records as they came from a cabinet. */
export interface AuditUpload {
  readonly tenantId: string
  /** ULID. */
  readonly id: string
  /** Readable events are numbered within the tenant, in the order in which uploads were taken in. */
  readonly firstSeq: number
  readonly lastSeq: number
  /** Null for records of keys that name no cabinet. */
  readonly cabinetId: string | null
  readonly serial: string | null
  /** As received. */
  readonly contentType: string
  /** As the header of a binary upload says; null for JSON. */
  readonly eventCount: number | null
  readonly headerAddress: string | null
  /** SHA-256 of the body, hex. */
  readonly bodyHash: string
  readonly receivedAtMs: number
  readonly body: Uint8Array
}

/** A readable event; named as in the OKM contract. */
export type AuditEvent = { readonly [name: string]: unknown }

/** The readable events of an upload, in order of their numbers. One binary upload is one event, as it came. */
export function eventsOf(upload: AuditUpload): readonly AuditEvent[] {
  if (upload.eventCount !== null) return [uploadEvent(upload)]
  const { events } = JSON.parse(Buffer.from(upload.body).toString('utf8')) as {
    readonly events: readonly AuditEvent[]
  }
  return events
}

function uploadEvent(upload: AuditUpload): { readonly [name: string]: JsonValue } {
  const receivedAt = new Date(upload.receivedAtMs).toISOString()
  return {
    id: uuidOf(upload.id),
    eventTime: `${receivedAt.slice(0, 19).replace('T', ' ')}+00:00`,
    domain: 'KasEvent',
    event: 'AuditUpload',
    data: {
      serial: upload.serial,
      event_count: upload.eventCount,
      ip: upload.headerAddress,
      sha256: upload.bodyHash,
      raw_base64: Buffer.from(upload.body).toString('base64'),
    },
    result: null,
    errorCode: null,
    entityId: upload.serial,
    createdAt: receivedAt,
  }
}

/** The same 128 bits as a UUID. */
function uuidOf(ulid: string): string {
  return ulidToHex(ulid).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
