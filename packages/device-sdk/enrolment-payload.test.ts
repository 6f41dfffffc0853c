import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseEnrolmentPayload } from './enrolment-payload.ts'

const { qr } = JSON.parse(
  readFileSync(new URL('../protocol/test-vectors/device-vectors.json', import.meta.url), 'utf8'),
) as { qr: { uri: string; expect: Record<string, string> } }
const code = 'j5sb4-zMAINsM4WwYarft3zgYo6egDxn9cXCt8XtoSM'
const rest = `&tenant=acme&code=${code}`
const good = `countersign://enrol?v=1&server=https%3A%2F%2Fbank.test${rest}`

describe('parseEnrolmentPayload', () => {
  test('the published code', () => {
    const { server, tenant, code: published, anchor } = qr.expect
    expect(parseEnrolmentPayload(qr.uri)).toEqual({
      server,
      tenantId: tenant,
      code: published,
      anchor,
    })
  })

  test.each([
    ['an unknown parameter', `${good}&colour=red&colour=blue`],
    ['blanks around it', ` ${good}\n`],
    ['no anchor', good],
  ])('takes %s', (_name, text) => {
    expect(parseEnrolmentPayload(text)).toEqual({
      server: 'https://bank.test',
      tenantId: 'acme',
      code,
      anchor: undefined,
    })
  })

  test.each(['http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080'])(
    'takes %s',
    (server) => {
      const text = `countersign://enrol?v=1&server=${encodeURIComponent(server)}${rest}`
      expect(parseEnrolmentPayload(text).server).toBe(server)
    },
  )

  test.each([
    ['another version', good.replace('v=1', 'v=2')],
    ['no version', good.replace('v=1&', '')],
    ['two versions', `${good}&v=1`],
    ['two servers', `${good}&server=https%3A%2F%2Fevil.test`],
    ['two codes', `${good}&code=${code}`],
    ['http of another host', good.replace('https', 'http')],
    [
      'a host that only begins like a loopback',
      good.replace('https%3A%2F%2Fbank.test', 'http%3A%2F%2F127.0.0.1.evil.test'),
    ],
    ['another scheme', good.replace('https', 'ftp')],
    ['a path', good.replace('bank.test', 'bank.test%2Fdevice')],
    ['a password', good.replace('bank.test', 'a%3Ab%40bank.test')],
    ['a query', good.replace('bank.test', 'bank.test%3Fx')],
    ['a short code', good.slice(0, -1)],
    ['another tenant text', good.replace('tenant=acme', 'tenant=..%2Fx')],
    ['an anchor that is none', `${good}&anchor=abc`],
    ['another action', good.replace('enrol?', 'link?')],
    ['no code at all', 'otpauth://totp/x?secret=AAAA'],
    ['endless text', `${good}&x=${'y'.repeat(3_000)}`],
    ['nothing', ''],
  ])('refuses %s', (_name, text) => {
    expect(() => parseEnrolmentPayload(text)).toThrow(
      expect.objectContaining({ code: 'payload_invalid', advice: 'new_code' }),
    )
  })
})
