import type { AppFacts } from './app-facts.ts'
import { DeviceError } from './device-error.ts'
import type { ServerLink } from './server-link.ts'
import type { SigningKey } from './signing-key.ts'
import type {
  CertificateState,
  DeviceState,
  DeviceStorage,
  EnrolledState,
  UserState,
} from './storage/device-storage.ts'

export const deviceKeyName = 'device'

/** An enrolled device: what it keeps, and the server it speaks with. Changes are on disk before they are told. */
export class DeviceMemory {
  readonly storage: DeviceStorage
  readonly link: ServerLink
  readonly app: AppFacts
  readonly deviceKey: SigningKey
  #state: DeviceState
  #enrolled: EnrolledState
  #writing: Promise<void> = Promise.resolve()

  constructor(parts: {
    storage: DeviceStorage
    link: ServerLink
    app: AppFacts
    deviceKey: SigningKey
    state: DeviceState
    enrolled: EnrolledState
  }) {
    this.storage = parts.storage
    this.link = parts.link
    this.app = parts.app
    this.deviceKey = parts.deviceKey
    this.#state = parts.state
    this.#enrolled = parts.enrolled
  }

  get tenantId(): string {
    return this.#state.tenantId
  }

  get deviceId(): string {
    return this.#enrolled.deviceId
  }

  get enrolled(): EnrolledState {
    return this.#enrolled
  }

  /** @throws DeviceError `not_linked` */
  user(userId: string): UserState {
    const user = this.#enrolled.users.find((candidate) => candidate.userId === userId)
    if (user === undefined) throw new DeviceError('not_linked', 'The user is not on this device.')
    return user
  }

  /** @throws DeviceError `storage_damaged` when the key is gone. */
  async key(name: string): Promise<SigningKey> {
    if (name === deviceKeyName) return this.deviceKey
    const key = await this.storage.findKey(name)
    if (key === undefined) throw new DeviceError('storage_damaged', 'A key of the device is gone.')
    return key
  }

  /** @throws DeviceError `no_factor` */
  async bioKey(userId: string): Promise<SigningKey> {
    const { bioKey } = this.user(userId)
    if (bioKey === undefined) {
      throw new DeviceError('no_factor', 'There is no biometric key on this device.')
    }
    return this.key(bioKey)
  }

  async change(change: (enrolled: EnrolledState) => EnrolledState): Promise<void> {
    // One after another: each change is made to what the one before left.
    const write = this.#writing.then(async () => {
      const enrolled = change(this.#enrolled)
      const state = { ...this.#state, enrolled }
      await this.storage.writeState(state)
      this.#state = state
      this.#enrolled = enrolled
    })
    this.#writing = write.catch(() => {})
    return write
  }

  async changeUser(userId: string, change: (user: UserState) => UserState): Promise<void> {
    return this.change((enrolled) => ({
      ...enrolled,
      users: enrolled.users.map((user) => (user.userId === userId ? change(user) : user)),
    }))
  }

  /** Puts a certificate in the place of the one with its reference, or behind the others. */
  async keepCertificate(userId: string, kept: CertificateState): Promise<void> {
    return this.changeUser(userId, (user) => ({
      ...user,
      certificates: [...user.certificates.filter(({ certRef }) => certRef !== kept.certRef), kept],
    }))
  }

  /** Forgets a user; keys first, so that none is left without a name. */
  async forgetUser(userId: string): Promise<void> {
    const { bioKey, certificates } = this.user(userId)
    const names = new Set([bioKey, ...certificates.map(({ key }) => key)])
    for (const name of names) {
      if (name !== undefined && name !== deviceKeyName) await this.storage.deleteKey(name)
    }
    await this.change((enrolled) => ({
      ...enrolled,
      users: enrolled.users.filter((user) => user.userId !== userId),
    }))
  }
}
