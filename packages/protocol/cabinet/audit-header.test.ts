import { expect, test } from 'vitest'
import { auditHeaderLength, readAuditHeader, writeAuditHeader } from './audit-header.ts'

test('the count stands in bytes 16 to 19, the address backwards in bytes 24 to 27', () => {
  const body = new Uint8Array(30).fill(0xee)
  body.set([0x00, 0x01, 0x02, 0x03], 16)
  body.set([7, 113, 0, 203], 24)
  expect(readAuditHeader(body)).toEqual({ eventCount: 0x010203, address: '203.0.113.7' })
})

test('the largest count is no negative number', () => {
  const body = new Uint8Array(28).fill(0xff)
  expect(readAuditHeader(body)).toEqual({ eventCount: 4_294_967_295, address: '255.255.255.255' })
})

test('a view into a larger buffer is read where it is', () => {
  const larger = new Uint8Array(100)
  larger.set(writeAuditHeader({ eventCount: 5, address: '10.0.0.1' }), 40)
  const header = readAuditHeader(larger.subarray(40))
  expect(header).toEqual({ eventCount: 5, address: '10.0.0.1' })
})

test('a header that is cut off is none', () => {
  expect(readAuditHeader(new Uint8Array(auditHeaderLength - 1))).toBe(undefined)
  expect(readAuditHeader(new Uint8Array(0))).toBe(undefined)
})

test.each(['1.2.3', '1.2.3.256', '1.2.3.x', '::1'])('%s is no address of a header', (address) => {
  expect(() => writeAuditHeader({ eventCount: 0, address })).toThrow(RangeError)
})
