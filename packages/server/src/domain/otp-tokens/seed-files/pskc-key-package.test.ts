import { describe, expect, test } from 'vitest'
import { parse } from './parsing.fixture.ts'
import type { EntryFault, SeedEntry } from './seed-file.ts'

const container = '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"'
const secretElement = '<Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>'

interface PackageParts {
  readonly device?: string
  readonly id?: string
  readonly algorithm?: string
  readonly before?: string
  readonly secret?: string
  readonly data?: string
  readonly after?: string
}

function keyPackage({
  device = '<DeviceInfo><SerialNo>S1</SerialNo></DeviceInfo>',
  id = ' Id="K1"',
  algorithm = ' Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp"',
  before = '',
  secret = secretElement,
  data = '',
  after = '',
}: PackageParts): string {
  return `<KeyPackage>${device}<Key${id}${algorithm}>${before}<Data>${secret}${data}</Data>${after}</Key></KeyPackage>`
}

async function readOne(content: string): Promise<SeedEntry | EntryFault[] | undefined> {
  const { entries, faults } = await parse(`${container}>${content}</KeyContainer>`)
  return entries[0] ?? faults
}

function parameters(content: string): PackageParts {
  return { before: `<AlgorithmParameters>${content}</AlgorithmParameters>` }
}

describe('what an entry gets', () => {
  test.each<[string, PackageParts, Partial<SeedEntry>]>([
    ['the serial of the device', {}, { serial: 'S1' }],
    ['the id of the key for want of a serial', { device: '' }, { serial: 'K1' }],
    ['its type', {}, { type: 'TOTP' }],
    [
      'its type from a draft',
      { algorithm: ' Algorithm="http://www.ietf.org/keyprov/pskc#hotp"' },
      { type: 'HOTP' },
    ],
    ['its digits', parameters('<ResponseFormat Length="10" Encoding="DECIMAL"/>'), { digits: 10 }],
    [
      'its digits, without check digits',
      parameters('<ResponseFormat Length="6" Encoding="DECIMAL" CheckDigits="false"/>'),
      { digits: 6 },
    ],
    ['its hash', parameters('<Suite>SHA256</Suite>'), { algorithm: 'SHA256' }],
    [
      'its hash, called HMAC-SHA512',
      parameters('<Suite> HMAC-SHA512 </Suite>'),
      { algorithm: 'SHA512' },
    ],
    ['its hash, called HmacSHA1', parameters('<Suite>HmacSHA1</Suite>'), { algorithm: 'SHA1' }],
    [
      'its period',
      { data: '<TimeInterval><PlainValue>60</PlainValue></TimeInterval>' },
      { periodSeconds: 60 },
    ],
    [
      'its drift',
      { data: '<TimeDrift><PlainValue>-4</PlainValue></TimeDrift>' },
      { driftSteps: -4 },
    ],
    [
      'its names',
      {
        device:
          '<DeviceInfo><Manufacturer>oath.FT &amp; Co</Manufacturer><SerialNo> S1 </SerialNo><Model>c200</Model></DeviceInfo>',
        before: '<Issuer>Acme</Issuer><FriendlyName>Key of <![CDATA[<Jane>]]></FriendlyName>',
      },
      {
        serial: 'S1',
        manufacturer: 'oath.FT & Co',
        model: 'c200',
        issuer: 'Acme',
        description: 'Key of <Jane>',
      },
    ],
    [
      'the time in which key and device may both be used',
      {
        device:
          '<DeviceInfo><SerialNo>S1</SerialNo><StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2030-01-01T00:00:00Z</ExpiryDate></DeviceInfo>',
        after:
          '<Policy><StartDate>2025-06-01T00:00:00Z</StartDate><ExpiryDate>2029-12-31T23:59:59.5+01:00</ExpiryDate></Policy>',
      },
      {
        startsAtMs: Date.UTC(2026, 0, 1),
        expiresAtMs: Date.UTC(2029, 11, 31, 22, 59, 59, 500),
      },
    ],
    [
      'a secret across a comment',
      { secret: secretElement.replace('NDU2', '<!-- no end --><![CDATA[NDU2]]>') },
      { secret: new TextEncoder().encode('12345678901234567890') },
    ],
  ])('%s', async (_, parts, expected) => {
    expect(await readOne(keyPackage(parts))).toMatchObject({ index: 1, ...expected })
  })

  test('nothing that the file does not say', async () => {
    expect(await readOne(keyPackage({ algorithm: '' }))).toEqual({
      index: 1,
      serial: 'S1',
      secret: new TextEncoder().encode('12345678901234567890'),
    })
  })

  test('a counter only for HOTP, period and drift only for TOTP', async () => {
    const data =
      '<Counter><PlainValue>7</PlainValue></Counter><TimeInterval><PlainValue>60</PlainValue></TimeInterval>'
    const algorithm = ' Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"'
    expect(await readOne(keyPackage({ data }))).toMatchObject({ periodSeconds: 60 })
    expect(await readOne(keyPackage({ data }))).not.toHaveProperty('counter')
    expect(await readOne(keyPackage({ data, algorithm }))).toMatchObject({ counter: 7 })
    expect(await readOne(keyPackage({ data, algorithm }))).not.toHaveProperty('periodSeconds')
  })
})

