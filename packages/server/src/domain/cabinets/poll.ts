import type { CabinetUser } from '@countersign/protocol/cabinet/access-list.ts'

/** What a cabinet says of itself when it polls; what it leaves out is undefined. Named as in the OKM contract. */
export interface PollReport {
  readonly configUrl?: string | undefined
  readonly auditUrl?: string | undefined
  /** Of the cabinet's clock. */
  readonly kasDateTimeMs?: number | undefined
  readonly retailCfg?: number | undefined
  readonly keyCheckoutWindowTime?: number | undefined
  readonly keyCheckoutWindowContact?: number | undefined
  readonly cacheMode?: boolean | undefined
  readonly pinMode?: boolean | undefined
  readonly auditEnabled?: boolean | undefined
  readonly pollingInterval?: number | undefined
  /** Digest of the lock list that it holds, hex. */
  readonly assetList?: string | undefined
  /** Digest of the user lists that it holds, hex. */
  readonly usersAssets?: string | undefined
  readonly kasFirmware?: string | undefined
  readonly batchKeyFirmware?: string | undefined
  readonly wirelessKeyFirmware?: string | undefined
  readonly installCode?: string | undefined
}

export interface PollRequest {
  readonly serial: string
  /** True for the path burnt into the device, which makes it learn the configured one. */
  readonly isBurntInPath: boolean
  /** Where cabinets find this server: what the surface serves. */
  readonly configUrl: string
  readonly auditUrl: string
  readonly report: PollReport
}

export interface FirmwareOffer {
  readonly version: string
  readonly url: string
}

/** One setting that differs, with the value to take over; named as in the OKM contract. */
export type PollAnswer =
  | { readonly name: 'configUrl' | 'auditUrl'; readonly value: string }
  | { readonly name: 'kasDateTime'; readonly valueMs: number }
  | {
      readonly name:
        | 'retailCfg'
        | 'keyCheckoutWindowTime'
        | 'keyCheckoutWindowContact'
        | 'pollingInterval'
      readonly value: number
    }
  | { readonly name: 'cacheMode' | 'pinMode' | 'auditEnabled'; readonly value: boolean }
  | { readonly name: 'assetList'; readonly value: readonly string[] }
  | { readonly name: 'usersAssets'; readonly value: readonly CabinetUser[] }
  | {
      readonly name: 'kasFirmware' | 'batchKeyFirmware' | 'wirelessKeyFirmware'
      readonly value: FirmwareOffer
    }

export type SettingName = PollAnswer['name']

/** Who stands at a cabinet: by number, or in PIN mode by the hash of the PIN alone. */
export type UserSelector = { readonly userId: number } | { readonly pinHash: string }

/** What one user may open, for a cabinet that holds no lists. */
export interface UserAccess {
  readonly locks: readonly string[]
  readonly user: CabinetUser
}
