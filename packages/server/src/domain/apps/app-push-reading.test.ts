import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { DomainError } from '../errors.ts'
import { MemberCheck } from '../users/name-text.ts'
import { type PushDraft, presentMembers } from './app-push-members.ts'
import { readPush } from './app-push-reading.ts'
import {
  appleCertificate,
  appleMembers,
  dataUri,
  documentedSample,
  pkcs8Of,
  rsaPem,
  serviceAccount,
  vapidMembers,
} from './apps.fixture.ts'

function read(draft: PushDraft) {
  const check = new MemberCheck()
  const members = presentMembers(draft, check)
  check.finish()
  const reading = readPush(members, check)
  check.finish()
  return reading
}

/** Pointer and code of each fault; fails when a fault repeats anything of what was given. */
function faultsOf(draft: PushDraft): string[] {
  try {
    read(draft)
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    expect(error.code).toBe('invalid_request')
    for (const { message } of error.faults) {
      for (const given of Object.values(draft)) {
        if (typeof given === 'string' && given.length > 3) expect(message).not.toContain(given)
      }
    }
    return error.faults.map(({ pointer, code }) => `${pointer} ${code}`)
  }
  return []
}

let apple: Awaited<ReturnType<typeof appleMembers>>
beforeAll(async () => {
  apple = await appleMembers()
})

describe('what is absent', () => {
  test('null and empty texts are as good as nothing, and nothing is a push configuration', () => {
    const nothing = { usable: {}, services: [], unusable: [] }
    expect(read({})).toEqual(nothing)
    const empty = Object.keys(documentedSample).map((name) => [name, ''])
    expect(read({ ...Object.fromEntries(empty), iosIsDevelopment: null })).toEqual(nothing)
    const absent = Object.keys(documentedSample).map((name) => [name, null])
    expect(read(Object.fromEntries(absent))).toEqual(nothing)
  })
})

describe('members that go together', () => {
  const names = [
    'iosApnsCertificate',
    'iosApnsPrivateKey',
    'iosBundleId',
    'iosIsDevelopment',
  ] as const

  test('any of the four of iOS demands the others, `false` as much as a text', () => {
    for (const name of names) {
      const others = names.filter((other) => other !== name)
      expect(faultsOf({ [name]: apple[name] })).toEqual(
        expect.arrayContaining(others.map((other) => `/${other} required`)),
      )
      expect(faultsOf({ ...apple, [name]: null })).toContain(`/${name} required`)
    }
  })

  test('the two of Huawei demand each other, the three of Web Push too', () => {
    expect(faultsOf({ hpkClientId: '1' })).toEqual(['/hpkClientSecret required'])
    expect(faultsOf({ hpkClientSecret: 's', hpkClientId: '' })).toEqual(['/hpkClientId required'])
    const { webPushSubject: _, ...keys } = vapidMembers()
    expect(faultsOf(keys)).toEqual(['/webPushSubject required'])
  })

  test('a key that signs tokens takes the place of the certificate', () => {
    const { iosApnsCertificate, ...rest } = apple
    const token = { ...rest, iosApnsKeyId: 'ABC123DEFG', iosApnsTeamId: 'DEF123GHIJ' }
    expect(read(token).usable.apns).toMatchObject({
      kind: 'token',
      keyId: 'ABC123DEFG',
      teamId: 'DEF123GHIJ',
      bundleId: 'com.acme.bank',
      isDevelopment: false,
    })
    expect(faultsOf({ ...token, iosApnsTeamId: '' })).toEqual(['/iosApnsTeamId required'])
    expect(faultsOf({ ...token, iosApnsCertificate })).toEqual([
      '/iosApnsCertificate mutually_exclusive',
    ])
    expect(faultsOf({ ...token, iosApnsPrivateKey: rsaPem() })).toEqual([
      '/iosApnsPrivateKey bad_format',
    ])
  })
})

