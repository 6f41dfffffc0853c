import { DomainError, type Fault } from '../errors.ts'
import { characterCount, isStorable, nameCharactersMax } from '../users/name-text.ts'
import { isValue, type PropertyType, valueBytesMax } from './property-value.ts'

/** Who may see a property: devices, other services, the portal. */
export type PropertyViewer = 'CLIENT' | 'INTERNAL' | 'EXTERNAL'

/** Whose a property is: a user's, on all devices or on one. */
export interface PropertyOwner {
  readonly tenantId: string
  readonly userId: string
  /** Null: on all devices. */
  readonly deviceId: string | null
}

/** What a device does with its copy: has none, wins with it, follows the server with it. */
export type CpFlags = 0 | 512 | 768

/** What may be changed about a property beside its name, type and value. */
export interface PropertyTraits {
  /** SERVER_SIDE_DB: the database has the value sealed only, and no filter finds it. */
  readonly encryption: 'NONE' | 'SERVER_SIDE_DB'
  /** Nobody writes it again; it may be deleted. */
  readonly readOnly: boolean
  /** Changes are announced to the owner's devices, if devices may see it. */
  readonly notify: boolean
  /** Devices keep their copy in protected storage. */
  readonly inKeystorage: boolean
  readonly cpFlags: CpFlags
  /** None: everybody. */
  readonly visibility: readonly PropertyViewer[]
}

/** What a property says, and how it behaves. */
export interface PropertyDraft extends PropertyTraits {
  readonly name: string
  readonly type: PropertyType
  readonly value: string
}

/** A property but for its value. */
export interface PropertyHead extends PropertyOwner, Omit<PropertyDraft, 'value'> {
  readonly id: string
  /** Counted up by every change, from 1. */
  readonly version: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface Property extends PropertyHead {
  readonly value: string
}

/** How the database has a value: in the clear, with a text to sort it by, or sealed. */
export type StoredValue =
  | { readonly text: string; readonly orderKey: string | null }
  | { readonly sealed: Uint8Array }

export interface StoredProperty extends PropertyHead {
  readonly stored: StoredValue
}

/** All properties of a user, those on single devices too. */
export const propertiesPerUserMax = 10_000
const nameCharactersMin = 3

export const plainTraits: PropertyTraits = {
  encryption: 'NONE',
  readOnly: false,
  notify: false,
  inKeystorage: false,
  cpFlags: 0,
  visibility: [],
}

/** Where a sealed value is bound to. */
export function propertyPlace(tenantId: string, id: string) {
  return { tenantId, table: 'property', row: id, column: 'sealed_value' } as const
}

export function isVisibleTo(
  viewer: PropertyViewer,
  { visibility }: Pick<PropertyTraits, 'visibility'>,
): boolean {
  return visibility.length === 0 || visibility.includes(viewer)
}

/** True for names that both engines keep, of 3 to 255 characters. */
export function isPropertyName(name: string): boolean {
  if (name.length > 2 * nameCharactersMax || !isStorable(name)) return false
  const count = characterCount(name)
  return count >= nameCharactersMin && count <= nameCharactersMax
}

/** @throws DomainError `invalid_request` with all that does not fit. */
export function checkDraft({ name, type, value, ...traits }: PropertyDraft): void {
  const faults: Fault[] = []
  const add = (pointer: string, code: string, message: string) =>
    faults.push({ pointer, code, message })
  if (!isPropertyName(name)) {
    const message = `must have ${nameCharactersMin} to ${nameCharactersMax} characters, none of them U+0000`
    add('/name', 'bad_format', message)
  }
  if (!isValue(type, value)) {
    add('/value', 'bad_format', `must be a value of ${type}, of at most ${valueBytesMax} bytes`)
  }
  if (traits.inKeystorage && traits.cpFlags === 0) {
    add('/inKeystorage', 'mutually_exclusive', 'needs a copy on the device: cpFlags other than 0')
  }
  if (traits.readOnly && traits.cpFlags === 512) {
    add('/readOnly', 'mutually_exclusive', 'does not go with cpFlags 512, by which devices write')
  }
  if (faults.length > 0) {
    throw new DomainError('invalid_request', 'The request does not fit.', { faults })
  }
}

/** The members in which a property differs from what it is to be. */
export function changedMembers(property: Property, draft: PropertyDraft): string[] {
  const members = Object.keys(draft) as (keyof PropertyDraft)[]
  return members
    .filter((member) => JSON.stringify(property[member]) !== JSON.stringify(draft[member]))
    .sort()
}

export function propertyNotFound(): DomainError {
  return new DomainError('property_not_found', 'No such property.')
}
