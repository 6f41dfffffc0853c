/** What stands in front of the events that a key cabinet uploads; the events themselves have no published layout. */
export interface AuditHeader {
  readonly eventCount: number
  /** IPv4 of whoever wrote the header, in dotted form. */
  readonly address: string
}

export const auditHeaderLength = 28
const countOffset = 16
const addressOffset = 24

/** Bytes 16 to 19: event count, big endian. Bytes 24 to 27: the address, last part first. Undefined when it is cut off. */
export function readAuditHeader(body: Uint8Array): AuditHeader | undefined {
  if (body.length < auditHeaderLength) return undefined
  const view = new DataView(body.buffer, body.byteOffset, auditHeaderLength)
  const parts = [3, 2, 1, 0].map((index) => view.getUint8(addressOffset + index))
  return { eventCount: view.getUint32(countOffset), address: parts.join('.') }
}

/** The bytes that {@link readAuditHeader} reads; those without a published meaning are zero. */
export function writeAuditHeader({ eventCount, address }: AuditHeader): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(auditHeaderLength)
  const view = new DataView(header.buffer)
  view.setUint32(countOffset, eventCount)
  const parts = address.split('.').map(Number)
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new RangeError('The address of an audit header is IPv4.')
  }
  for (const [index, part] of parts.entries()) view.setUint8(addressOffset + 3 - index, part)
  return header
}
