import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { type LanguagePriority, lookUp, priorityOf } from './language-priority.ts'
import { canonicalTag } from './language-tag.ts'
import { fillTemplate, type PlaceholderData } from './placeholders.ts'
import { contentLengthMax, isTemplateKey } from './template.ts'

/** A template's text with its data. */
export interface RenderedText {
  readonly text: string
  /** Of the text that was filled; the configured one for the default content. */
  readonly locale: string
}

/** Templates with data in them: what people read. Never with a gap, never empty, at most 10,000 characters. */
export class TemplateTexts {
  readonly #storage: Storage
  readonly #settings: SettingsService

  constructor(dependencies: { storage: Storage; settings: SettingsService }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
  }

  /**
   * The text of a template in the best of somebody's languages. One that cannot be filled gives way to the default
   * content.
   *
   * @param locales BCP 47, the best first, as a device has them; or what an `Accept-Language` says.
   * @returns undefined when there is no such template, or even the default content cannot be filled with these data.
   * @throws DomainError `tenant_not_found`.
   */
  async text(
    tenantId: string,
    key: string,
    locales: readonly string[] | LanguagePriority,
    data: PlaceholderData = {},
  ): Promise<RenderedText | undefined> {
    if (!isTemplateKey(key)) return undefined
    const { templates } = this.#storage.read
    const defaultLocale = await this.#defaultLocale(tenantId)
    const tags = await templates.listLocales({ tenantId, key })
    if (tags === undefined) return undefined
    const languages = 'wanted' in locales ? locales : priorityOf(locales)
    const found = lookUp(languages, [...new Set([...tags, defaultLocale])])
    const wanted = found !== undefined && tags.includes(found) ? [found, undefined] : [undefined]
    for (const tag of wanted) {
      const content = await templates.findContent({ tenantId, key }, tag)
      const rendering = content === undefined ? undefined : render(content, data)
      if (rendering !== undefined && 'text' in rendering) {
        return { text: rendering.text, locale: tag ?? defaultLocale }
      }
    }
    return undefined
  }

  /**
   * A template in all its languages.
   *
   * @throws DomainError `tenant_not_found`; `invalid_request` at `/text` when there is no such template, or one of its texts
   *   cannot be filled with these data.
   */
  async all(
    tenantId: string,
    key: string,
    data: PlaceholderData = {},
  ): Promise<readonly RenderedText[]> {
    const defaultLocale = await this.#defaultLocale(tenantId)
    const template = isTemplateKey(key)
      ? await this.#storage.read.templates.find({ tenantId, key })
      : undefined
    if (template === undefined) throw refused('names no template', 'not_found')
    const texts = [
      { locale: undefined, content: template.defaultContent },
      ...template.locales,
    ] as const
    return texts.map(({ locale, content }) => {
      const rendering = render(content, data)
      if ('fault' in rendering) {
        throw refused(`names a template whose text ${nameOf(locale)} ${rendering.fault}`)
      }
      return { text: rendering.text, locale: locale ?? defaultLocale }
    })
  }

  async #defaultLocale(tenantId: string): Promise<string> {
    const { ast } = await this.#settings.settingsOf(tenantId)
    return canonicalTag(ast.defaultLocale)
  }
}

function render(
  content: string,
  data: PlaceholderData,
): { readonly text: string } | { readonly fault: string } {
  const rendering = fillTemplate(content, data)
  if ('fault' in rendering) return rendering
  const { text } = rendering
  if (text.length > contentLengthMax) {
    return { fault: `must not have more than ${contentLengthMax} characters with its data` }
  }
  return text.trim() === '' ? { fault: 'must not be empty' } : rendering
}

function nameOf(locale: string | undefined): string {
  return locale === undefined ? 'by default' : `for ${locale}`
}

function refused(message: string, code = 'bad_format'): DomainError {
  return new DomainError('invalid_request', 'The message cannot be sent like this.', {
    faults: [{ pointer: '/text', code, message }],
  })
}
