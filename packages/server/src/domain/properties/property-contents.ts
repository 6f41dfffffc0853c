import type { Vault } from '#custody/vault.ts'
import { type Property, propertyPlace, type StoredProperty, type StoredValue } from './property.ts'
import { isOrdered, orderKey, type PropertyType } from './property-value.ts'

/** Seals and opens values; outside of transactions, since keys may have to be read. */
export class PropertyContents {
  readonly #vault: Vault

  constructor({ vault }: { vault: Vault }) {
    this.#vault = vault
  }

  /** A value as the database has it. @throws SealError */
  async store(
    { tenantId, id }: { readonly tenantId: string; readonly id: string },
    content: {
      readonly type: PropertyType
      readonly value: string
      readonly encryption: Property['encryption']
    },
  ): Promise<StoredValue> {
    const { type, value: text, encryption } = content
    if (encryption === 'SERVER_SIDE_DB') {
      return { sealed: await this.#vault.seal(propertyPlace(tenantId, id), Buffer.from(text)) }
    }
    return { text, orderKey: isOrdered(type) ? (orderKey(type, text) ?? null) : null }
  }

  /** @throws SealError */
  async open({ stored, ...head }: StoredProperty): Promise<Property> {
    if ('text' in stored) return { ...head, value: stored.text }
    const { tenantId, id } = head
    const bytes = await this.#vault.open(propertyPlace(tenantId, id), stored.sealed)
    return { ...head, value: Buffer.from(bytes).toString() }
  }

  async openAll(properties: readonly StoredProperty[]): Promise<Property[]> {
    const opened: Property[] = []
    for (const property of properties) opened.push(await this.open(property))
    return opened
  }
}