describe('faults of an entry', () => {
  test.each<[string, PackageParts, string]>([
    ['no serial and no id', { device: '', id: '' }, 'required'],
    [
      'a serial with a blank',
      { device: '<DeviceInfo><SerialNo>S 1</SerialNo></DeviceInfo>' },
      'bad_format',
    ],
    [
      'a serial beyond ASCII',
      { device: '<DeviceInfo><SerialNo>S\u0661</SerialNo></DeviceInfo>' },
      'bad_format',
    ],
    [
      'a serial of 65 characters',
      { device: `<DeviceInfo><SerialNo>${'1'.repeat(65)}</SerialNo></DeviceInfo>` },
      'bad_format',
    ],
    [
      'two serials',
      { device: '<DeviceInfo><SerialNo>1</SerialNo><SerialNo>2</SerialNo></DeviceInfo>' },
      'bad_format',
    ],
    ['no secret', { secret: '' }, 'required'],
    ['a secret without value', { secret: '<Secret/>' }, 'required'],
    ['two secrets', { secret: secretElement + secretElement }, 'bad_format'],
    [
      'a secret that is not Base64',
      { secret: secretElement.replace('MTIz', 'MTI?') },
      'bad_secret',
    ],
    ['a secret without its padding', { secret: secretElement.replace('=', '') }, 'bad_secret'],
    [
      'R16: a secret with bits beyond its last byte',
      { secret: secretElement.replace('OTA=', 'OTB=') },
      'bad_secret',
    ],
    [
      'a secret of 15 bytes',
      { secret: secretElement.replace(/>M.*=</, `>${'A'.repeat(20)}<`) },
      'bad_secret',
    ],
    [
      'a secret of 129 bytes',
      { secret: secretElement.replace(/>M.*=</, `>${'A'.repeat(172)}<`) },
      'bad_secret',
    ],
    [
      'an element inside the secret',
      { secret: secretElement.replace('MTIz', '<b>MTIz</b>') },
      'bad_format',
    ],
    [
      'another algorithm',
      { algorithm: ' Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:ocra"' },
      'unsupported',
    ],
    [
      'an algorithm that only ends like one',
      { algorithm: ' Algorithm="urn:nothotp"' },
      'unsupported',
    ],
    ['five digits', parameters('<ResponseFormat Length="5" Encoding="DECIMAL"/>'), 'out_of_range'],
    [
      'eleven digits',
      parameters('<ResponseFormat Length="11" Encoding="DECIMAL"/>'),
      'out_of_range',
    ],
    [
      'digits in words',
      parameters('<ResponseFormat Length="SIX" Encoding="DECIMAL"/>'),
      'bad_format',
    ],
    ['no length', parameters('<ResponseFormat Encoding="DECIMAL"/>'), 'required'],
    ['no encoding', parameters('<ResponseFormat Length="6"/>'), 'unsupported'],
    [
      'another encoding',
      parameters('<ResponseFormat Length="6" Encoding="HEXADECIMAL"/>'),
      'unsupported',
    ],
    [
      'check digits',
      parameters('<ResponseFormat Length="6" Encoding="DECIMAL" CheckDigits="true"/>'),
      'unsupported',
    ],
    [
      'a check digit',
      parameters('<ResponseFormat Length="6" Encoding="DECIMAL" CheckDigit="1"/>'),
      'unsupported',
    ],
    [
      'doubtful check digits',
      parameters('<ResponseFormat Length="6" Encoding="DECIMAL" CheckDigits="perhaps"/>'),
      'bad_format',
    ],
    [
      'a challenge',
      parameters('<ChallengeFormat Encoding="DECIMAL" Min="6" Max="6"/>'),
      'unsupported',
    ],
    ['another suite', parameters('<Suite>SHA3-256</Suite>'), 'unsupported'],
    [
      'a counter in words',
      { data: '<Counter><PlainValue>TWELVE</PlainValue></Counter>' },
      'bad_format',
    ],
    [
      'a negative counter',
      { data: '<Counter><PlainValue>-1</PlainValue></Counter>' },
      'out_of_range',
    ],
    [
      'a counter beyond 2^53 - 1',
      { data: '<Counter><PlainValue>9007199254740992</PlainValue></Counter>' },
      'out_of_range',
    ],
    [
      'a counter as a fraction',
      { data: '<Counter><PlainValue>1.5</PlainValue></Counter>' },
      'bad_format',
    ],
    [
      'a period of four seconds',
      { data: '<TimeInterval><PlainValue>4</PlainValue></TimeInterval>' },
      'out_of_range',
    ],
    [
      'a period of two days',
      { data: '<TimeInterval><PlainValue>172800</PlainValue></TimeInterval>' },
      'out_of_range',
    ],
    [
      'a drift beyond 32 bits',
      { data: '<TimeDrift><PlainValue>2147483648</PlainValue></TimeDrift>' },
      'out_of_range',
    ],
    [
      'an overlong description',
      { before: `<FriendlyName>${'x'.repeat(256)}</FriendlyName>` },
      'out_of_range',
    ],
    ['an overlong issuer', { before: `<Issuer>${'x'.repeat(256)}</Issuer>` }, 'out_of_range'],
  ])('%s', async (_, parts, code) => {
    expect(await readOne(keyPackage(parts))).toMatchObject([{ index: 1, code }])
  })

  test('a package without key', async () => {
    expect(await readOne('<KeyPackage/>')).toMatchObject([
      { index: 1, code: 'required', message: 'KeyPackage has no Key.' },
      { index: 1, code: 'required' },
    ])
  })

  test('a package with two keys', async () => {
    const twice = keyPackage({}).replace(/<Key .*<\/Key>/, (key) => key + key)
    expect(await readOne(twice)).toMatchObject([{ serial: 'S1', code: 'bad_format' }])
  })

  test('all faults of an entry are told at once, with its serial and without its secret', async () => {
    const faults = await readOne(
      keyPackage({
        ...parameters('<ResponseFormat Length="5" Encoding="DECIMAL"/>'),
        secret: '<Secret><PlainValue>c2VjcmV0</PlainValue></Secret>',
        data: '<TimeInterval><PlainValue>0</PlainValue></TimeInterval>',
      }),
    )
    expect(faults).toMatchObject([
      { serial: 'S1', code: 'bad_secret' },
      { serial: 'S1', code: 'out_of_range' },
      { serial: 'S1', code: 'out_of_range' },
    ])
    expect(JSON.stringify(faults)).not.toMatch(/c2VjcmV0/)
  })
})

