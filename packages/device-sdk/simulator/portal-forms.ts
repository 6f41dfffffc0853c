import type { Device } from '../device.ts'
import { type NoncePayload, parseNoncePayload } from '../nonce-payload.ts'
import { visibleLine } from '../visible-text.ts'
import { element } from './page-parts.ts'

/** What the page does for its parts. */
export interface PageTools {
  readonly attempt: (work: () => Promise<void>) => Promise<void>
  readonly say: (text: string) => void
}

/** The two forms by which a person logs in at a portal: its code, then the question and the PIN. */
export class PortalForms {
  readonly #device: Device
  readonly #tools: PageTools
  readonly #codeForm: HTMLFormElement
  readonly #questionForm: HTMLFormElement
  #payload: NoncePayload | undefined

  constructor(device: Device, tools: PageTools) {
    this.#device = device
    this.#tools = tools
    this.#codeForm = element('portal', HTMLFormElement)
    this.#questionForm = element('portal-login', HTMLFormElement)
  }

  open(): void {
    const { attempt } = this.#tools
    this.#codeForm.hidden = false
    this.#codeForm.addEventListener('submit', (event) => {
      event.preventDefault()
      void attempt(() => this.#look())
    })
    this.#questionForm.addEventListener('submit', (event) => {
      event.preventDefault()
      void attempt(() => this.#redeem())
    })
    element('portal-no', HTMLButtonElement).addEventListener('click', () => this.#end())
  }

  /** The portal's name is the server's word, not the code's. */
  async #look(): Promise<void> {
    const payload = parseNoncePayload(element('nonce', HTMLInputElement).value, this.#device)
    const { portal } = await this.#device.nonces.preview(payload)
    const { userId, tenantId, server } = this.#device
    const facts = { name: portal, user: userId, tenant: tenantId, server }
    for (const [name, value] of Object.entries(facts)) {
      element(`portal-${name}`, HTMLElement).textContent = visibleLine(value)
    }
    this.#payload = payload
    this.#codeForm.hidden = true
    this.#questionForm.hidden = false
  }

  async #redeem(): Promise<void> {
    const { say } = this.#tools
    const field = element('portal-pin', HTMLInputElement)
    const pin = field.value
    field.value = ''
    if (this.#payload === undefined) return
    await this.#device.nonces.redeem(this.#payload, { type: 'pin', pin })
    this.#end()
    say('The portal is told.')
  }

  #end(): void {
    this.#payload = undefined
    element('nonce', HTMLInputElement).value = ''
    this.#questionForm.hidden = true
    this.#codeForm.hidden = false
  }
}
