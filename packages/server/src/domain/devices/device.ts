import type { EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
/** What proves a user on a device: a PIN (of the user) or a key that the platform releases after a biometric check. */
export type Factor = 'pin' | 'bio'

/** The surface by whose rules the device came. */
export type EnrolledVia = 'DEVICE' | 'AST' | 'KEYLESS'

export type LockState = 'NONE' | 'LOCKED' | 'UNLOCKED'

export interface DeviceLock {
  /** NONE: never locked; UNLOCKED: after a lock was lifted. */
  readonly state: LockState
  readonly reason: string | null
  readonly changedAtMs: number | null
}

/** What runs on the device. Name, platform and architecture are fixed at enrolment, the rest may change at each login. */
export interface AppFacts {
  readonly name: string
  readonly platform: string
  readonly architecture: string
  /** major.minor.build */
  readonly versionStr: string
  readonly sdkVersion: string
  /** Measurement of the app, lower-case hex. */
  readonly integrity?: string | undefined
  /** Opaque. */
  readonly risks?: string | undefined
}

/** What an app tells of the device it runs on. */
export interface DeviceFacts {
  readonly name: string | null
  readonly model: string | null
  readonly osName: string | null
  readonly osVersion: string | null
}

/** A user on a device. */
export interface DeviceLink {
  readonly deviceId: string
  readonly userId: string
  readonly epoch: number
  readonly linkedAtMs: number
  /** Null while the link stands. */
  readonly endedAtMs: number | null
  readonly bioKey: EcPublicJwk | null
  readonly bioThumbprint: string | null
  /** The key statement as the device key signed it. */
  readonly keyStatement: string
  readonly bioStatement: string | null
  /** The last verification that a login without factor may repeat. */
  readonly verified: { readonly atMs: number; readonly factor: Factor } | null
  readonly lastSuccessAtMs: number | null
  readonly lastFailureAtMs: number | null
  /** The user has a PIN. */
  readonly hasPin: boolean
}

export interface Device extends DeviceFacts {
  readonly tenantId: string
  readonly id: string
  /** RFC 7638, SHA-256, base64url. */
  readonly keyThumbprint: string
  readonly publicKey: EcPublicJwk
  readonly status: 'ACTIVE' | 'DELETED'
  readonly enrolledVia: EnrolledVia
  readonly app: AppFacts
  /** Provider prefix and token as the provider issued it. */
  readonly pushToken: string | null
  /** BCP 47, preferred first. */
  readonly locales: readonly string[]
  readonly lock: DeviceLock
  readonly sessionEpoch: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly lastSeenAtMs: number | null
  readonly lastSuccessAtMs: number | null
  readonly lastFailureAtMs: number | null
  readonly deletedAtMs: number | null
}

/** A device with its users. */
export interface LinkedDevice extends Device {
  /** Standing links, oldest first; at most {@link linksPerDeviceMax}. */
  readonly links: readonly DeviceLink[]
}

export const linksPerDeviceMax = 100
/** Every device of a user fits into one answer. */
export const devicesPerUserMax = 100

/** Factors that can prove this user on this device. */
export function factorsOf(link: DeviceLink): Factor[] {
  return [
    ...(link.bioKey === null ? [] : (['bio'] as const)),
    ...(link.hasPin ? (['pin'] as const) : []),
  ]
}

export function deviceTarget(id: string): { type: 'device'; id: string } {
  return { type: 'device', id }
}
