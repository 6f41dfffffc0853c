import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { LocaleContent } from './template.ts'

interface Key {
  readonly tenantId: string
  readonly key: string
}

/** One text among those of a tenant. */
export interface TextName {
  readonly key: string
  /** Undefined: the default content. */
  readonly locale: string | undefined
}

/** Behind which text, and up to which key, to read. */
export interface ScanRange {
  /** The first key that may be read. */
  readonly fromKey: string
  /** No key from this one on. */
  readonly untilKey: string
  readonly after: TextName | undefined
  readonly limit: number
}

/** Stands for the default content: no tag is empty, and it comes before all of them. */
const noLocale = ''

const insertDefault = statement((db, p: Key & { content: string; nowMs: number }) =>
  db
    .insertInto('template_text')
    .values({
      tenant_id: p.tenantId,
      key: p.key,
      locale: noLocale,
      content: p.content,
      updated_at: p.nowMs,
    })
    .onConflict((taken) => taken.doNothing()),
)

const replaceDefault = statement((db, p: Key & { content: string; nowMs: number }) =>
  db
    .updateTable('template_text')
    .set({ content: p.content, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .where('locale', '=', noLocale),
)

/** Whoever changes a template changes its default first, if only its time. */
const touch = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('template_text')
    .set({ updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .where('locale', '=', noLocale),
)

const putLocale = statement((db, p: Key & { locale: string; content: string; nowMs: number }) =>
  db
    .insertInto('template_text')
    .values({
      tenant_id: p.tenantId,
      key: p.key,
      locale: p.locale,
      content: p.content,
      updated_at: p.nowMs,
    })
    .onConflict((there) =>
      there
        .columns(['tenant_id', 'key', 'locale'])
        .doUpdateSet({ content: p.content, updated_at: p.nowMs }),
    ),
)

const deleteDefault = statement((db, p: Key) =>
  db
    .deleteFrom('template_text')
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .where('locale', '=', noLocale),
)

const deleteAll = statement((db, p: Key) =>
  db.deleteFrom('template_text').where('tenant_id', '=', p.tenantId).where('key', '=', p.key),
)

const deleteLocale = statement((db, p: Key & { locale: string }) =>
  db
    .deleteFrom('template_text')
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .where('locale', '=', p.locale),
)

const findContent = statement((db, p: Key & { locale: string }) =>
  db
    .selectFrom('template_text')
    .select('content')
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .where('locale', '=', p.locale),
)

const listLocales = statement((db, p: Key) =>
  db
    .selectFrom('template_text')
    .select('locale')
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .orderBy('locale'),
)

const listTexts = statement((db, p: Key) =>
  db
    .selectFrom('template_text')
    .select(['locale', 'content'])
    .where('tenant_id', '=', p.tenantId)
    .where('key', '=', p.key)
    .orderBy('locale'),
)

const scan = statement(
  (
    db,
    p: {
      tenantId: string
      untilKey: string
      fromKey: string
      fromLocale: string
      limit: number
    },
  ) =>
    db
      .selectFrom('template_text')
      .select(['key', 'locale'])
      .where('tenant_id', '=', p.tenantId)
      .where(({ eb, refTuple, tuple }) =>
        eb(refTuple('key', 'locale'), '>=', tuple(p.fromKey, p.fromLocale)),
      )
      .where('key', '<', p.untilKey)
      .orderBy('key')
      .orderBy('locale')
      .limit(p.limit),
)

const countSome = statement((db, p: { tenantId: string; limit: number }) =>
  db
    .selectFrom(
      db
        .selectFrom('template_text')
        .select('key')
        .where('tenant_id', '=', p.tenantId)
        .limit(p.limit)
        .as('some'),
    )
    .select(({ fn }) => fn.countAll<number>().as('count')),
)

/** Templates: a default content for each key, and texts in further languages. */
export class TemplateStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** False when the key is taken: the primary key decides. */
  async insert(key: Key, content: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(insertDefault, { ...key, content, nowMs })) === 1
  }

  /** Holds the template until the end of the transaction. @returns false when there is none. */
  async change(key: Key, content: string | undefined, nowMs: number): Promise<boolean> {
    const changed =
      content === undefined
        ? await this.#queries.run(touch, { ...key, nowMs })
        : await this.#queries.run(replaceDefault, { ...key, content, nowMs })
    return changed === 1
  }

  /** Of a template that is held. */
  async put(key: Key, text: LocaleContent, nowMs: number): Promise<void> {
    await this.#queries.run(putLocale, { ...key, ...text, nowMs })
  }

  /** Of a template that is held. @returns false when there was no such text. */
  async removeLocale(key: Key, locale: string): Promise<boolean> {
    return (await this.#queries.run(deleteLocale, { ...key, locale })) === 1
  }

  /** True for whoever deletes it, once. Its default first: who adds a language meanwhile is waited for, or too late. */
  async delete(key: Key): Promise<boolean> {
    if ((await this.#queries.run(deleteDefault, key)) === 0) return false
    await this.#queries.run(deleteAll, key)
    return true
  }

  /** @param locale undefined: the default content. */
  async findContent(key: Key, locale: string | undefined): Promise<string | undefined> {
    const row = await this.#queries.first(findContent, { ...key, locale: locale ?? noLocale })
    return row?.content
  }

  /** Its languages beside the default, in order; undefined when there is no such template. */
  async listLocales(key: Key): Promise<readonly string[] | undefined> {
    const [first, ...rows] = await this.#queries.all(listLocales, key)
    return first?.locale === noLocale ? rows.map(({ locale }) => locale) : undefined
  }

  /** A whole template. */
  async find(
    key: Key,
  ): Promise<
    { readonly defaultContent: string; readonly locales: readonly LocaleContent[] } | undefined
  > {
    const [first, ...locales] = await this.#queries.all(listTexts, key)
    return first?.locale === noLocale ? { defaultContent: first.content, locales } : undefined
  }

  /** Names of texts, by key, the default before the others. */
  async scan(tenantId: string, range: ScanRange): Promise<readonly TextName[]> {
    const { after, fromKey, untilKey, limit } = range
    const rows = await this.#queries.all(scan, {
      tenantId,
      untilKey,
      fromKey: after?.key ?? fromKey,
      // A blank comes before whatever a tag can go on with.
      fromLocale: after === undefined ? noLocale : `${after.locale ?? noLocale} `,
      limit,
    })
    return rows.map(({ key, locale }) => ({
      key,
      locale: locale === noLocale ? undefined : locale,
    }))
  }

  /** How many texts a tenant has, counted no further than `limit`. */
  async count(tenantId: string, limit: number): Promise<number> {
    return Number((await this.#queries.first(countSome, { tenantId, limit }))?.count ?? 0)
  }
}