describe('Apple', () => {
  test('certificate and key as PEM, as Base64 of it or of DER, and as the data URI that portals send', async () => {
    const { certificate, privateKey } = await appleCertificate()
    const base64 = (text: string | Buffer) => Buffer.from(text).toString('base64')
    const der = (pem: string) => Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ''), 'base64')
    for (const form of [
      (pem: string) => pem,
      dataUri,
      base64,
      (pem: string) => base64(der(pem)),
      (pem: string) => base64(der(pem)).replaceAll(/.{64}/g, '$&\r\n'),
    ]) {
      const { usable, services, unusable } = read({
        ...apple,
        iosApnsCertificate: form(certificate),
        iosApnsPrivateKey: form(privateKey),
      })
      expect({ services, unusable }).toEqual({ services: ['apns'], unusable: [] })
      expect(usable.apns).toMatchObject({ kind: 'certificate', bundleId: 'com.acme.bank' })
      const { certificate: read1 = '' } = usable.apns?.kind === 'certificate' ? usable.apns : {}
      expect(read1.replaceAll(/\s/g, '')).toBe(certificate.replaceAll(/\s/g, ''))
    }
  })

  test('a key is an object that does not print itself', () => {
    const { usable } = read(apple)
    const text = inspect(usable, { depth: 9, showHidden: true }) + JSON.stringify(usable)
    expect(text).not.toMatch(/PRIVATE KEY-----/)
  })

  test.each([
    ['another key', async () => (await appleCertificate()).privateKey],
    ['a data URI that is none', async () => 'data:application/x-pem-file;base64,%%%'],
    ['a data URI of something else', async () => dataUri('hello')],
    ['PEM that is cut', async () => (await appleCertificate()).privateKey.slice(0, 90)],
    ['a certificate', async () => (await appleCertificate()).certificate],
    ['text beside a real certificate', async () => 'string'],
    [
      'an encrypted key',
      async () =>
        generateKeyPairSync('ec', {
          namedCurve: 'P-256',
          privateKeyEncoding: {
            format: 'pem',
            type: 'pkcs8',
            cipher: 'aes-256-cbc',
            passphrase: 'x',
          },
          publicKeyEncoding: { format: 'pem', type: 'spki' },
        }).privateKey,
    ],
    [
      'RSA of 1024 bits',
      async () => pkcs8Of(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey),
    ],
    ['Ed25519', async () => pkcs8Of(generateKeyPairSync('ed25519').privateKey)],
    ['DER of something else', async () => Buffer.from(`0${'\x00'.repeat(60)}`).toString('base64')],
  ])('%s in place of the key is refused by its name alone', async (_what, key) => {
    expect(faultsOf({ ...apple, iosApnsPrivateKey: await key() })).toEqual([
      '/iosApnsPrivateKey bad_format',
    ])
  })

  test('what is no certificate is refused by its name alone', () => {
    for (const iosApnsCertificate of [rsaPem(), dataUri('x'), '-----BEGIN CERTIFICATE-----', 'x']) {
      expect(faultsOf({ ...apple, iosApnsCertificate })).toEqual(['/iosApnsCertificate bad_format'])
    }
  })

  test.each(['com.acme bank', 'com\r\nx: y', 'bänk', 'b'.repeat(256), '\0'])(
    'a bundle id that no header can carry is refused: %j',
    (iosBundleId) => {
      expect(faultsOf({ ...apple, iosBundleId })).toHaveLength(1)
    },
  )
})

