import { describe, expect, test } from 'vitest'
import { AddressRange } from '../address-range.ts'
import { isOriginAllowed, OutboundRule } from './outbound-rule.ts'

const range = (text: string): AddressRange => {
  const parsed = AddressRange.parse(text)
  if (parsed === undefined) throw new Error(text)
  return parsed
}
const strict = new OutboundRule({ hosts: [], ranges: [] })
const named = new OutboundRule({
  hosts: ['intranet.acme.example'],
  ranges: [range('127.0.0.0/8'), range('10.1.0.0/16'), range('fd00::/8')],
})

describe('what the server may call', () => {
  test.each([
    'https://hooks.acme.example/x',
    'https://hooks.acme.example:8443/x?y=1',
    'https://93.184.215.14/',
    'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/',
  ])('public https is open to all: %s', (url) => {
    expect(strict.permits(url)).toBe(true)
  })

  test.each([
    'http://hooks.acme.example/',
    'https://127.0.0.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://localhost/',
    'https://localhost./',
    'https://api.localhost/',
    'https://10.0.0.1/',
    'https://169.254.169.254/latest/meta-data',
    'https://192.168.1.1/',
    'https://100.64.0.1/',
    'https://0.0.0.0/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://[fd00::1]/',
    'https://[fe80::1]/',
    'https://user@hooks.acme.example/',
    'https://user:pass@hooks.acme.example/',
    'ftp://hooks.acme.example/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'hooks.acme.example',
    '',
  ])('is closed without the operator: %s', (url) => {
    expect(strict.permits(url)).toBe(false)
  })

  test.each([
    'http://127.0.0.1:9000/hook',
    'http://localhost:9000/hook',
    'https://10.1.2.3/',
    'http://10.1.2.3/',
    'http://intranet.acme.example/',
    'https://INTRANET.acme.example/',
    'https://[fd12::1]/',
  ])('the operator may open it: %s', (url) => {
    expect(named.permits(url)).toBe(true)
  })

  test.each(['http://10.2.0.1/', 'http://other.acme.example/', 'https://192.168.1.1/'])(
    'what the operator did not name stays closed: %s',
    (url) => {
      expect(named.permits(url)).toBe(false)
    },
  )
})

describe('allowed origins', () => {
  const origins = ['https://a.example', 'https://*.b.example', 'http://c.example:8080']

  test.each([
    'https://a.example/path',
    'https://A.example:443/',
    'https://x.b.example/',
    'https://y.x.b.example/',
    'http://c.example:8080/',
  ])('%s is one of them', (url) => {
    expect(isOriginAllowed(url, origins)).toBe(true)
  })

  test.each([
    'http://a.example/',
    'https://a.example:8443/',
    'https://sub.a.example/',
    'https://b.example/',
    'https://evilb.example/',
    'https://x.b.example.evil.example/',
    'http://c.example/',
    'https://a.example.evil.example/',
    'https://a.example@evil.example/',
    'nonsense',
  ])('%s is none of them', (url) => {
    expect(isOriginAllowed(url, origins)).toBe(false)
  })
})