describe('RFC 6030 section 5: a policy that is not understood whole forbids the key', () => {
  const localPin =
    'PINKeyId="1" PINUsageMode="Local" MinLength="4" MaxLength="4" PINEncoding="DECIMAL"'

  test.each([
    ['nothing', ''],
    ['use for one-time passwords', '<KeyUsage>OTP</KeyUsage>'],
    ['use for one-time passwords, among others', '<KeyUsage>CR</KeyUsage><KeyUsage>OTP</KeyUsage>'],
    ['a PIN that the device checks', `<PINPolicy ${localPin}/>`],
    ['a day without time zone', '<ExpiryDate>2030-01-01T00:00:00</ExpiryDate>'],
  ])('%s is allowed', async (_, policy) => {
    expect(await readOne(keyPackage({ after: `<Policy>${policy}</Policy>` }))).toMatchObject({
      serial: 'S1',
    })
  })

  test.each([
    ['another use', '<KeyUsage>Encrypt</KeyUsage>', 'unsupported'],
    ['an unknown use', '<KeyUsage>OTP</KeyUsage><KeyUsage>Party</KeyUsage>', 'unsupported'],
    ['a number of uses', '<NumberOfTransactions>100</NumberOfTransactions>', 'unsupported'],
    ['an unknown element', '<OnWeekdays/>', 'unsupported'],
    ['an element of others', '<x:Limit xmlns:x="urn:x"/>', 'unsupported'],
    [
      'a PIN before the code',
      `<PINPolicy ${localPin.replace('Local', 'Prepend')}/>`,
      'unsupported',
    ],
    ['a PIN of unknown use', '<PINPolicy MinLength="4"/>', 'unsupported'],
    ['an unknown rule for the PIN', `<PINPolicy ${localPin} OnWeekdays="true"/>`, 'unsupported'],
    [
      'a rule of others for the PIN',
      `<PINPolicy ${localPin} xmlns:x="urn:x" x:Local="1"/>`,
      'unsupported',
    ],
    [
      'an element inside the PIN policy',
      `<PINPolicy ${localPin}><Foo/></PINPolicy>`,
      'unsupported',
    ],
    ['a date that does not exist', '<StartDate>2026-02-30T00:00:00Z</StartDate>', 'bad_format'],
    ['a date without time', '<StartDate>2026-02-28</StartDate>', 'bad_format'],
    ['an hour that does not exist', '<StartDate>2026-02-28T25:00:00Z</StartDate>', 'bad_format'],
    ['an empty date', '<ExpiryDate/>', 'bad_format'],
    [
      'two dates',
      '<ExpiryDate>2030-01-01T00:00:00Z</ExpiryDate><ExpiryDate>2031-01-01T00:00:00Z</ExpiryDate>',
      'bad_format',
    ],
  ])('%s is refused', async (_, policy, code) => {
    expect(await readOne(keyPackage({ after: `<Policy>${policy}</Policy>` }))).toMatchObject([
      { code },
    ])
  })

  test('a second policy is refused', async () => {
    expect(await readOne(keyPackage({ after: '<Policy/><Policy/>' }))).toMatchObject([
      { code: 'bad_format' },
    ])
  })
})
