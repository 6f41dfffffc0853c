/** A version of an app on a platform: what devices have to run. */
export interface AppVersion {
  readonly tenantId: string
  readonly id: string
  readonly appName: string
  readonly platform: string
  /** major.minor.build */
  readonly versionStr: string
  /** Whose login registers integrity values where no policy says otherwise, as callers name users. */
  readonly registerUserId: string
  readonly isLocked: boolean
  readonly checksIntegrity: boolean
}

/** The integrity value that counts on an architecture. */
export interface Registration {
  readonly architecture: string
  /** Lower-case hex. */
  readonly integrity: string
  /** The user, as the version or the policy names them; `quorum`. */
  readonly registeredBy: string
  /** Of the device with which it was registered. */
  readonly sdkVersion: string
  readonly registeredAtMs: number
}

export interface RegisteredVersion extends AppVersion {
  /** In order of the architectures' names. */
  readonly registrations: readonly Registration[]
}

const majorMax = 2 ** 23 - 1
const minorMax = 2 ** 8 - 1
const buildMax = 2 ** 32 - 1
/** Digits of the largest number, which is 2^63 - 1. */
const numberDigits = 19

/**
 * major * 2^40 + minor * 2^32 + build.
 *
 * @returns undefined for anything but three components without leading zeros, and for a component beyond 8388607, 255 or
 *   4294967295.
 */
export function versionNumberOf(versionStr: string): bigint | undefined {
  const parts = /^(0|[1-9]\d{0,6})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,9})$/.exec(versionStr)
  if (parts === null) return undefined
  const [major, minor, build] = parts.slice(1).map(Number)
  if (major === undefined || minor === undefined || build === undefined) return undefined
  if (major > majorMax || minor > minorMax || build > buildMax) return undefined
  return (BigInt(major) << 40n) + (BigInt(minor) << 32n) + BigInt(build)
}

/** The number as a text that sorts as numbers do; undefined as {@link versionNumberOf}. */
export function versionKeyOf(versionStr: string): string | undefined {
  return versionNumberOf(versionStr)?.toString().padStart(numberDigits, '0')
}

export function versionTarget(id: string): { type: 'app-version'; id: string } {
  return { type: 'app-version', id }
}
