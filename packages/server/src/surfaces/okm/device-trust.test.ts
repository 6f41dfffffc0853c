import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  base,
  certificateHeader,
  createOkmInstallation,
  type OkmInstallation,
  operationSamples,
  rangesOf,
  sampleSerial as serial,
} from './okm.fixture.ts'

const noDevice = { error_code: 'UNAUTHORIZED_ACCESS', error_msg: 'Device not allowed' }
const upload = Buffer.alloc(28)
const byDevices = operationSamples.filter(({ schemes }) => schemes.includes('deviceCertificate'))

let okm: OkmInstallation
beforeAll(async () => {
  okm = await createOkmInstallation()
})
afterAll(() => okm[Symbol.asyncDispose]())

test('every operation belongs to one kind of caller, PATCH to none', () => {
  const counts = Object.groupBy(operationSamples, ({ schemes }) => schemes.join() || 'none')
  expect(Object.entries(counts).map(([kind, of]) => [kind, of?.length])).toEqual([
    ['accessToken', 22],
    ['none', 2],
    ['deviceCertificate', 6],
    ['apiKey', 4],
  ])
})

test.each(['', '/okm/api/v1', '/okm/v1'])(
  '%s/embeddedv1 serves what is burnt into cabinets',
  async (one) => {
    const options = { base: one }
    const poll = await okm.device('GET', `/embeddedv1/kas/config/${serial}`, undefined, options)
    expect(poll.status).toBe(204)
    const audit = await okm.device('POST', `/embeddedv1/audit/kas/${serial}`, upload, options)
    expect(audit.body).toEqual({
      error_code: 'NOT_FOUND',
      error_msg: `OKM with serial ${serial} not found`,
    })
    expect((await okm.device('POST', '/embeddedv1/audit/key', upload, options)).status).toBe(204)
  },
)

describe('trust in devices', () => {
  test.each(byDevices)(
    '403 from an address that is not on the list, before anything else: $operation.id',
    async ({ method, path, operation }) => {
      const origin = operation.path.startsWith('/embeddedv1') ? '' : base
      for (const address of ['203.0.113.7', '2001:db8::1', '10.0.0.1']) {
        const options = { address, base: origin, headers: { 'x-forwarded-for': '127.0.0.1' } }
        const { status, body } = await okm.device(method, path, 'nonsense', options)
        expect([status, body]).toEqual([403, noDevice])
      }
      // A token does not make a device.
      const headers = { authorization: `Bearer ${okm.tokens.invu}` }
      const options = { address: '203.0.113.7', base: origin, headers }
      expect((await okm.device(method, path, undefined, options)).status).toBe(403)
    },
  )

  test('the address counts that a trusted proxy names, and only then', async () => {
    await using behind = await createOkmInstallation({
      deviceTrust: { kind: 'allowlist', ranges: rangesOf('198.51.100.0/24') },
      trustProxy: ['127.0.0.1'],
    })
    const poll = (address: string, forwarded: string) =>
      behind.device('GET', `/config/${serial}`, undefined, {
        address,
        headers: { 'x-forwarded-for': forwarded },
      })
    expect((await poll('127.0.0.1', '198.51.100.9')).status).toBe(204)
    expect((await poll('127.0.0.1', '198.51.100.9, 203.0.113.1')).status).toBe(403)
    expect((await poll('203.0.113.1', '198.51.100.9')).status).toBe(403)
    expect((await poll('127.0.0.1', '127.0.0.1')).status).toBe(403)
  })

  test('mtls: 204 only with a certificate of the authority that names the serial', async () => {
    const certificates = JSON.parse(
      readFileSync(
        new URL('../../../test/support/okm-device-certificates.json', import.meta.url),
        'utf8',
      ),
    ) as Record<string, string>
    const pem = `-----BEGIN CERTIFICATE-----\n${certificates.ca}\n-----END CERTIFICATE-----\n`
    await using behind = await createOkmInstallation({
      deviceTrust: { kind: 'mtls', caCertificates: [pem] },
      trustProxy: ['127.0.0.1'],
    })
    behind.clock.set(Date.UTC(2027, 0, 1))
    const poll = async (name: string, path = `/config/${serial}`, address = '127.0.0.1') => {
      const headers = { [certificateHeader]: `:${certificates[name] ?? ''}:` }
      return (await behind.device('GET', path, undefined, { headers, address })).status
    }
    for (const good of ['commonName', 'dnsName', 'uriName']) expect(await poll(good)).toBe(204)
    expect(await poll('commonName', `/config/${serial.toUpperCase()}`)).toBe(204)
    for (const bad of ['foreign', 'serverOnly', 'authority', 'tricky', 'ca', 'none']) {
      expect(await poll(bad), bad).toBe(403)
    }
    expect(await poll('commonName', '/config/other')).toBe(403)
    expect(await poll('commonName', `/config/${serial}`, '127.0.0.2')).toBe(403)
    expect((await behind.device('GET', `/config/${serial}`)).status).toBe(403)
    const der = Buffer.from(certificates.commonName ?? '', 'base64')
    for (let index = 0; index < der.length; index += 5) {
      const spoilt = Buffer.from(der)
      spoilt[index] = (spoilt[index] ?? 0) ^ 1
      certificates.spoilt = spoilt.toString('base64')
      expect(await poll('spoilt'), `byte ${index}`).toBe(403)
    }
    const key = { headers: { [certificateHeader]: `:${certificates.dnsName}:` }, base: '' }
    expect((await behind.device('POST', '/embeddedv1/audit/key', upload, key)).status).toBe(204)
  })

  test('open: 204 from anywhere', async () => {
    await using open = await createOkmInstallation({ deviceTrust: { kind: 'open' } })
    const options = { address: '203.0.113.7' }
    expect((await open.device('GET', `/config/${serial}`, undefined, options)).status).toBe(204)
  })
})
