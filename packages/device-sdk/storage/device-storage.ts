import type { CertificateProfile } from '../certificate-profile.ts'
import type { CpFlags, PropertyAddress, TypedValue } from '../property.ts'
import type { SigningKey } from '../signing-key.ts'

/**
 * Where a device keeps its keys and what it knows. One storage is one device. What is written must be there after a crash:
 * `writeState` resolves when it is.
 */
export interface DeviceStorage {
  /** Told to the server with every login (`risks` of the app facts); undefined when the platform guards the keys. */
  readonly risks: string | undefined
  /** Makes a key and keeps it under a name; a former one of the name is replaced. */
  createKey(name: string): Promise<SigningKey>
  findKey(name: string): Promise<SigningKey | undefined>
  deleteKey(name: string): Promise<void>
  readState(): Promise<DeviceState | undefined>
  writeState(state: DeviceState): Promise<void>
  /** Erases keys and state. */
  clear(): Promise<void>
}

/** Plain data: it survives JSON and structured cloning. */
export interface DeviceState {
  readonly version: 1
  /** Origin. */
  readonly server: string
  readonly tenantId: string
  /** While an enrolment runs whose answer has not come: the code's hash, so that only the same code finds the same keys. */
  readonly enrolling?: { readonly codeHash: string; readonly bioKey?: string }
  /** Once enrolled. */
  readonly enrolled?: EnrolledState
}

export interface EnrolledState {
  readonly deviceId: string
  readonly issuer: string
  /** Base64 DER of the certificates that are trusted. */
  readonly anchors: readonly string[]
  /** The anchor that the code named, base64url SHA-256: then no other is trusted. */
  readonly pinnedAnchor?: string
  readonly users: readonly UserState[]
}

export interface UserState {
  readonly userId: string
  /** Name of the biometric key, when there is one. */
  readonly bioKey?: string
  /** Id of the last event that was handled. */
  readonly lastEventId?: string
  readonly certificates: readonly CertificateState[]
  /** Copies of properties, where their `cpFlags` ask for one. */
  readonly properties?: readonly PropertyCopy[]
}

/** A property of which this device has a copy. */
export interface PropertyCopy extends PropertyAddress, TypedValue {
  /** Of the server's value that this one is, or was made from. */
  readonly version: number
  readonly cpFlags: CpFlags
  readonly readOnly: boolean
  /** The copy belongs where the keys are; all copies are kept there. */
  readonly inKeystorage: boolean
  /** Written here, and not at the server yet. */
  readonly isPending?: boolean
}

export interface CertificateState {
  readonly certRef: string
  readonly profile: CertificateProfile
  /** Name of the key that is certified. */
  readonly key: string
  /** Base64 DER. */
  readonly certificate: string
  /** Base64 DER, the signer first, the anchor last. */
  readonly chain: readonly string[]
  readonly notAfterMs: number
}
