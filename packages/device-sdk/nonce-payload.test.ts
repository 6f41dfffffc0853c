import { describe, expect, test } from 'vitest'
import { parseNoncePayload } from './nonce-payload.ts'

const device = { server: 'https://bank.test', tenantId: 'acme' }
const code = (changes: Readonly<Record<string, string>> = {}) => {
  const parameters = {
    v: '1',
    server: device.server,
    tenant: device.tenantId,
    nonce: '7K3M9QXR',
    action: 'TMS_NONCE',
    ...changes,
  }
  return `countersign://nonce?${new URLSearchParams(parameters)}`
}

describe('parseNoncePayload', () => {
  test('the text of a QR code says what it is for', () => {
    expect(parseNoncePayload(code({ more: 'x' }), device)).toEqual({
      nonce: '7K3M9QXR',
      action: 'TMS_NONCE',
    })
  })

  test('a bare code is for what was chosen; blanks and hyphens do not count', () => {
    const nonce = '7k3m9qxr'
    expect(parseNoncePayload(' 7k3m-9qxr\n', device)).toEqual({ nonce, action: 'LOGIN_NONCE' })
    expect(parseNoncePayload('7k3m 9qxr', device, 'TMS_NONCE').action).toBe('TMS_NONCE')
    expect(parseNoncePayload('01HTF57W1JXYPD3WE75XR7TZGQ', device).nonce).toHaveLength(26)
  })

  test.each([
    ['of another server', code({ server: 'https://evil.test' })],
    ['of another tenant', code({ tenant: 'shop' })],
    ['of a server without TLS', code({ server: 'http://bank.test' })],
    ['of another version', code({ v: '2' })],
    ['for something unknown', code({ action: 'LOGOUT' })],
    ['with another nonce', code({ nonce: '7K3M9QX' })],
    ['with a second nonce', `${code()}&nonce=7K3M9QXR`],
    ['of an enrolment', code().replace('nonce?', 'enrol?')],
    ['too short', '7K3M9QX'],
    ['of other letters', '7K3M9QXÄ'],
    ['a web address', 'https://bank.test/?nonce=7K3M9QXR'],
    ['nothing', ''],
    ['without end', `${code()}${'x'.repeat(3_000)}`],
  ])('refuses one %s', (_what, text) => {
    expect(() => parseNoncePayload(text, device)).toThrow(
      expect.objectContaining({ code: 'payload_invalid' }),
    )
  })
})
