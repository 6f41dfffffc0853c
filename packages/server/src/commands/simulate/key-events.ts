import { writeAuditHeader } from '@countersign/protocol/cabinet/audit-header.ts'

/** Something that happened at a cabinet. */
export interface KeyEvent {
  readonly id: string
  readonly atMs: number
  readonly event: 'Checkout' | 'Checkin' | 'Lock/Unlock'
  readonly cabinetSerial: string
  readonly keySerial: string
  readonly userId: number
  /** Of an opened lock. */
  readonly lockSerial?: string
}

/** What is uploaded, kept until the server has it: a repeat has the same bytes. */
export interface PendingUpload {
  readonly bytes: Uint8Array
  readonly contentType: string
  readonly eventCount: number
}

/** As cabinets do: a header, then events, whose layout is not published, so this one is the simulator's own. */
export function binaryUpload(events: readonly KeyEvent[], address: string): PendingUpload {
  const header = writeAuditHeader({ eventCount: events.length, address })
  const lines = events.map(({ id, atMs, event, keySerial, userId, lockSerial = '' }) =>
    [id, atMs, event, keySerial, userId, lockSerial].join('|'),
  )
  const bytes = Buffer.concat([header, Buffer.from(lines.join('\n'))])
  return { bytes, contentType: 'application/octet-stream', eventCount: events.length }
}

/** As software cabinets may do. */
export function readableUpload(events: readonly KeyEvent[]): PendingUpload {
  const bytes = Buffer.from(JSON.stringify({ events: events.map(toWireEvent) }))
  return { bytes, contentType: 'application/json', eventCount: events.length }
}

function toWireEvent(event: KeyEvent): object {
  const at = new Date(event.atMs).toISOString()
  const isAtLock = event.lockSerial !== undefined
  return {
    id: event.id,
    eventTime: `${at.slice(0, 19).replace('T', ' ')}+00:00`,
    domain: isAtLock ? 'LockEvent' : 'KeyEvent',
    event: event.event,
    data: {
      keySN: event.keySerial,
      userID: event.userId,
      okmSN: event.cabinetSerial,
      ...(isAtLock ? { lockSN: event.lockSerial } : {}),
    },
    result: 'success',
    errorCode: null,
    entityId: event.lockSerial ?? event.keySerial,
    createdAt: at,
  }
}
