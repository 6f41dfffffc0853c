import type { Caller } from '../callers/caller.ts'
import { groupOf } from '../callers/failure-limiter.ts'
import type { Clock } from '../clock.ts'
import { RequestLimiter } from '../devices/request-limiter.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { compileGlob } from './key-glob.ts'
import { type LanguagePriority, lookUp, lookUpAll } from './language-priority.ts'
import { canonicalTag } from './language-tag.ts'
import { type LocalizedTemplate, templateNotFound } from './template.ts'
import type { TextName } from './template-store.ts'

/** Which texts to list, and which page of them. */
export interface TemplateQuery {
  /** As `compileGlob` takes it. */
  readonly glob: string
  readonly languages: LanguagePriority
  /** From 1. */
  readonly page: number
  readonly pageSize: number
}

/** Texts that are looked at between two turns of other requests. */
const scannedAtOnce = 2_000
/** Anybody may read, so one address reads at most this often; each turn of a long list counts as a read. */
const readsPerMinute = 3_000
/** Behind every key. */
const endOfKeys = '~'

/** A template's languages. */
interface Entry {
  readonly key: string
  readonly locales: readonly string[]
}

/** Templates as everybody may read them: no right is asked for. */
export class TemplateCatalogue {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #limiter: RequestLimiter

  constructor(dependencies: { storage: Storage; settings: SettingsService; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#limiter = new RequestLimiter(readsPerMinute, dependencies.clock)
  }

  /**
   * Texts by key, then locale, that a language of the priority list finds. The default content counts as a text of the
   * configured locale, unless there is another for that. A tenant that is not there has none.
   *
   * @throws DomainError `too_many_requests`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    { glob, languages, page, pageSize }: TemplateQuery,
  ): Promise<{ readonly items: readonly LocalizedTemplate[]; readonly totalCount: number }> {
    this.#count(caller)
    const defaultLocale = await this.#defaultLocale(tenantId)
    if (defaultLocale === undefined) return { items: [], totalCount: 0 }
    const first = (page - 1) * pageSize
    const shown: TextName[] = []
    let totalCount = 0
    const isGoingOn = () => this.#count(caller)
    for await (const { key, locales } of this.#entries(tenantId, glob, isGoingOn)) {
      const tags = locales.includes(defaultLocale) ? locales : [...locales, defaultLocale].sort()
      for (const tag of lookUpAll(languages, tags)) {
        if (totalCount >= first && shown.length < pageSize) {
          shown.push({ key, locale: locales.includes(tag) ? tag : undefined })
        }
        totalCount++
      }
    }
    const items = await Promise.all(
      shown.map(async ({ key, locale }) => {
        const content = await this.#storage.read.templates.findContent({ tenantId, key }, locale)
        return { key, locale: locale ?? defaultLocale, content }
      }),
    )
    // What went while the list was read is not there any more.
    return {
      items: items.filter((item): item is LocalizedTemplate => item.content !== undefined),
      totalCount,
    }
  }

  /**
   * The text that fits best; else the default content, whose locale is the configured one.
   *
   * @throws DomainError `template_not_found`, also for a tenant that is not there; `too_many_requests`.
   */
  async get(
    caller: Caller,
    tenantId: string,
    key: string,
    languages: LanguagePriority,
  ): Promise<LocalizedTemplate> {
    this.#count(caller)
    const { templates } = this.#storage.read
    const defaultLocale = await this.#defaultLocale(tenantId)
    if (defaultLocale === undefined) throw templateNotFound()
    const locales = await templates.listLocales({ tenantId, key })
    if (locales === undefined) throw templateNotFound()
    const found = lookUp(languages, [...new Set([...locales, defaultLocale])])
    const locale = found !== undefined && locales.includes(found) ? found : undefined
    const content = await templates.findContent({ tenantId, key }, locale)
    if (content === undefined) throw templateNotFound()
    return { key, locale: locale ?? defaultLocale, content }
  }

  #count({ address }: Caller): void {
    this.#limiter.count(groupOf(address ?? ''))
  }

  /** The locale of default contents; undefined when nobody may be served for this tenant. */
  async #defaultLocale(tenantId: string): Promise<string | undefined> {
    const tenant = await this.#storage.read.tenants.find(tenantId)
    if (tenant?.status !== 'ACTIVE') return undefined
    const { ast } = await this.#settings.settingsOf(tenantId)
    return canonicalTag(ast.defaultLocale)
  }

  /** Every template whose key fits, in order. Reads as much as the glob's beginning leaves open. */
  async *#entries(
    tenantId: string,
    globText: string,
    isGoingOn: () => void,
  ): AsyncGenerator<Entry> {
    const { prefix, isLiteral, matches } = compileGlob(globText)
    const range = {
      fromKey: prefix,
      // `!` comes before whatever a key can go on with, `/` right after the dot.
      untilKey: isLiteral ? `${prefix}!` : prefix === '' ? endOfKeys : `${prefix.slice(0, -1)}/`,
      limit: scannedAtOnce,
    }
    let key: string | undefined
    let locales: string[] = []
    for (let after: TextName | undefined; ; ) {
      const names = await this.#storage.read.templates.scan(tenantId, { ...range, after })
      for (const name of names) {
        if (name.locale !== undefined) {
          if (name.key === key) locales.push(name.locale)
          continue
        }
        if (key !== undefined) yield { key, locales }
        key = matches(name.key) ? name.key : undefined
        locales = []
      }
      after = names.at(-1)
      if (names.length < scannedAtOnce) break
      isGoingOn()
    }
    if (key !== undefined) yield { key, locales }
  }
}
