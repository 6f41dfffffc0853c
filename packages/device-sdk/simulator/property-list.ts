import type { Device } from '../device.ts'
import type { Property, PropertyOwner, PropertyType } from '../property.ts'
import { visibleLine } from '../visible-text.ts'
import { element } from './page-parts.ts'

const copies = { 0: '', 512: ', the phone wins', 768: ', the server wins' } as const

/** The properties on the page: shown as the server has them, and written. */
export class PropertyList {
  readonly #device: Device
  readonly #list = element('property-list', HTMLUListElement)

  /** @param attempt runs what may fail, and says why it did. */
  constructor(device: Device, attempt: (work: () => Promise<void>) => Promise<void>) {
    this.#device = device
    element('properties', HTMLElement).hidden = false
    element('property-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      void attempt(async () => {
        await this.#write()
        await this.show()
      })
    })
  }

  /** Brings the copies up to date. Everything from the server is set as text, visible characters only. */
  async show(): Promise<void> {
    const properties = await this.#device.properties.synchronise()
    this.#list.replaceChildren(...properties.map(itemOf))
  }

  async #write(): Promise<void> {
    const owner = element('property-owner', HTMLSelectElement).value as PropertyOwner
    const type = element('property-type', HTMLSelectElement).value as PropertyType
    const name = element('property-name', HTMLInputElement).value
    const { value } = element('property-value', HTMLInputElement)
    await this.#device.properties.write({ owner, name }, { type, value })
  }
}

function itemOf({ owner, name, type, value, version, cpFlags }: Property): HTMLLIElement {
  const item = document.createElement('li')
  item.dataset.property = `${owner}/${name}`
  const facts = `(${type}, version ${version}${copies[cpFlags]})`
  item.textContent = `${owner}/${visibleLine(name)} = ${visibleLine(value)} ${facts}`
  return item
}
