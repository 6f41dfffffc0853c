import type { Approval } from '../approvals/approval.ts'
import type { Device } from '../devices/device.ts'
import { isTemplateKey } from '../localization/template.ts'
import type { TemplateTexts } from '../localization/template-texts.ts'
import type { Settings } from '../tenants/settings.ts'
import { type PushText, shownText } from './push-note.ts'

/** How an approval is called on the screen of a device, in its languages. */
export class PushTexts {
  readonly #templates: TemplateTexts

  constructor(templates: TemplateTexts) {
    this.#templates = templates
  }

  async of(
    { tenantId, push }: Pick<Approval, 'tenantId' | 'push'>,
    { locales }: Pick<Device, 'locales'>,
    settings: Settings,
  ): Promise<{ readonly title: PushText | undefined; readonly body: PushText | undefined }> {
    const { title = settings.push.title, body = settings.push.body } = push ?? {}
    return {
      title: await this.#part(tenantId, 'title', title, locales),
      body: await this.#part(tenantId, 'body', body, locales),
    }
  }

  /** A template without the data of its approval: what is to be confirmed is nobody's to read on the way. */
  async #part(
    tenantId: string,
    part: 'title' | 'body',
    said: string | null,
    locales: readonly string[],
  ): Promise<PushText | undefined> {
    if (said === null || said.trim() === '') return undefined
    const template = await this.#templates.text(tenantId, said, locales)
    if (template !== undefined) return { text: shownText(template.text, part) }
    // A key that no template has is the app's own; a single word is a word.
    return said.includes('.') && isTemplateKey(said)
      ? { key: said }
      : { text: shownText(said, part) }
  }
}
