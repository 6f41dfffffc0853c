import { DomainError } from '../errors.ts'

/** What an app wants push messages for. */
export const pushCategories = ['chat', 'payment', 'tms'] as const
export type PushCategory = (typeof pushCategories)[number]

/** Where push messages go: Apple, Google, Huawei, browsers. */
export const pushServices = ['apns', 'fcm', 'hpk', 'webpush'] as const
export type PushService = (typeof pushServices)[number]

/** What of a push configuration anybody may read who may read the app. */
export interface PushConfiguration {
  readonly iosBundleId?: string
  readonly iosIsDevelopment?: boolean
  /** Of a key that signs tokens, in place of a certificate. */
  readonly iosApnsKeyId?: string
  readonly iosApnsTeamId?: string
  readonly hpkClientId?: string
  readonly webPushPublicKey?: string
  readonly webPushSubject?: string
}

/** What of it only those may read who may change it. */
export interface PushSecrets {
  readonly androidApiKey?: string
  readonly iosApnsCertificate?: string
  readonly iosApnsPrivateKey?: string
  readonly hpkClientSecret?: string
  readonly fcmServiceAccountJSON?: string
  readonly webPushPrivateKey?: string
}

/** An app, whose versions devices run. */
export interface App {
  readonly tenantId: string
  /** Compared by bytes. */
  readonly name: string
  /** Another one after every change. */
  readonly revision: string
  /** At least one. */
  readonly categories: readonly PushCategory[]
  /** Services that the app has credentials of, usable or not. */
  readonly services: readonly PushService[]
  readonly configuration: PushConfiguration
  /** Services whose credentials are kept and cannot be used for sending. */
  readonly unusable: readonly PushService[]
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** A list of apps is counted in one go, and a page of it holds whole credentials. */
export const appsPerTenantMax = 1_000
const nameCharactersMax = 32

/** True for names that apps can have: 1 to 32 characters, no control characters. */
export function isAppName(name: string): boolean {
  if (name.length === 0 || name.length > 2 * nameCharactersMax || !name.isWellFormed()) return false
  const characters = [...name]
  return (
    characters.length <= nameCharactersMax &&
    characters.every((one) => one >= ' ' && one !== '\x7f')
  )
}

export function appNotFound(): DomainError {
  return new DomainError('app_not_found', 'No such app.')
}
