import { decodeBase64url } from '@countersign/protocol/encoding/base64.ts'
import { type JsonMembers, readJsonObject } from '@countersign/protocol/encoding/json.ts'
import { readPrivateKey, readVapidKey } from '#custody/foreign-keys.ts'
import { MemberCheck } from '../users/name-text.ts'
import type { PushService } from './app.ts'
import {
  decodeFile,
  isP256,
  isUsableKey,
  readCertificate,
  readMaterial,
} from './app-key-material.ts'
import type {
  ApnsCredentials,
  FcmCredentials,
  UsableCredentials,
  WebPushCredentials,
} from './app-push-credentials.ts'
import type { PushMembers } from './app-push-members.ts'

/** What a push configuration amounts to. */
export interface PushReading {
  readonly usable: UsableCredentials
  /** Services that members were given for. */
  readonly services: readonly PushService[]
  /** Those of them that are kept, but cannot be used. */
  readonly unusable: readonly PushService[]
}

/**
 * Reads keys, certificates and files. What claims to be one and is not is told to `check`; a text that makes no such claim, as a
 * portal's placeholder, is kept and not used.
 *
 * @param members complete as `presentMembers` demands.
 */
export function readPush(members: PushMembers, check: MemberCheck): PushReading {
  const { hpkClientId, hpkClientSecret } = members
  const apns = readApns(members, check)
  const fcm = readFcm(members, check)
  const webPush = readWebPush(members, check)
  const hpk =
    hpkClientId === undefined || hpkClientSecret === undefined
      ? undefined
      : { clientId: hpkClientId, clientSecret: hpkClientSecret }
  const usable = {
    ...(apns === undefined ? {} : { apns }),
    ...(fcm === undefined ? {} : { fcm }),
    ...(hpk === undefined ? {} : { hpk }),
    ...(webPush === undefined ? {} : { webPush }),
  }
  const given: readonly (readonly [PushService, boolean, boolean])[] = [
    ['apns', members.iosApnsPrivateKey !== undefined, apns !== undefined],
    [
      'fcm',
      (members.fcmServiceAccountJSON ?? members.androidApiKey) !== undefined,
      fcm !== undefined,
    ],
    ['hpk', hpk !== undefined, hpk !== undefined],
    ['webpush', members.webPushPrivateKey !== undefined, webPush !== undefined],
  ]
  const services = given.filter(([, isGiven]) => isGiven)
  return {
    usable,
    services: services.map(([service]) => service),
    unusable: services.filter(([, , isUsable]) => !isUsable).map(([service]) => service),
  }
}

/** As {@link readPush} for what was checked when it was kept. */
export function usableCredentials(members: PushMembers): UsableCredentials {
  return readPush(members, new MemberCheck()).usable
}

function readApns(members: PushMembers, check: MemberCheck): ApnsCredentials | undefined {
  const { iosApnsKeyId: keyId, iosApnsTeamId: teamId } = members
  const { iosApnsCertificate, iosApnsPrivateKey, iosBundleId, iosIsDevelopment } = members
  if (iosApnsPrivateKey === undefined || iosBundleId === undefined) return undefined
  if (iosIsDevelopment === undefined) return undefined
  const app = { bundleId: iosBundleId, isDevelopment: iosIsDevelopment }

  const keyMaterial = readMaterial(iosApnsPrivateKey)
  if (keyId !== undefined && teamId !== undefined) {
    const privateKey = keyIn(keyMaterial)
    if (privateKey !== undefined && isP256(privateKey)) {
      return { kind: 'token', keyId, teamId, privateKey, ...app }
    }
    check.add('/iosApnsPrivateKey', 'bad_format', 'must be a private key on P-256, as PKCS#8')
    return undefined
  }
  if (iosApnsCertificate === undefined) return undefined
  const certificateMaterial = readMaterial(iosApnsCertificate)
  if (keyMaterial.kind === 'opaque' && certificateMaterial.kind === 'opaque') return undefined

  const certificate = readCertificate(certificateMaterial)
  const privateKey = keyIn(keyMaterial)
  if (certificate === undefined) {
    check.add('/iosApnsCertificate', 'bad_format', 'must be an X.509 certificate, as PEM or DER')
  }
  if (privateKey === undefined || !isUsableKey(privateKey)) {
    const message = 'must be a private key, PKCS#8, RSA of 2048 bits or more or EC, not encrypted'
    check.add('/iosApnsPrivateKey', 'bad_format', message)
    return undefined
  }
  if (certificate === undefined) return undefined
  if (!certificate.checkPrivateKey(privateKey)) {
    check.add('/iosApnsPrivateKey', 'bad_format', 'must be the key of iosApnsCertificate')
    return undefined
  }
  const chain = certificateMaterial.kind === 'pem' ? certificateMaterial.text : undefined
  return { kind: 'certificate', certificate: chain ?? certificate.toString(), privateKey, ...app }
}

function keyIn(material: ReturnType<typeof readMaterial>) {
  if (material.kind === 'pem') return readPrivateKey(material.text)
  return material.kind === 'der' ? readPrivateKey(material.bytes) : undefined
}

function readFcm(members: PushMembers, check: MemberCheck): FcmCredentials | undefined {
  const { fcmServiceAccountJSON: given } = members
  if (given === undefined) return undefined
  const refuse = (message: string): undefined => {
    check.add('/fcmServiceAccountJSON', 'bad_format', message)
  }
  const file = objectIn(given)
  if (file === undefined) return refuse('must be a JSON object, in Base64')
  // Google's console gives files of other kinds, too; they are kept as they are.
  if (file.type !== 'service_account' && !('private_key' in file)) return undefined

  const { project_id: projectId, client_email: clientEmail, private_key: pem } = file
  const { private_key_id: privateKeyId } = file
  if (!fits(projectId, /^[a-z0-9:.-]{1,100}$/i)) return refuse('must have the member project_id')
  if (!fits(clientEmail, /^[!-~]{1,255}$/)) return refuse('must have the member client_email')
  const privateKey = typeof pem === 'string' ? readPrivateKey(pem) : undefined
  if (privateKey?.asymmetricKeyType !== 'rsa' || !isUsableKey(privateKey)) {
    return refuse('must have the member private_key, an RSA key of 2048 bits or more, as PEM')
  }
  const named = fits(privateKeyId, /^[!-~]{1,255}$/) ? privateKeyId : undefined
  return { projectId, clientEmail, privateKey, privateKeyId: named }
}

function objectIn(text: string): JsonMembers | undefined {
  const bytes = decodeFile(text)
  return bytes && readJsonObject(bytes)
}

function fits(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function readWebPush(members: PushMembers, check: MemberCheck): WebPushCredentials | undefined {
  const { webPushPublicKey: publicKey, webPushPrivateKey, webPushSubject: subject } = members
  if (publicKey === undefined || webPushPrivateKey === undefined || subject === undefined) {
    return undefined
  }
  const point = decodeBase64url(publicKey)
  const scalar = decodeBase64url(webPushPrivateKey)
  const privateKey = point && scalar && readVapidKey({ publicKey: point, privateKey: scalar })
  if (privateKey !== undefined) return { privateKey, publicKey, subject }
  const message = 'must be 32 bytes in base64url that belong to webPushPublicKey, a point on P-256'
  check.add('/webPushPrivateKey', 'bad_format', message)
  return undefined
}
