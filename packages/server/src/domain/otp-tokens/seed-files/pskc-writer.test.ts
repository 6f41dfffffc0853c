import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { describe, expect, test } from 'vitest'
import { parseSeedFile } from './parse-seed-file.ts'
import { type PskcEncryption, type PskcKey, pskcParts, writePskc } from './pskc-writer.ts'

const secret = new TextEncoder().encode('12345678901234567890')
const hotpKey: PskcKey = {
  serial: '987654321',
  secret,
  type: 'HOTP',
  algorithm: 'SHA1',
  digits: 8,
  counter: 5,
  issuer: 'Issuer',
  manufacturer: 'Manufacturer',
}
const totpKey: PskcKey = {
  serial: 'T1',
  secret,
  type: 'TOTP',
  algorithm: 'SHA256',
  digits: 6,
  periodSeconds: 60,
  driftSteps: -2,
  description: 'Jane <jane@example.com>',
  model: 'c200',
  startsAtMs: Date.UTC(2026, 0, 1),
  expiresAtMs: Date.UTC(2030, 11, 31, 23, 59, 59, 999),
}
const preShared: PskcEncryption = { key: Buffer.alloc(32, 9), keyName: 'Transport "key" & co' }
const randomness = (byteCount: number) => randomBytes(byteCount)

function read(text: string, encryption?: PskcEncryption) {
  const keys =
    encryption === undefined
      ? {}
      : 'password' in encryption
        ? { password: encryption.password }
        : { key: Buffer.from(encryption.key).toString('hex') }
  return parseSeedFile({ text, format: 'PSKC', encoding: 'BASE32', ...keys })
}

test('a plain file, letter by letter', async () => {
  expect(await writePskc({ keys: [hotpKey], randomness })).toBe(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">\n' +
      '<KeyPackage><DeviceInfo><Manufacturer>Manufacturer</Manufacturer><SerialNo>987654321</SerialNo></DeviceInfo>' +
      '<Key Id="987654321" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><Issuer>Issuer</Issuer>' +
      '<AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>' +
      '<Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>' +
      '<Counter><PlainValue>5</PlainValue></Counter></Data></Key></KeyPackage>\n' +
      '</KeyContainer>\n',
  )
})

/** The order of elements in the schema, RFC 6030 section 11. */
const schemaOrder: Readonly<Record<string, readonly string[]>> = {
  KeyContainer: ['EncryptionKey', 'MACMethod', 'KeyPackage', 'Signature', 'Extensions'],
  KeyPackage: ['DeviceInfo', 'CryptoModuleInfo', 'Key', 'Extensions'],
  DeviceInfo: [
    'Manufacturer',
    'SerialNo',
    'Model',
    'IssueNo',
    'DeviceBinding',
    'StartDate',
    'ExpiryDate',
    'UserId',
  ],
  Key: [
    'Issuer',
    'AlgorithmParameters',
    'KeyProfileId',
    'KeyReference',
    'FriendlyName',
    'Data',
    'UserId',
    'Policy',
  ],
  Data: ['Secret', 'Counter', 'Time', 'TimeInterval', 'TimeDrift'],
  Secret: ['PlainValue', 'EncryptedValue', 'ValueMAC'],
  EncryptedValue: ['EncryptionMethod', 'KeyInfo', 'CipherData'],
  MACKey: ['EncryptionMethod', 'KeyInfo', 'CipherData'],
  Policy: ['StartDate', 'ExpiryDate', 'PINPolicy', 'KeyUsage', 'NumberOfTransactions'],
  DerivedKey: ['KeyDerivationMethod', 'ReferenceList', 'DerivedKeyName', 'MasterKeyName'],
  'PBKDF2-params': ['Salt', 'IterationCount', 'KeyLength', 'PRF'],
}

test.each<[string, PskcEncryption | undefined]>([
  ['plain', undefined],
  ['under a key', preShared],
  ['under a password', { password: 'correct horse', iterations: 1000 }],
])('%s, the elements come in the order of the schema', async (_, encryption) => {
  const text = await writePskc({ keys: [hotpKey, totpKey], encryption, randomness })
  const open: { name: string; last: number }[] = []
  const parser = new SaxesParser({ xmlns: true })
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', ({ local }) => {
    const parent = open.at(-1)
    const order = parent && schemaOrder[parent.name]
    if (parent && order) {
      const place = order.indexOf(local)
      expect(place, `${local} in ${parent.name}`).toBeGreaterThanOrEqual(parent.last)
      parent.last = place
    }
    open.push({ name: local, last: 0 })
  })
  parser.on('closetag', () => open.pop())
  parser.write(text).close()
})

