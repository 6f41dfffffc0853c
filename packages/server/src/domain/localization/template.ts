import { DomainError, type Fault } from '../errors.ts'
import { isStorable } from '../users/name-text.ts'
import { canonicalTag, tagLengthMax } from './language-tag.ts'

/** A text in one language. */
export interface LocaleContent {
  /** BCP 47, in its usual case. */
  readonly locale: string
  readonly content: string
}

/** A text in one language, by its key. */
export interface LocalizedTemplate extends LocaleContent {
  readonly key: string
}

/** What is to be set; the texts of other languages stay. */
export interface TemplateChange {
  readonly defaultContent?: string | undefined
  /** Each locale once, in whatever case. */
  readonly locales?: readonly LocaleContent[] | undefined
}

/** Longest key. */
export const keyLengthMax = 1_024
/** As much as an approval may say. */
export const contentLengthMax = 10_000
/** Languages of one template beside its default. */
export const localesMax = 100
/** Texts of a tenant, defaults included: lists look through all of them. */
export const textsMax = 20_000

const keyPattern = /^[a-zA-Z][\w-]*(\.[a-zA-Z][\w-]*)*$/

/** Whether a template can have this key: components joined by dots, each a letter followed by letters, digits, `_`, `-`. */
export function isTemplateKey(text: string): boolean {
  return text.length <= keyLengthMax && keyPattern.test(text)
}

/**
 * A change with its locales in their usual case.
 *
 * @throws DomainError `invalid_request` for a text beyond the bounds or one that no database keeps, and for a locale that
 *   comes twice.
 */
export function checkedChange({ defaultContent, locales = [] }: TemplateChange): {
  readonly defaultContent: string | undefined
  readonly locales: readonly LocaleContent[]
} {
  const faults: Fault[] = []
  if (defaultContent !== undefined) faults.push(...contentFaults('/defaultContent', defaultContent))
  if (locales.length > localesMax) {
    faults.push(outOfRange('/locales', `must not be more than ${localesMax}`))
  }
  const seen = new Set<string>()
  const checked = locales.slice(0, localesMax).map(({ locale, content }, index) => {
    const tag = canonicalTag(locale)
    const pointer = `/locales/${index}`
    if (seen.has(tag)) {
      faults.push({ pointer: `${pointer}/locale`, code: 'not_unique', message: 'comes twice' })
    }
    seen.add(tag)
    faults.push(...localeFaults(`${pointer}/locale`, tag))
    faults.push(...contentFaults(`${pointer}/content`, content))
    return { locale: tag, content }
  })
  if (faults.length > 0) throw refused(faults)
  return { defaultContent, locales: checked }
}

/** One language, as {@link checkedChange} sees to it. @throws DomainError `invalid_request`. */
export function checkedLocale({ locale, content }: LocaleContent): LocaleContent {
  const tag = checkedTag(locale)
  const faults = contentFaults('/content', content)
  if (faults.length > 0) throw refused(faults)
  return { locale: tag, content }
}

/** @throws DomainError `invalid_request` for a tag that is too long. */
export function checkedTag(locale: string): string {
  const tag = canonicalTag(locale)
  const faults = localeFaults('path:locale', tag)
  if (faults.length > 0) throw refused(faults)
  return tag
}

export function templateNotFound(): DomainError {
  return new DomainError('template_not_found', 'No such template.')
}

function localeFaults(pointer: string, tag: string): Fault[] {
  if (tag.length <= tagLengthMax) return []
  return [outOfRange(pointer, `must not have more than ${tagLengthMax} characters`)]
}

function contentFaults(pointer: string, content: string): Fault[] {
  if (content === '' || content.length > contentLengthMax) {
    return [outOfRange(pointer, `must have 1 to ${contentLengthMax} characters`)]
  }
  if (isStorable(content)) return []
  return [{ pointer, code: 'bad_format', message: 'has characters that no text has' }]
}

function outOfRange(pointer: string, message: string): Fault {
  return { pointer, code: 'out_of_range', message }
}

function refused(faults: readonly Fault[]): DomainError {
  return new DomainError('invalid_request', 'The template cannot be kept like this.', { faults })
}
