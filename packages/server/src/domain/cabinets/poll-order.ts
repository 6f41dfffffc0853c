import { secretsEqual } from '#custody/secrets.ts'
import type { CabinetConfig } from './cabinet.ts'
import { type Firmware, type FirmwareType, isNewer } from './firmware.ts'
import type { PollReport, PollRequest, SettingName } from './poll.ts'
import type { Told } from './poll-store.ts'
import type { ListDigests } from './rights-store.ts'

/** Addresses first, so that the device is reachable; rights before firmware, so that no download holds back a revocation. */
export const settingOrder = [
  'configUrl',
  'auditUrl',
  'kasDateTime',
  'retailCfg',
  'keyCheckoutWindowTime',
  'keyCheckoutWindowContact',
  'cacheMode',
  'pinMode',
  'auditEnabled',
  'pollingInterval',
  'assetList',
  'usersAssets',
  'kasFirmware',
  'batchKeyFirmware',
  'wirelessKeyFirmware',
] as const satisfies readonly SettingName[]

export const firmwareTypeOf = {
  kasFirmware: 'OKM',
  batchKeyFirmware: 'IR4KEY',
  wirelessKeyFirmware: 'LORAKEY',
} as const satisfies Partial<Record<SettingName, FirmwareType>>

export type FirmwareSetting = keyof typeof firmwareTypeOf

export const retailCfg = 2
const clockDriftMsMax = 60_000
/** What a cabinet that does not report these settings starts with. */
const factory = { pinMode: false, auditEnabled: true } as const

/** What a poll is compared with. */
export interface PollView {
  readonly request: PollRequest
  readonly config: CabinetConfig
  readonly told: Told
  readonly digests: ListDigests
  /** The reported digest of the user lists in the form in which ours is kept. */
  readonly reportedUserMac: string | undefined
  readonly newestFirmware: Readonly<Partial<Record<FirmwareType, Firmware>>>
  readonly nowMs: number
}

type Differs = (view: PollView, report: PollReport) => boolean

/** A setting that the cabinet does not report is left alone, but for those that it has no name for. */
const differs: Readonly<Record<SettingName, Differs>> = {
  configUrl: ({ request }, { configUrl }) =>
    configUrl === undefined ? request.isBurntInPath : !isAt(configUrl, request.configUrl),
  auditUrl: ({ request }, { auditUrl }) =>
    auditUrl !== undefined && !isAt(auditUrl, request.auditUrl),
  kasDateTime: ({ nowMs }, { kasDateTimeMs }) =>
    kasDateTimeMs !== undefined && Math.abs(kasDateTimeMs - nowMs) > clockDriftMsMax,
  retailCfg: (_, reported) => isOther(reported.retailCfg, retailCfg),
  keyCheckoutWindowTime: ({ config }, { keyCheckoutWindowTime }) =>
    isOther(keyCheckoutWindowTime, config.checkoutWindowSeconds),
  keyCheckoutWindowContact: ({ config }, { keyCheckoutWindowContact }) =>
    isOther(keyCheckoutWindowContact, config.contactType),
  cacheMode: ({ config }, { cacheMode }) => isOther(cacheMode, config.cacheMode),
  pinMode: ({ config, told }, { pinMode }) =>
    config.pinMode !== (pinMode ?? told.pinMode ?? factory.pinMode),
  auditEnabled: ({ config, told }, { auditEnabled }) =>
    config.auditEnabled !== (auditEnabled ?? told.auditEnabled ?? factory.auditEnabled),
  pollingInterval: ({ config }, { pollingInterval }) =>
    isOther(pollingInterval, config.pollingIntervalSeconds),
  assetList: ({ digests }, { assetList }) =>
    assetList !== undefined && !secretsEqual(assetList.toLowerCase(), digests.lockDigest),
  usersAssets: ({ config, digests, reportedUserMac }) =>
    config.cacheMode &&
    reportedUserMac !== undefined &&
    !secretsEqual(reportedUserMac, digests.userDigestMac),
  kasFirmware: (view, report) => isOutdated(view, report, 'kasFirmware'),
  batchKeyFirmware: (view, report) => isOutdated(view, report, 'batchKeyFirmware'),
  wirelessKeyFirmware: (view, report) => isOutdated(view, report, 'wirelessKeyFirmware'),
}

/**
 * The setting that a poll is answered, undefined when nothing differs. The search begins behind the one answered last, so
 * that no setting that a cabinet does not take over keeps the others from their turn; lists that changed come first, once.
 */
export function nextDifference(view: PollView): SettingName | undefined {
  const { told, digests } = view
  const isDifferent = (name: SettingName) => differs[name](view, view.request.report)
  if (!isTold(told.locks, digests.lockDigest) && isDifferent('assetList')) return 'assetList'
  if (!isTold(told.users, digests.userDigestMac) && isDifferent('usersAssets')) return 'usersAssets'
  const start = told.answered === null ? 0 : settingOrder.indexOf(told.answered) + 1
  for (let step = 0; step < settingOrder.length; step++) {
    const name = settingOrder[(start + step) % settingOrder.length]
    if (name !== undefined && isDifferent(name)) return name
  }
  return undefined
}

function isTold(told: string | null, digest: string): boolean {
  return told !== null && secretsEqual(told, digest)
}

function isOther<T>(reported: T | undefined, wanted: T): boolean {
  return reported !== undefined && reported !== wanted
}

/** A device may have made a URL of the path that it was given. */
function isAt(reported: string, path: string): boolean {
  return reported === path || (URL.canParse(reported) && new URL(reported).pathname === path)
}

function isOutdated(
  { newestFirmware }: PollView,
  report: PollReport,
  name: FirmwareSetting,
): boolean {
  const reported = report[name]
  const newest = newestFirmware[firmwareTypeOf[name]]
  return reported !== undefined && newest !== undefined && isNewer(newest.version, reported)
}
