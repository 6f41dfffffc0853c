import type { Answer } from './answer.ts'
import type { PropertyCopy } from './storage/device-storage.ts'

/** The user on all devices, or the user on this one. */
export type PropertyOwner = 'user' | 'device'

/** OCTETSTRING base64, INTEGER decimal of 64 bits, BOOLEAN `true` or `false`, DATE RFC 3339. */
export type PropertyType = 'OCTETSTRING' | 'INTEGER' | 'BOOLEAN' | 'UTF8STRING' | 'DATE'

/** What this device does with its copy: has none (0), wins with it (512), follows the server with it (768). */
export type CpFlags = 0 | 512 | 768

export interface PropertyAddress {
  readonly owner: PropertyOwner
  readonly name: string
}

export interface TypedValue {
  readonly type: PropertyType
  readonly value: string
}

export interface Property extends PropertyAddress, TypedValue {
  /** Of the server's value that this one is, or was made from. */
  readonly version: number
  readonly cpFlags: CpFlags
  readonly readOnly: boolean
  /** Whether the copy belongs into protected storage. */
  readonly inKeystorage: boolean
  /** Written here, and not at the server yet. */
  readonly isPending: boolean
}

/** What an event says of a property. */
export interface PropertyChange extends PropertyAddress {
  readonly change: 'created' | 'updated' | 'deleted'
}

export const owners = ['user', 'device'] as const
const types = ['OCTETSTRING', 'INTEGER', 'BOOLEAN', 'UTF8STRING', 'DATE'] as const
const cpFlags = [0, 512, 768] as const

/** @throws DeviceError `answer_invalid` */
export function propertyFrom(answer: Answer): Property {
  return {
    owner: answer.oneOf('owner', owners),
    name: answer.text('name'),
    type: answer.oneOf('type', types),
    value: answer.text('value'),
    version: answer.number('version'),
    cpFlags: answer.oneOfNumbers('cpFlags', cpFlags),
    readOnly: answer.flag('readOnly'),
    inKeystorage: answer.flag('inKeystorage'),
    isPending: false,
  }
}

/** What an event's data says of a property. @throws DeviceError `answer_invalid` */
export function changeFrom(data: Answer): PropertyChange {
  return {
    owner: data.oneOf('owner', owners),
    name: data.text('name'),
    change: data.oneOf('change', ['created', 'updated', 'deleted']),
  }
}

/** A copy as a property. */
export function propertyOf({ isPending = false, ...copy }: PropertyCopy): Property {
  return { ...copy, isPending }
}

export function isAt(one: PropertyAddress): (other: PropertyAddress) => boolean {
  return ({ owner, name }) => owner === one.owner && name === one.name
}
