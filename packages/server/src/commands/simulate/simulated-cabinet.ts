import {
  type CabinetUser,
  type LockPermission,
  lockListDigest,
  userListDigest,
} from '@countersign/protocol/cabinet/access-list.ts'

/** What is burnt into a cabinet. */
const burntInConfigUrl = '/embeddedv1/kas/config'
const burntInAuditUrl = '/embeddedv1/audit/kas'

/** A user as the OKM contract writes one. */
export interface WireUser {
  readonly user_id: number
  readonly pin_hash: string
  readonly auth_time: number
  readonly sounder?: boolean
  readonly sounder_delay?: number
  readonly sounder_duration?: number
  readonly sounder_volume?: number
  readonly permissions: readonly LockPermission[]
}

/** A list with its digest; cabinets that hold the same one share it. */
export interface HeldLocks {
  readonly locks: readonly string[]
  readonly digest: string
}

export interface HeldUsers {
  readonly users: readonly CabinetUser[]
  readonly digest: string
}

const noLocks: HeldLocks = { locks: [], digest: lockListDigest([]) }
const noUsers: HeldUsers = { users: [], digest: userListDigest([]) }

/** Lists that many cabinets hold, each once. */
export class ListPool {
  readonly #locks = new Map<string, HeldLocks>()
  readonly #users = new Map<string, HeldUsers>()

  locks(locks: readonly string[]): HeldLocks {
    const digest = lockListDigest(locks)
    const held = this.#locks.get(digest) ?? { locks, digest }
    this.#locks.set(digest, held)
    return held
  }

  users(users: readonly CabinetUser[]): HeldUsers {
    const digest = userListDigest(users)
    const held = this.#users.get(digest) ?? { users, digest }
    this.#users.set(digest, held)
    return held
  }
}

/** What a cabinet was told and took over, named as the setting. */
export interface Taken {
  readonly name: string
  readonly text: string
}

/** The settings and lists of one cabinet. It believes whatever the server says, as the real one does. */
export class SimulatedCabinet {
  readonly serial: string
  readonly #pool: ListPool
  configUrl = burntInConfigUrl
  auditUrl = burntInAuditUrl
  locks: HeldLocks = noLocks
  users: HeldUsers = noUsers
  cacheMode = true
  pinMode = false
  auditEnabled = true
  pollingIntervalSeconds = 150
  #clockOffsetMs = 0
  #retailCfg = 2
  #checkoutWindow = 0
  #contactType = 1
  readonly #firmware = {
    kasFirmware: '01932023020111482',
    batchKeyFirmware: '00000000000000001',
    wirelessKeyFirmware: '00000000000000001',
  }

  constructor(serial: string, pool: ListPool) {
    this.serial = serial
    this.#pool = pool
  }

  /** The query of a poll. What was never told, such as the addresses before the first answer, is left out. */
  report(nowMs: number): Readonly<Record<string, string>> {
    return {
      ...(this.configUrl === burntInConfigUrl ? {} : { configUrl: this.configUrl }),
      ...(this.auditUrl === burntInAuditUrl ? {} : { auditUrl: this.auditUrl }),
      ...this.#firmware,
      kasDateTime: new Date(nowMs + this.#clockOffsetMs).toISOString(),
      retailCfg: String(this.#retailCfg),
      keyCheckoutWindowTime: String(this.#checkoutWindow),
      keyCheckoutWindowContact: String(this.#contactType),
      cacheMode: String(this.cacheMode),
      pollingInterval: String(this.pollingIntervalSeconds),
      installCode: '0',
      assetList: this.locks.digest,
      usersAssets: this.users.digest,
    }
  }

  get firmwareVersion(): string {
    return this.#firmware.kasFirmware
  }

  /** A clock that goes wrong, for tests of its correction. */
  driftBy(milliseconds: number): void {
    this.#clockOffsetMs += milliseconds
  }

  /** Takes over the one setting of an answer. @throws TypeError for an answer that no cabinet understands. */
  take(update: unknown, nowMs: number): Taken {
    const members = typeof update === 'object' && update !== null ? Object.entries(update) : []
    const [member] = members
    if (member === undefined || members.length > 1) {
      throw new TypeError('The answer does not have exactly one setting.')
    }
    const [name, value] = member as [string, unknown]
    return { name, text: this.#takeOne(name, value, nowMs) }
  }

  #takeOne(name: string, value: unknown, nowMs: number): string {
    switch (name) {
      case 'configUrl':
        this.configUrl = String(value)
        break
      case 'auditUrl':
        this.auditUrl = String(value)
        break
      case 'kasDateTime':
        this.#clockOffsetMs = Date.parse(String(value)) - nowMs
        break
      case 'retailCfg':
        this.#retailCfg = Number(value)
        break
      case 'keyCheckoutWindowTime':
        this.#checkoutWindow = Number(value)
        break
      case 'keyCheckoutWindowContact':
        this.#contactType = Number(value)
        break
      case 'pollingInterval':
        this.pollingIntervalSeconds = Number(value)
        break
      case 'cacheMode':
        this.cacheMode = value === true
        break
      case 'pinMode':
        this.pinMode = value === true
        break
      case 'auditEnabled':
        this.auditEnabled = value === true
        break
      case 'assetList':
        this.locks = this.#pool.locks(value as string[])
        return `${this.locks.locks.length} locks`
      case 'usersAssets':
        this.users = this.#pool.users((value as WireUser[]).map(fromWireUser))
        return `${this.users.users.length} users`
      case 'kasFirmware':
      case 'batchKeyFirmware':
      case 'wirelessKeyFirmware': {
        const { version, url } = value as { version: string; url: string }
        this.#firmware[name] = version
        return `${version} from ${url}`
      }
      default:
        throw new TypeError(`The answer has a setting that no cabinet knows: ${name}.`)
    }
    return String(value)
  }
}

export function fromWireUser(user: WireUser): CabinetUser {
  return {
    userId: user.user_id,
    pinHash: user.pin_hash,
    authTimeHours: user.auth_time,
    sounder: user.sounder ?? false,
    sounderDelaySeconds: user.sounder_delay ?? 0,
    sounderDurationSeconds: user.sounder_duration ?? 0,
    sounderVolume: user.sounder_volume ?? 0,
    permissions: user.permissions,
  }
}
