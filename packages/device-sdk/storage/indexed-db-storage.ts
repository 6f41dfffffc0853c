import { createKeyPair, type SigningKey, signingKeyOf, type WebKeyPair } from '../signing-key.ts'
import type { DeviceState, DeviceStorage } from './device-storage.ts'

/** As much of IndexedDB as is used, so that the SDK compiles without the types of a browser. */
interface Request<Result> {
  readonly result: Result
  readonly error: unknown
  onsuccess: (() => void) | null
  onerror: (() => void) | null
}
interface OpenRequest extends Request<Database> {
  onupgradeneeded: (() => void) | null
  onblocked: (() => void) | null
}
interface ObjectStore {
  get(key: string): Request<unknown>
  put(value: unknown, key: string): Request<unknown>
  delete(key: string): Request<unknown>
  clear(): Request<unknown>
}
interface Transaction {
  objectStore(name: string): ObjectStore
  readonly error: unknown
  oncomplete: (() => void) | null
  onabort: (() => void) | null
}
interface Database {
  createObjectStore(name: string): ObjectStore
  transaction(
    name: string,
    mode: 'readonly' | 'readwrite',
    options: { durability: 'strict' },
  ): Transaction
}
interface Factory {
  open(name: string, version: number): OpenRequest
}

const storeName = 'device'
const stateKey = 'state'
const keyPrefix = 'key:'

/**
 * Browsers only: keys are WebCrypto keys that cannot be extracted, not even by a script of the page; such a script can
 * still use them.
 */
export class IndexedDbStorage implements DeviceStorage {
  readonly risks = undefined
  readonly #database: Database

  private constructor(database: Database) {
    this.#database = database
  }

  /** @param name of the database: one for each device. */
  static async open(name: string): Promise<IndexedDbStorage> {
    const { indexedDB } = globalThis as unknown as { indexedDB?: Factory }
    if (indexedDB === undefined) throw new TypeError('There is no IndexedDB here.')
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(storeName)
    }
    return new IndexedDbStorage(await settled(request))
  }

  async createKey(name: string): Promise<SigningKey> {
    const pair = await createKeyPair(false)
    await this.#change((store) => store.put(pair, keyPrefix + name))
    return signingKeyOf(pair)
  }

  async findKey(name: string): Promise<SigningKey | undefined> {
    const pair = (await this.#get(keyPrefix + name)) as WebKeyPair | undefined
    return pair === undefined ? undefined : signingKeyOf(pair)
  }

  async deleteKey(name: string): Promise<void> {
    await this.#change((store) => store.delete(keyPrefix + name))
  }

  async readState(): Promise<DeviceState | undefined> {
    return (await this.#get(stateKey)) as DeviceState | undefined
  }

  async writeState(state: DeviceState): Promise<void> {
    await this.#change((store) => store.put(state, stateKey))
  }

  async clear(): Promise<void> {
    await this.#change((store) => store.clear())
  }

  async #get(key: string): Promise<unknown> {
    const transaction = this.#database.transaction(storeName, 'readonly', { durability: 'strict' })
    return settled(transaction.objectStore(storeName).get(key))
  }

  /** Resolves when the change is on disk. */
  async #change(work: (store: ObjectStore) => unknown): Promise<void> {
    const transaction = this.#database.transaction(storeName, 'readwrite', { durability: 'strict' })
    const done = Promise.withResolvers<void>()
    transaction.oncomplete = () => done.resolve()
    transaction.onabort = () => done.reject(transaction.error)
    work(transaction.objectStore(storeName))
    return done.promise
  }
}

async function settled<Result>(request: Request<Result>): Promise<Result> {
  const done = Promise.withResolvers<Result>()
  request.onsuccess = () => done.resolve(request.result)
  request.onerror = () => done.reject(request.error)
  return done.promise
}
