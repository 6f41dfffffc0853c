import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CertificateNames } from './certificate-names.ts'

/** DER in base64. All but `foreign` are issued by `ca`; `foreign` by another one of the same name. */
const certificates = JSON.parse(
  readFileSync(new URL('../../test/support/okm-device-certificates.json', import.meta.url), 'utf8'),
) as Record<string, string>

const serial = '0203cc1fc4123456'
const nowMs = Date.UTC(2027, 0, 1)

function derOf(name: string): Buffer {
  return Buffer.from(certificates[name] ?? '', 'base64')
}

function pemOf(name: string): string {
  return `-----BEGIN CERTIFICATE-----\n${certificates[name]}\n-----END CERTIFICATE-----\n`
}

describe('the names of a client certificate', () => {
  const names = new CertificateNames([pemOf('ca')])

  test.each([
    ['commonName', ['0203CC1FC4123456']],
    ['dnsName', [serial]],
    ['uriName', [serial, 'spare']],
  ])('%s are read', (name, expected) => {
    expect(names.read(derOf(name), nowMs)).toEqual(expected)
  })

  test('are not found inside of other names', () => {
    expect(names.read(derOf('tricky'), nowMs)).toEqual(['x', `a:b, DNS:${serial}`])
  })

  test.each(['foreign', 'serverOnly', 'authority', 'ca'])('do not count: %s', (name) => {
    expect(names.read(derOf(name), nowMs)).toBeUndefined()
  })

  test('do not count before and after the validity', () => {
    expect(names.read(derOf('commonName'), Date.UTC(2026, 0, 1))).toBeUndefined()
    expect(names.read(derOf('commonName'), Date.UTC(2200, 0, 1))).toBeUndefined()
  })

  test('do not count when a bit of the certificate is another', () => {
    const der = derOf('commonName')
    for (let index = 0; index < der.length; index += 7) {
      const spoilt = Buffer.from(der)
      spoilt[index] = (spoilt[index] ?? 0) ^ 1
      expect(names.read(spoilt, nowMs) ?? [], `byte ${index}`).toEqual([])
    }
  })

  test('do not count without an authority, nor when the authority is none', () => {
    expect(new CertificateNames([]).read(derOf('commonName'), nowMs)).toBeUndefined()
    const leaf = new CertificateNames([pemOf('commonName')])
    expect(leaf.read(derOf('commonName'), nowMs)).toBeUndefined()
  })

  test.each([Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(10_000, 0x30)])(
    'do not count for what is no certificate',
    (der) => {
      expect(names.read(der, nowMs)).toBeUndefined()
    },
  )
})
