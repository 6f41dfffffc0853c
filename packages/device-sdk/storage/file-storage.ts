import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseJson } from '@countersign/protocol/encoding/json.ts'
import { isEcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import { DeviceError } from '../device-error.ts'
import { createKeyPair, type SigningKey, signingKeyOf, type WebKeyPair } from '../signing-key.ts'
import { p256 } from '../web-crypto.ts'
import type { DeviceState, DeviceStorage } from './device-storage.ts'

const { subtle } = globalThis.crypto

interface Content {
  readonly state?: DeviceState
  readonly keys: Readonly<Record<string, StoredKey>>
}

interface StoredKey {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly d: string
}

/**
 * Node only: keys and state in one file that its owner alone may read (0600), replaced whole, never written into. Whoever
 * reads the file is the device, so the storage says so in {@link risks}. One process at a time.
 */
export class FileStorage implements DeviceStorage {
  readonly risks = 'keys-in-file'
  readonly #path: string
  #content: Promise<Content> | undefined

  constructor(path: string) {
    this.#path = path
  }

  async createKey(name: string): Promise<SigningKey> {
    const pair = await createKeyPair(true)
    const jwk: unknown = await subtle.exportKey('jwk', pair.privateKey)
    const { state, keys } = await this.#read()
    await this.#write({ ...(state && { state }), keys: { ...keys, [name]: storedKey(jwk) } })
    return signingKeyOf(pair)
  }

  async findKey(name: string): Promise<SigningKey | undefined> {
    const { keys } = await this.#read()
    const stored = Object.hasOwn(keys, name) ? keys[name] : undefined
    return stored === undefined ? undefined : signingKeyOf(await importPair(stored))
  }

  async deleteKey(name: string): Promise<void> {
    const { state, keys } = await this.#read()
    const { [name]: _removed, ...others } = keys
    await this.#write({ ...(state && { state }), keys: others })
  }

  async readState(): Promise<DeviceState | undefined> {
    return (await this.#read()).state
  }

  async writeState(state: DeviceState): Promise<void> {
    const { keys } = await this.#read()
    await this.#write({ state, keys })
  }

  async clear(): Promise<void> {
    this.#content = Promise.resolve({ keys: {} })
    await rm(this.#path, { force: true })
  }

  async #read(): Promise<Content> {
    this.#content ??= readContent(this.#path)
    return this.#content
  }

  async #write(content: Content): Promise<void> {
    const next = `${this.#path}.${randomUUID()}`
    try {
      const handle = await open(next, 'wx', 0o600)
      try {
        await handle.writeFile(`${JSON.stringify(content, undefined, 1)}\n`)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(next, this.#path)
    } catch (error) {
      // A full disk leaves no keys lying about.
      await rm(next, { force: true })
      throw error
    }
    const folder = await open(dirname(this.#path), 'r')
    await folder.sync().finally(() => folder.close())
    this.#content = Promise.resolve(content)
  }
}

async function readContent(path: string): Promise<Content> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { keys: {} }
    throw error
  }
  try {
    const { state, keys } = parseJson(bytes) as Content
    const whole = Object.entries(keys).map(([name, key]) => [name, storedKey(key)] as const)
    if (state !== undefined && state.version !== 1) throw new TypeError('Another version.')
    return { ...(state && { state }), keys: Object.fromEntries(whole) }
  } catch {
    // What the parser says could quote a key.
    throw new DeviceError('storage_damaged', `${path} is no file of a device, or damaged.`)
  }
}

function storedKey(value: unknown): StoredKey {
  const { kty, crv, x, y, d } = value as Partial<StoredKey>
  const isKey = isEcPublicJwk({ kty, crv, x, y }) && typeof d === 'string' && d.length === 43
  if (!isKey) throw new TypeError('No key.')
  return { kty: 'EC', crv: 'P-256', x: String(x), y: String(y), d }
}

async function importPair({ kty, crv, x, y, d }: StoredKey): Promise<WebKeyPair> {
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('jwk', { kty, crv, x, y, d }, p256, false, ['sign']),
    subtle.importKey('jwk', { kty, crv, x, y }, p256, true, ['verify']),
  ])
  return { privateKey, publicKey }
}