describe('what is written is read back the same', () => {
  const names = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 20 })
    .filter((name) => name.trim() === name && !/[\p{Cc}\ufffe\uffff]/u.test(name))
  const optional = { nil: undefined }
  const common = {
    serial: fc.stringMatching(/^[\x21-\x7e]{1,64}$/),
    secret: fc.uint8Array({ minLength: 16, maxLength: 128 }),
    algorithm: fc.constantFrom('SHA1' as const, 'SHA256' as const, 'SHA512' as const),
    digits: fc.integer({ min: 6, max: 10 }),
    description: fc.option(names, optional),
    issuer: fc.option(names, optional),
    manufacturer: fc.option(names, optional),
    model: fc.option(names, optional),
    startsAtMs: fc.option(fc.integer({ min: 0, max: 4e12 }), optional),
    expiresAtMs: fc.option(fc.integer({ min: 0, max: 4e12 }), optional),
  }
  const keys = fc.uniqueArray(
    fc.oneof(
      fc.record({ ...common, type: fc.constant('HOTP' as const), counter: fc.maxSafeNat() }),
      fc.record({
        ...common,
        type: fc.constant('TOTP' as const),
        periodSeconds: fc.integer({ min: 5, max: 3600 }),
        driftSteps: fc.integer({ min: -1000, max: 1000 }),
      }),
    ),
    { selector: ({ serial }) => serial, minLength: 1, maxLength: 4 },
  )
  const encryptions = fc.oneof(
    fc.constant(undefined),
    fc.record({
      key: fc.oneof(
        ...[16, 24, 32].map((length) => fc.uint8Array({ minLength: length, maxLength: length })),
      ),
      keyName: names,
    }),
    fc.record({ password: names, iterations: fc.integer({ min: 1, max: 50 }) }),
  )

  test('for any keys, plain, under a key and under a password', async () => {
    await fc.assert(
      fc.asyncProperty(keys, encryptions, async (written, encryption) => {
        const text = await writePskc({ keys: written, encryption, randomness })
        const { entries, faults } = await read(text, encryption)
        expect(faults).toEqual([])
        expect(entries).toEqual(written.map((key, index) => expectedEntry(key, index + 1)))
      }),
      { numRuns: 200 },
    )
  })
})

function expectedEntry(key: PskcKey, index: number) {
  const said = Object.entries(key).filter(
    ([name, value]) =>
      value !== undefined &&
      !(name === 'driftSteps' && value === 0) &&
      !(name === 'algorithm' && value === 'SHA1'),
  )
  return { index, ...Object.fromEntries(said) }
}

test('an encrypted file shows neither secret nor key, and no two are alike', async () => {
  const first = await writePskc({ keys: [hotpKey], encryption: preShared, randomness })
  const second = await writePskc({ keys: [hotpKey], encryption: preShared, randomness })
  expect(first).not.toContain('MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=')
  expect(first).not.toContain(Buffer.alloc(32, 9).toString('base64'))
  expect(first).not.toBe(second)
})

test('characters that XML cannot hold become U+FFFD', async () => {
  const key = { ...hotpKey, description: 'a\u0000b\ud800c\uffffd\re' }
  const { entries } = await read(await writePskc({ keys: [key], randomness }))
  expect(entries[0]?.description).toBe('a\ufffdb\ufffdc\ufffdd\re')
})

test.each<[string, PskcEncryption]>([
  ['a key of 20 bytes', { key: Buffer.alloc(20), keyName: 'k' }],
  ['no iteration', { password: 'x', iterations: 0 }],
  ['more iterations than are read', { password: 'x', iterations: 1_000_001 }],
])('%s is a programming error', async (_, encryption) => {
  await expect(writePskc({ keys: [hotpKey], encryption, randomness })).rejects.toThrow(RangeError)
})

test('a file comes out piece by piece', async () => {
  let written = 0
  async function* endless(): AsyncGenerator<PskcKey> {
    for (;;) yield { ...hotpKey, serial: `T${written++}` }
  }
  let length = 0
  for await (const part of pskcParts({ keys: endless(), randomness })) {
    length += part.length
    if (length > 100_000) break
  }
  expect(written).toBeLessThan(1_000)
})
