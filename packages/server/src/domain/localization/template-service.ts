import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { sha256Hex } from '#custody/secrets.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import {
  checkedChange,
  checkedLocale,
  checkedTag,
  type LocaleContent,
  localesMax,
  type TemplateChange,
  templateNotFound,
  textsMax,
} from './template.ts'

/** Changes of templates. Each is recorded with the hashes of its texts. */
export class TemplateService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
  }

  /**
   * @param draft.key as `isTemplateKey` wants it.
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` beyond the bounds of `template.ts`;
   *   `already_exists`; `limit_reached`.
   */
  async create(
    caller: Caller,
    tenantId: string,
    draft: TemplateChange & { readonly key: string; readonly defaultContent: string },
  ): Promise<void> {
    await this.#requireWriter(caller, tenantId)
    const { locales } = checkedChange(draft)
    const { key, defaultContent } = draft
    const nowMs = this.#clock()
    await this.#storage.transaction(async (stores) => {
      if (!(await stores.templates.insert({ tenantId, key }, defaultContent, nowMs))) {
        throw new DomainError('already_exists', 'There is a template with this key.', {
          faults: [{ pointer: '/key', code: 'not_unique', message: 'is taken' }],
        })
      }
      for (const text of locales) await stores.templates.put({ tenantId, key }, text, nowMs)
      await requireRoom(stores, caller, { tenantId, key })
      await record(stores, caller, tenantId, key, 'template.created', {
        texts: hashes(defaultContent, locales),
      })
    })
  }

  /**
   * Sets the default content and some languages; the others stay.
   *
   * @throws DomainError as {@link create}, but `template_not_found` for `already_exists`.
   */
  async update(
    caller: Caller,
    tenantId: string,
    key: string,
    change: TemplateChange,
  ): Promise<void> {
    await this.#requireWriter(caller, tenantId)
    const { defaultContent, locales } = checkedChange(change)
    const nowMs = this.#clock()
    await this.#storage.transaction(async (stores) => {
      if (!(await stores.templates.change({ tenantId, key }, defaultContent, nowMs))) {
        throw templateNotFound()
      }
      if (defaultContent === undefined && locales.length === 0) return
      for (const text of locales) await stores.templates.put({ tenantId, key }, text, nowMs)
      if (locales.length > 0) await requireRoom(stores, caller, { tenantId, key })
      await record(stores, caller, tenantId, key, 'template.updated', {
        texts: hashes(defaultContent, locales),
      })
    })
  }

  /** With all its languages. @throws DomainError `forbidden`, `tenant_not_found`, `template_not_found`. */
  async delete(caller: Caller, tenantId: string, key: string): Promise<void> {
    await this.#requireWriter(caller, tenantId)
    await this.#storage.transaction(async (stores) => {
      if (!(await stores.templates.delete({ tenantId, key }))) throw templateNotFound()
      await record(stores, caller, tenantId, key, 'template.deleted', {})
    })
  }

  /**
   * Sets the text of one language, never the default content, whatever its locale is called.
   *
   * @throws DomainError as {@link update}.
   */
  async setLocale(
    caller: Caller,
    tenantId: string,
    key: string,
    text: LocaleContent,
  ): Promise<void> {
    await this.#requireWriter(caller, tenantId)
    checkedLocale(text)
    await this.update(caller, tenantId, key, { locales: [text] })
  }

  /**
   * Removes one language, if the template has it.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `template_not_found`, `invalid_request`.
   */
  async deleteLocale(caller: Caller, tenantId: string, key: string, locale: string): Promise<void> {
    await this.#requireWriter(caller, tenantId)
    const tag = checkedTag(locale)
    await this.#storage.transaction(async (stores) => {
      if (!(await stores.templates.change({ tenantId, key }, undefined, this.#clock()))) {
        throw templateNotFound()
      }
      if (!(await stores.templates.removeLocale({ tenantId, key }, tag))) return
      await record(stores, caller, tenantId, key, 'template.locale-deleted', { locale: tag })
    })
  }

  async #requireWriter(caller: Caller, tenantId: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
  }
}

/** Judged by what there would be; a refusal takes it all back. @throws DomainError `limit_reached`. */
async function requireRoom(
  { templates, tenants }: Stores,
  caller: Caller,
  { tenantId, key }: { readonly tenantId: string; readonly key: string },
): Promise<void> {
  const locales = (await templates.listLocales({ tenantId, key })) ?? []
  if (locales.length > localesMax) {
    throw new DomainError('limit_reached', `A template has at most ${localesMax} languages.`)
  }
  // Held: who adds texts counts them one after the other.
  await tenants.holdFor(caller, tenantId)
  if ((await templates.count(tenantId, textsMax + 1)) > textsMax) {
    throw new DomainError('limit_reached', `A tenant has at most ${textsMax} texts.`)
  }
}

async function record(
  { journal }: Stores,
  caller: Caller,
  tenantId: string,
  key: string,
  action: `template.${string}`,
  detail: { readonly [name: string]: JsonValue },
): Promise<void> {
  await journal.append(caller, tenantId, { action, target: { type: 'template', id: key }, detail })
}

/** SHA-256 by locale; `*` is no tag of a language, but `default` could be. */
function hashes(
  defaultContent: string | undefined,
  locales: readonly LocaleContent[],
): { readonly [locale: string]: string } {
  return {
    ...(defaultContent === undefined ? {} : { '*': sha256Hex(defaultContent) }),
    ...Object.fromEntries(locales.map(({ locale, content }) => [locale, sha256Hex(content)])),
  }
}
