import type { KeyObject } from 'node:crypto'
import type { PushCategory } from './app.ts'

/** Apple: HTTP/2 with a certificate of the app, or with tokens that a key of the team signs. */
export type ApnsCredentials = ApnsCertificate | ApnsTokenKey

export interface ApnsCertificate {
  readonly kind: 'certificate'
  /** PEM; the chain may follow. */
  readonly certificate: string
  /** Belongs to the certificate. */
  readonly privateKey: KeyObject
  readonly bundleId: string
  /** True: the development gateway. */
  readonly isDevelopment: boolean
}

export interface ApnsTokenKey {
  readonly kind: 'token'
  readonly keyId: string
  readonly teamId: string
  /** P-256. */
  readonly privateKey: KeyObject
  readonly bundleId: string
  /** True: the development gateway. */
  readonly isDevelopment: boolean
}

/** Google: a service account, FCM HTTP v1. Addresses that its file names do not count: whoever sends knows Google's. */
export interface FcmCredentials {
  readonly projectId: string
  readonly clientEmail: string
  /** RSA. */
  readonly privateKey: KeyObject
  /** Names the key to Google. */
  readonly privateKeyId: string | undefined
}

/** Huawei Push Kit. */
export interface HpkCredentials {
  readonly clientId: string
  readonly clientSecret: string
}

/** Browsers, RFC 8292. */
export interface WebPushCredentials {
  /** P-256. */
  readonly privateKey: KeyObject
  /** Uncompressed point, base64url: what browsers subscribed with. */
  readonly publicKey: string
  /** `mailto:` or `https:`. */
  readonly subject: string
}

/** What can be used for sending; a service without usable credentials is absent. */
export interface UsableCredentials {
  readonly apns?: ApnsCredentials
  readonly fcm?: FcmCredentials
  readonly hpk?: HpkCredentials
  readonly webPush?: WebPushCredentials
}

/** What whoever pushes for an app needs. Keys are objects that do not print themselves. */
export interface PushCredentials extends UsableCredentials {
  /** Another one after every change of the app: what was made of older credentials is void. */
  readonly revision: string
  /** Messages of other categories are not pushed. */
  readonly categories: readonly PushCategory[]
}

/** Where senders get credentials. Implemented by the apps. */
export interface PushCredentialReader {
  /** Undefined: there is no such app. @throws DomainError `unavailable`; SealError. */
  pushCredentials(tenantId: string, appName: string): Promise<PushCredentials | undefined>
}