describe('Google', () => {
  const fcm = (changes: Readonly<Record<string, unknown>> = {}) => ({
    fcmServiceAccountJSON: serviceAccount(changes),
  })

  test('a service account, in Base64 or as a data URI of it', () => {
    const { fcmServiceAccountJSON } = fcm()
    for (const given of [
      fcmServiceAccountJSON,
      `data:application/json;base64,${fcmServiceAccountJSON}`,
    ]) {
      expect(read({ fcmServiceAccountJSON: given })).toMatchObject({
        services: ['fcm'],
        unusable: [],
        usable: {
          fcm: {
            projectId: 'acme-bank',
            clientEmail: 'push@acme-bank.iam.gserviceaccount.com',
            privateKeyId: '0f3c',
          },
        },
      })
    }
    const elsewhere = read(fcm({ token_uri: 'https://elsewhere.example/token' })).usable.fcm
    expect(JSON.stringify(elsewhere)).not.toContain('elsewhere')
  })

  test.each([
    { project_id: undefined },
    { project_id: 'a/../b' },
    { project_id: 7 },
    { client_email: undefined },
    { client_email: 'a b' },
    { private_key: undefined },
    { private_key: 'string' },
    { private_key: ['x'] },
    { private_key: pkcs8Of(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey) },
    { type: undefined, client_email: undefined },
  ])('a service account with %o is refused', (changes) => {
    expect(faultsOf(fcm(changes))).toEqual(['/fcmServiceAccountJSON bad_format'])
  })

  test.each([
    'string',
    '{"type":"service_account"}',
    ...['', '[]', '7', 'null', '{"a":1,"a":2}', '{', `${'['.repeat(2000)}`].map((text) =>
      Buffer.from(text || ' ').toString('base64'),
    ),
    Buffer.from([0xff, 0xfe]).toString('base64'),
  ])('%s is no JSON object in Base64, and is refused', (fcmServiceAccountJSON) => {
    expect(faultsOf({ fcmServiceAccountJSON })).toEqual(['/fcmServiceAccountJSON bad_format'])
  })

  test('a key of the old service is kept and not used', () => {
    const { services, unusable } = read({ androidApiKey: 'AAAA:legacy' })
    expect({ services, unusable }).toEqual({ services: ['fcm'], unusable: ['fcm'] })
  })
})

describe('browsers', () => {
  test('a pair of keys and a subject', () => {
    const members = vapidMembers()
    const { usable, services } = read(members)
    expect(services).toEqual(['webpush'])
    expect(usable.webPush).toMatchObject({
      publicKey: members.webPushPublicKey,
      subject: 'mailto:push@acme.example',
    })
  })

  test('halves of different pairs, other lengths, other spellings, other subjects are refused', () => {
    const members = vapidMembers()
    const { webPushPublicKey, webPushPrivateKey } = members
    expect(faultsOf({ ...vapidMembers(), webPushPublicKey })).toHaveLength(1)
    for (const key of ['A', `${webPushPrivateKey}A`, `${webPushPrivateKey}=`, 'A'.repeat(43)]) {
      expect(faultsOf({ ...members, webPushPrivateKey: key })).toEqual([
        '/webPushPrivateKey bad_format',
      ])
    }
    for (const webPushSubject of [
      'push@acme.example',
      'http://acme',
      'mailto:a b',
      'javascript:1',
    ]) {
      expect(faultsOf({ ...members, webPushSubject })).toEqual(['/webPushSubject bad_format'])
    }
  })
})

describe('limits and placeholders', () => {
  test('the sample of the vendor’s page is taken as it is; what it says for keys is not used', () => {
    const { usable, services, unusable } = read(documentedSample)
    expect({ usable, services, unusable }).toEqual({
      usable: { hpk: { clientId: 'string', clientSecret: 'string' } },
      services: ['apns', 'fcm', 'hpk'],
      unusable: ['apns', 'fcm'],
    })
  })

  test('longer texts than any key are refused, and nothing is read of them', () => {
    const startedAt = performance.now()
    const long = `-----BEGIN PRIVATE KEY-----${'A'.repeat(900_000)}`
    expect(faultsOf({ ...apple, iosApnsPrivateKey: long })).toContain(
      '/iosApnsPrivateKey out_of_range',
    )
    expect(faultsOf({ fcmServiceAccountJSON: long })).toContain(
      '/fcmServiceAccountJSON out_of_range',
    )
    expect(performance.now() - startedAt).toBeLessThan(200)
  })

  test('half of a surrogate pair is refused', () => {
    expect(faultsOf({ hpkClientId: '1', hpkClientSecret: '\ud800' })).toEqual([
      '/hpkClientSecret bad_format',
    ])
  })
})
