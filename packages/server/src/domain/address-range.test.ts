import { describe, expect, test } from 'vitest'
import { AddressRange, isAddressIn } from './address-range.ts'

function range(text: string): AddressRange {
  const parsed = AddressRange.parse(text)
  if (!parsed) throw new Error(`not a range: ${text}`)
  return parsed
}

describe('a range holds its addresses and no others', () => {
  test.each([
    ['127.0.0.0/8', '127.255.255.255', true],
    ['127.0.0.0/8', '128.0.0.0', false],
    ['192.0.2.7', '192.0.2.7', true],
    ['192.0.2.7', '192.0.2.8', false],
    ['192.0.2.0/25', '192.0.2.127', true],
    ['192.0.2.0/25', '192.0.2.128', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['fc00::/7', 'fdff::1', true],
    ['fc00::/7', 'fe00::1', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['::/0', '::ffff:10.1.2.3', false],
    ['::/0', '10.1.2.3', false],
    ['10.0.0.0/8', 'localhost', false],
    ['10.0.0.0/8', '', false],
    ['127.0.0.0/8', '0177.0.0.1', false],
    ['127.0.0.0/8', '2130706433', false],
    ['fe80::/10', 'fe80::1%eth0', false],
  ])('%s holds %s: %s', (text, address, expected) => {
    expect(range(text).contains(address)).toBe(expected)
    expect(isAddressIn([range('198.51.100.1'), range(text)], address)).toBe(expected)
  })

  test('no range holds nothing', () => {
    expect(isAddressIn([], '127.0.0.1')).toBe(false)
  })
})

test.each([
  '',
  '/8',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '10.0.0.1/8',
  '10.0.0/8',
  '010.0.0.0/8',
  '0x7f.0.0.1',
  '127.1',
  '2001:db8::1/64',
  '2001:db8::/129',
  '::ffff:10.0.0.0/104',
  'fe80::1%eth0',
  'localhost',
  '10.0.0.0/8 ',
])('refuses %j instead of guessing what it means', (text) => {
  expect(AddressRange.parse(text)).toBeUndefined()
})

test('prints as a prefix, also in JSON', () => {
  expect(JSON.stringify([range('192.0.2.7'), range('FC00::/7')])).toBe(
    '["192.0.2.7/32","fc00::/7"]',
  )
})
