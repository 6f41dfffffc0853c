import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { signFrame, writeTbsCertificate } from '@countersign/protocol/certificate/certificate.ts'
import { writeName } from '@countersign/protocol/certificate/name.ts'
import { toPem } from '@countersign/protocol/certificate/pem.ts'
import { createTestKey, type TestKey } from '#test/support/device-keys.ts'

/** What a portal sends for a file. */
export function dataUri(file: string): string {
  return `data:application/x-pem-file;base64,${Buffer.from(file).toString('base64')}`
}

export function pkcs8Of(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString()
}

/** An app's certificate as Apple would give it, and its key; PEM. */
export async function appleCertificate(key: TestKey = createTestKey()) {
  const name = writeName({ commonName: 'Apple Push Services: com.acme.bank' })
  const tbs = writeTbsCertificate({
    serial: Uint8Array.of(1),
    issuer: name,
    subject: name,
    notBeforeMs: Date.UTC(2026, 0, 1),
    notAfterMs: Date.UTC(2036, 0, 1),
    publicKey: key.spki,
    extensions: [],
  })
  const certificate = toPem('CERTIFICATE', await signFrame(tbs, key.sign))
  return { certificate, privateKey: pkcs8Of(key.privateKey) }
}

/** The four members of an app on iOS. */
export async function appleMembers() {
  const { certificate, privateKey } = await appleCertificate()
  return {
    iosApnsCertificate: dataUri(certificate),
    iosApnsPrivateKey: dataUri(privateKey),
    iosBundleId: 'com.acme.bank',
    iosIsDevelopment: false,
  }
}

let rsaKey: string | undefined

/** One RSA key for all tests of a file: making one takes long. */
export function rsaPem(): string {
  rsaKey ??= pkcs8Of(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
  return rsaKey
}

/** Google's file; members given as undefined are left out. */
export function serviceAccount(changes: Readonly<Record<string, unknown>> = {}): string {
  const file = {
    type: 'service_account',
    project_id: 'acme-bank',
    private_key_id: '0f3c',
    private_key: rsaPem(),
    client_email: 'push@acme-bank.iam.gserviceaccount.com',
    token_uri: 'https://oauth2.googleapis.com/token',
    ...changes,
  }
  return Buffer.from(JSON.stringify(file)).toString('base64')
}

/** As `web-push generate-vapid-keys` prints them. */
export function vapidMembers() {
  const { x, y, d } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'jwk',
  })
  const point = Buffer.concat([
    Buffer.of(4),
    Buffer.from(x ?? '', 'base64url'),
    Buffer.from(y ?? '', 'base64url'),
  ])
  return {
    webPushPublicKey: point.toString('base64url'),
    webPushPrivateKey: d ?? '',
    webPushSubject: 'mailto:push@acme.example',
  }
}

/** The request body of the vendor's page, as it stands there; the list of categories is left open there. */
export const documentedSample = {
  categories: ['chat', 'payment', 'tms'],
  androidApiKey: 'string',
  iosApnsCertificate: 'string',
  iosApnsPrivateKey: 'string',
  iosBundleId: 'string',
  iosIsDevelopment: true,
  hpkClientId: 'string',
  hpkClientSecret: 'string',
  fcmServiceAccountJSON: 'eyAiY2xpZW50X2lkIjogImNsaWVudC1pZCIsICJjbGllbnRfc2VjcmV0IjogInNlY3JldCJ9',
} as const
