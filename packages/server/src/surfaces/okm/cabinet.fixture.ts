import { createHash } from 'node:crypto'

/** What a cabinet can reach, and what its clock says. */
export interface CabinetNetwork {
  readonly clock: () => number
  /** @param path of the origin. */
  device(
    method: 'GET' | 'POST',
    path: string,
    body?: Buffer,
    options?: { readonly base: '' },
  ): Promise<CabinetAnswer>
}

export interface CabinetAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: a cabinet has no types
  readonly body: any
}

interface HeldUser {
  readonly user_id: number
  readonly pin_hash: string
  readonly auth_time: number
  readonly sounder: boolean
  readonly sounder_delay: number
  readonly sounder_duration: number
  readonly sounder_volume: number
  readonly permissions: readonly number[]
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')

/** okm.md, section 5, written again: the other side computes its digests itself. */
export function lockDigest(locks: readonly string[]): string {
  return sha256(locks.map((lock) => lock.toLowerCase()).join('\n'))
}

/** As {@link lockDigest}, over one row a user. */
export function userDigest(users: readonly HeldUser[]): string {
  const rows = users.map((user) =>
    [
      user.user_id,
      user.pin_hash,
      user.auth_time,
      user.sounder ? 1 : 0,
      user.sounder_delay,
      user.sounder_duration,
      user.sounder_volume,
      user.permissions.join(','),
    ].join('|'),
  )
  return sha256(rows.join('\n'))
}

/**
 * A key cabinet as the vendor's pages describe one: it starts on the paths that are burnt in, reports its settings, takes
 * over the one that is answered, and holds the lists that it is sent.
 */
export class TestCabinet {
  readonly serial: string
  readonly #network: CabinetNetwork
  /** What it reports and takes over, by the names of the query. */
  readonly settings: Record<string, string | number | boolean> = {
    retailCfg: 2,
    keyCheckoutWindowTime: 0,
    keyCheckoutWindowContact: 1,
    cacheMode: 1,
    pollingInterval: 150,
    kasFirmware: '01932023020111482',
    batchKeyFirmware: '1',
    wirelessKeyFirmware: '1',
  }
  locks: readonly string[] = []
  users: readonly HeldUser[] = []
  configPath = '/embeddedv1/kas/config'
  auditPath = '/embeddedv1/audit/kas'

  constructor(network: CabinetNetwork, serial: string) {
    this.#network = network
    this.serial = serial
  }

  /** What it says of itself in a heartbeat. */
  get report(): Record<string, string> {
    return Object.fromEntries(
      Object.entries({
        ...this.settings,
        kasDateTime: new Date(this.#network.clock()).toISOString(),
        configUrl: this.configPath,
        auditUrl: this.auditPath,
        assetList: lockDigest(this.locks),
        usersAssets: userDigest(this.users),
      }).map(([name, value]) => [name, String(value)]),
    )
  }

  /** One heartbeat. @returns the name of the setting that was taken over, undefined when nothing differed. */
  async poll(): Promise<string | undefined> {
    const { status, body } = await this.heartbeat()
    if (status === 204) return undefined
    const [[name, value] = ['', undefined], ...more] = Object.entries(body)
    if (status !== 200 || more.length > 0) throw new Error(`${status} ${JSON.stringify(body)}`)
    this.#take(name, value)
    return name
  }

  heartbeat(): Promise<CabinetAnswer> {
    const query = new URLSearchParams(this.report)
    const path = `${this.configPath}/${this.serial}?${query}`
    return this.#network.device('GET', path, undefined, { base: '' })
  }

  /** Polls until nothing differs. @returns what was taken over, in order. */
  async settle(): Promise<string[]> {
    const names: string[] = []
    for (let name = await this.poll(); name !== undefined; name = await this.poll()) {
      names.push(name)
      if (names.length > 50) throw new Error(`does not settle: ${names.join()}`)
    }
    return names
  }

  /** Events of a key that came back: the published header, and what no one can read. */
  async upload(events: Uint8Array, count = 1): Promise<CabinetAnswer> {
    const header = Buffer.alloc(28)
    header.writeUInt32BE(count, 16)
    header.set([7, 113, 0, 203], 24)
    const body = Buffer.concat([header, events])
    const path = `${this.auditPath}/${this.serial}`
    const answer = await this.#network.device('POST', path, body, { base: '' })
    if (answer.status === 200) this.auditPath = answer.body.auditUrl
    return answer
  }

  #take(name: string, value: unknown): void {
    if (name === 'assetList') this.locks = value as string[]
    else if (name === 'usersAssets') this.users = value as HeldUser[]
    else if (name === 'configUrl') this.configPath = String(value)
    else if (name === 'auditUrl') this.auditPath = String(value)
    else if (name.endsWith('Firmware')) {
      this.settings[name] = (value as { version: string }).version
    } else if (name !== 'kasDateTime') this.settings[name] = value as number
  }
}
