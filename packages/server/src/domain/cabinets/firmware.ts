/** What the firmware runs on: the cabinet, batch keys (IR4), LoRa keys. */
export const firmwareTypes = ['OKM', 'IR4KEY', 'LORAKEY'] as const
export type FirmwareType = (typeof firmwareTypes)[number]

export interface FirmwareDraft {
  readonly type: FirmwareType
  /** 1 to 64 characters; unique in its type. */
  readonly version: string
  /** Given to devices as it is. */
  readonly url: string
}

/** Where one version of one firmware is to be had. Entries are service-wide. */
export interface Firmware extends FirmwareDraft {
  /** ULID. */
  readonly id: string
}

const versionLengthMax = 64

/** Orders versions of one type: the longer text is newer, then the greater one. Versions are digits of a fixed width. */
export function versionRank(version: string): string {
  return `${String(version.length).padStart(3, '0')}:${version}`
}

/** True for a version that a device may report or an entry may have. */
export function isFirmwareVersion(text: string): boolean {
  return (
    text.length >= 1 &&
    text.length <= versionLengthMax &&
    text.isWellFormed() &&
    !text.includes('\0')
  )
}

export function isNewer(version: string, reported: string): boolean {
  return versionRank(version) > versionRank(reported)
}
