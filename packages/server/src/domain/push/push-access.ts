import type { SecureContext } from 'node:tls'
import { clientIdentity, signProviderJwt } from '#custody/provider-signature.ts'
import { encryptWebPush } from '#custody/web-push-encryption.ts'
import type {
  ApnsCertificate,
  ApnsCredentials,
  FcmCredentials,
  HpkCredentials,
  WebPushCredentials,
} from '../apps/app-push-credentials.ts'
import type { Randomness } from '../clock.ts'
import type { ApnsAccess, FcmAccess, HmsAccess, WebPushAccess } from './push-sender.ts'
import type { WebPushSubscription } from './push-token.ts'

const hourSeconds = 3_600
const fcmScope = 'https://www.googleapis.com/auth/firebase.messaging'
/** Google's, whatever a tenant's file names and wherever the operator has it asked: the server never calls a file's address. */
const googleAudience = 'https://oauth2.googleapis.com/token'
/** RFC 8292 allows a day. */
const vapidSeconds = 12 * hourSeconds
const saltLength = 16

/** @param id of the credentials. */
export function fcmAccess(
  { projectId, clientEmail, privateKey, privateKeyId }: FcmCredentials,
  id: string,
): FcmAccess {
  return {
    id,
    projectId,
    assertion(nowMs) {
      const iat = Math.floor(nowMs / 1000)
      const exp = iat + hourSeconds
      const claims = { iss: clientEmail, scope: fcmScope, aud: googleAudience, iat, exp }
      const header = privateKeyId === undefined ? {} : { kid: privateKeyId }
      return signProviderJwt({ algorithm: 'RS256', key: privateKey }, header, claims)
    },
  }
}

/** What a connection shows is made once for each certificate. */
const identities = new WeakMap<ApnsCertificate, SecureContext>()

function identityOf(credentials: ApnsCertificate): SecureContext | undefined {
  const made =
    identities.get(credentials) ?? clientIdentity(credentials.certificate, credentials.privateKey)
  if (made !== undefined) identities.set(credentials, made)
  return made
}

/** Undefined: no TLS can be made with the certificate. */
export function apnsAccess(credentials: ApnsCredentials, id: string): ApnsAccess | undefined {
  const { bundleId, isDevelopment, privateKey: key } = credentials
  const app = { id, bundleId, isDevelopment }
  if (credentials.kind === 'certificate') {
    const identity = identityOf(credentials)
    return identity && { ...app, identity }
  }
  const { keyId, teamId } = credentials
  return {
    ...app,
    providerToken: (nowMs) =>
      signProviderJwt(
        { algorithm: 'ES256', key },
        { kid: keyId },
        { iss: teamId, iat: Math.floor(nowMs / 1000) },
      ),
  }
}

export function hmsAccess({ clientId, clientSecret }: HpkCredentials, id: string): HmsAccess {
  return { id, appId: clientId, clientSecret: () => clientSecret }
}

/** RFC 8292: who sends, to which push service, until when. */
export function webPushAccess(
  { privateKey, publicKey, subject }: WebPushCredentials,
  { endpoint, keys }: WebPushSubscription,
  { nowMs, randomness }: { nowMs: number; randomness: Randomness },
): WebPushAccess {
  const exp = Math.floor(nowMs / 1000) + vapidSeconds
  const claims = { aud: new URL(endpoint).origin, exp, sub: subject }
  const jwt = signProviderJwt({ algorithm: 'ES256', key: privateKey }, {}, claims)
  return {
    endpoint,
    authorization: `vapid t=${jwt}, k=${publicKey}`,
    encrypt: (plain) => encryptWebPush(plain, keys, randomness(saltLength)),
  }
}
