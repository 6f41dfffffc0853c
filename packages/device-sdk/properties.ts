import { Answer, listOf } from './answer.ts'
import { DeviceError } from './device-error.ts'
import type { DeviceMemory } from './device-memory.ts'
import type { DeviceLogin } from './login.ts'
import {
  isAt,
  type Property,
  type PropertyAddress,
  type PropertyChange,
  type PropertyOwner,
  propertyFrom,
  propertyOf,
  type TypedValue,
} from './property.ts'
import type { PropertyCopy } from './storage/device-storage.ts'

const base = '/device/v1/properties'
/** `maxItems` of the contract: beyond it a list does not say what is gone. */
const listedMax = 500
/** That many values of 16 KiB, whatever JSON makes of them. */
const listBytesMax = 67_108_864

/**
 * Properties of one user on this device, and the copies that `cpFlags` ask for (docs/contracts/device.md, section 9):
 * none for 0; for 768 the server's value; for 512 this device's, but of a user's property only until another one comes.
 */
export class DeviceProperties {
  readonly #memory: DeviceMemory
  readonly #login: DeviceLogin
  readonly #userId: string

  constructor(memory: DeviceMemory, login: DeviceLogin, userId: string) {
    this.#memory = memory
    this.#login = login
    this.#userId = userId
  }

  /** The copies kept here; asks nobody. */
  get copies(): readonly Property[] {
    return this.#copies.map(propertyOf)
  }

  /** What the server has, by owner and name, at most 500. Changes nothing here. */
  async list(owner?: PropertyOwner): Promise<readonly Property[]> {
    const { body } = await this.#login.call({
      method: 'GET',
      path: base,
      replyBytesMax: listBytesMax,
      ...(owner === undefined ? {} : { query: { owner } }),
    })
    return listOf(body).map(propertyFrom)
  }

  /**
   * The copy, where there is one; else what the server has.
   *
   * @throws DeviceError `not_found`, `unreachable` where there is no copy.
   */
  async read(address: PropertyAddress): Promise<Property> {
    const copy = this.#copyOf(address)
    return copy === undefined ? this.#fetch(address) : propertyOf(copy)
  }

  /**
   * Brings copies and server together: when the device starts, and after it was away.
   *
   * @returns what holds from now on.
   */
  async synchronise(): Promise<readonly Property[]> {
    const listed = await this.list()
    const settled: Property[] = []
    for (const property of listed) settled.push(await this.#settle(property))
    if (listed.length < listedMax) {
      for (const copy of this.#copies) if (!listed.some(isAt(copy))) await this.#forget(copy)
    }
    return settled
  }

  /** Acts on `property.changed`. @returns what holds from now on; undefined: nothing. */
  async follow(change: PropertyChange): Promise<Property | undefined> {
    if (change.change === 'deleted') {
      await this.#forget(change)
      return undefined
    }
    try {
      return await this.#refresh(change)
    } catch (error) {
      if (!hasCode(error, 'not_found')) throw error
      await this.#forget(change)
      return undefined
    }
  }

  /**
   * Writes a value. Where this device wins, the copy has it at once, and is sent again later when the server cannot be
   * reached now: `isPending`. Where the server wins, only a change of its newest value is taken.
   *
   * @throws DeviceError `version_conflict` when the server has another value; the copy is that one then. `property_read_only`,
   *   `value_invalid`, `not_found`, `limit_reached`; `unreachable` without a copy that wins.
   */
  async write(address: PropertyAddress, { type, value }: TypedValue): Promise<Property> {
    const copy = this.#copyOf(address)
    if (copy?.cpFlags === 512) {
      const pending = { ...copy, type, value, isPending: true }
      await this.#keep(pending)
      return this.#push(pending)
    }
    try {
      const written = await this.#put(address, { type, value }, copy?.version)
      return await this.#keep(written)
    } catch (error) {
      if (hasCode(error, 'version_conflict')) await this.#refresh(address)
      throw error
    }
  }

  get #copies(): readonly PropertyCopy[] {
    return this.#memory.user(this.#userId).properties ?? []
  }

  #copyOf(address: PropertyAddress): PropertyCopy | undefined {
    return this.#copies.find(isAt(address))
  }

  /** What the server has, and what comes of it here. */
  async #refresh(address: PropertyAddress): Promise<Property> {
    return this.#settle(await this.#fetch(address))
  }

  /** Decides between a value of the server and the copy. */
  async #settle(property: Property): Promise<Property> {
    const copy = this.#copyOf(property)
    const isOurs =
      copy !== undefined &&
      property.cpFlags === 512 &&
      copy.type === property.type &&
      copy.value !== property.value &&
      (property.owner === 'device' || copy.isPending === true)
    if (!isOurs) return this.#keep(property)
    const { type, value } = copy
    const { isPending: _former, ...rest } = property
    return this.#push({ ...rest, type, value, isPending: true })
  }

  /** Sends a copy that wins. What the server refuses for good gives way to what it has. */
  async #push(copy: PropertyCopy): Promise<Property> {
    await this.#keep(propertyOf(copy))
    try {
      return await this.#keep(await this.#put(copy, copy))
    } catch (error) {
      if (error instanceof DeviceError && error.advice === 'back_off') return propertyOf(copy)
      await this.#giveWay(copy)
      throw error
    }
  }

  async #giveWay(address: PropertyAddress): Promise<void> {
    await this.#forget(address)
    try {
      await this.#keep(await this.#fetch(address))
    } catch {
      // Without a copy the next reading asks.
    }
  }

  async #fetch(address: PropertyAddress): Promise<Property> {
    const { body } = await this.#login.call({ method: 'GET', path: pathOf(address) })
    return sameOf(propertyFrom(new Answer(body)), address)
  }

  async #put(
    address: PropertyAddress,
    { type, value }: TypedValue,
    version?: number,
  ): Promise<Property> {
    const { body } = await this.#login.call({
      method: 'PUT',
      path: pathOf(address),
      body: async () => ({ type, value }),
      ...(version === undefined ? {} : { headers: { 'if-match': `"${version}"` } }),
    })
    return sameOf(propertyFrom(new Answer(body)), address)
  }

  /** Keeps a copy, if the property is one of which copies are kept. */
  async #keep(property: Property): Promise<Property> {
    if (property.cpFlags === 0) {
      await this.#forget(property)
      return property
    }
    const { isPending, ...rest } = property
    const copy: PropertyCopy = isPending ? { ...rest, isPending } : rest
    await this.#memory.changeUser(this.#userId, (user) => {
      const others = (user.properties ?? []).filter((other) => !isAt(copy)(other))
      return { ...user, properties: [...others, copy] }
    })
    return property
  }

  async #forget(address: PropertyAddress): Promise<void> {
    if (this.#copyOf(address) === undefined) return
    await this.#memory.changeUser(this.#userId, (user) => ({
      ...user,
      properties: (user.properties ?? []).filter((copy) => !isAt(address)(copy)),
    }))
  }
}

function pathOf({ owner, name }: PropertyAddress): string {
  return `${base}/${owner}/${encodeURIComponent(name)}`
}

/** @throws DeviceError `content_wrong` for another property than the one that was asked for. */
function sameOf(property: Property, address: PropertyAddress): Property {
  if (isAt(address)(property)) return property
  throw new DeviceError('content_wrong', 'The server answered with another property.')
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof DeviceError && error.code === code
}
