import { createKeyPair, type SigningKey, signingKeyOf } from '../signing-key.ts'
import type { DeviceState, DeviceStorage } from './device-storage.ts'

/** Gone with the process: for tests and for devices that live shortly. */
export class MemoryStorage implements DeviceStorage {
  readonly risks = 'keys-in-memory'
  readonly #keys = new Map<string, SigningKey>()
  #state: DeviceState | undefined

  async createKey(name: string): Promise<SigningKey> {
    const key = await signingKeyOf(await createKeyPair(false))
    this.#keys.set(name, key)
    return key
  }

  async findKey(name: string): Promise<SigningKey | undefined> {
    return this.#keys.get(name)
  }

  async deleteKey(name: string): Promise<void> {
    this.#keys.delete(name)
  }

  async readState(): Promise<DeviceState | undefined> {
    return this.#state
  }

  async writeState(state: DeviceState): Promise<void> {
    this.#state = state
  }

  async clear(): Promise<void> {
    this.#keys.clear()
    this.#state = undefined
  }
}
