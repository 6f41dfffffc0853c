import { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createCertificateBench } from '#test/support/certificates.ts'
import { platformAdmin } from '#test/support/core.ts'
import { createTestKey } from '#test/support/device-keys.ts'
import { AddressRange } from '../address-range.ts'
import { authority, deviceCertificates } from './device-certificates.vectors.ts'
import { type DeviceConnection, DeviceTrust, type DeviceTrustRule } from './device-trust.ts'

const serial = '0203cc1fc4123456'
const inForceMs = Date.UTC(2030, 0, 1)

function trusts(
  rule: DeviceTrustRule,
  connection: Partial<DeviceConnection>,
  options: { named?: string | undefined; nowMs?: number } = {},
): boolean {
  const { nowMs = inForceMs } = options
  const named = 'named' in options ? options.named : serial
  const trust = new DeviceTrust({ rule, clock: () => nowMs })
  try {
    trust.require({ address: null, certificate: undefined, ...connection }, named)
    return true
  } catch (error) {
    expect(error).toMatchObject({ name: 'DomainError', code: 'device_not_trusted' })
    return false
  }
}

describe('an allow-list', () => {
  const ranges = ['127.0.0.0/8', '::1', '10.0.0.0/8', 'fc00::/7'].flatMap(
    (text) => AddressRange.parse(text) ?? [],
  )
  const rule: DeviceTrustRule = { kind: 'allowlist', ranges }

  test.each(['127.0.0.1', '::1', '10.255.0.9', '::ffff:10.1.1.1', 'fd00::7'])('%s', (address) => {
    expect(trusts(rule, { address })).toBe(true)
  })

  test.each([
    '11.0.0.1',
    '203.0.113.7',
    '2001:db8::1',
    '::ffff:11.0.0.1',
    '',
    '10.0.0.1, 1.1.1.1',
    'localhost',
  ])('not %j', (address) => {
    expect(trusts(rule, { address })).toBe(false)
  })

  test('not a call without an address, whatever certificate it has', () => {
    const certificate = Buffer.from(deviceCertificates.commonName, 'base64')
    expect(trusts(rule, { address: null, certificate })).toBe(false)
  })

  test('an empty list trusts nobody', () => {
    expect(trusts({ kind: 'allowlist', ranges: [] }, { address: '127.0.0.1' })).toBe(false)
  })
})

describe('certificates', () => {
  const rule: DeviceTrustRule = { kind: 'mtls', caCertificates: [authority] }
  const der = (name: keyof typeof deviceCertificates) =>
    Buffer.from(deviceCertificates[name], 'base64')

  test.each(['commonName', 'dnsName', 'uriName'] as const)('the serial as %s', (name) => {
    expect(trusts(rule, { certificate: der(name) })).toBe(true)
    expect(trusts(rule, { certificate: der(name) }, { named: serial.toUpperCase() })).toBe(true)
    expect(trusts(rule, { certificate: der(name) }, { named: '0203cc1fc4123457' })).toBe(false)
    expect(trusts(rule, { certificate: der(name) }, { named: undefined })).toBe(true)
  })

  test.each([
    'nameInsideAName',
    'serverOnly',
    'authorityItself',
    'ofAnotherAuthority',
    'forOneDay',
    'nameInOrganisation',
  ] as const)('not %s', (name) => {
    expect(trusts(rule, { certificate: der(name) })).toBe(false)
  })

  test('not before they are valid, and not after', () => {
    const certificate = der('commonName')
    expect(trusts(rule, { certificate }, { nowMs: Date.UTC(2026, 10, 1) })).toBe(false)
    expect(trusts(rule, { certificate }, { nowMs: Date.UTC(2126, 0, 1) })).toBe(false)
  })

  test('not what is no certificate, one that was changed, or none', () => {
    const changed = der('commonName')
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    const others = [changed, der('commonName').subarray(1), Buffer.alloc(0), Buffer.alloc(20_000)]
    for (const certificate of others) expect(trusts(rule, { certificate })).toBe(false)
    expect(trusts(rule, { address: '127.0.0.1' })).toBe(false)
  })

  test('without an authority nobody is trusted', () => {
    const none: DeviceTrustRule = { kind: 'mtls', caCertificates: [] }
    expect(trusts(none, { certificate: der('commonName') })).toBe(false)
  })
})

test('a tenant’s signer as the authority: its TLS_CLIENT certificates, for the id of their device alone', async () => {
  await using bench = await createCertificateBench()
  await bench.core.tenants.create(platformAdmin, { id: 'shop', name: 'Shop' })
  const [signer = new Uint8Array()] = await bench.core.pki.signers.chain(
    bench.admin,
    'acme',
    'current',
  )
  const rule = { kind: 'mtls', caCertificates: [new X509Certificate(signer).toString()] } as const
  const device = bench.createDevice()
  const { der } = await bench.issue(device, 'TLS_CLIENT', createTestKey())
  const connection = { certificate: der ?? undefined }
  const nowMs = bench.core.clock()
  const { deviceId } = device.owner
  expect(trusts(rule, connection, { named: deviceId, nowMs })).toBe(true)
  expect(trusts(rule, connection, { named: deviceId.toLowerCase(), nowMs })).toBe(true)
  for (const named of [serial, 'jsmith', 'acme', bench.createDevice().owner.deviceId]) {
    expect(trusts(rule, connection, { named, nowMs }), named).toBe(false)
  }
})

test('open trusts whoever calls', () => {
  expect(trusts({ kind: 'open' }, {})).toBe(true)
})
