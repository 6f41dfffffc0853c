import type { Caller } from '../callers/caller.ts'
import type { Condition } from '../conditions/condition.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { AppVersion, RegisteredVersion } from './app-version.ts'
import {
  all,
  byPatterns,
  containing,
  exactly,
  type VersionCriteria,
  type VersionText,
} from './version-criteria.ts'
import type { VersionOrder } from './version-search-store.ts'

/** A page by number. */
export interface PageNumber {
  /** From 1. */
  readonly page: number
  readonly pageSize: number
}

export interface VersionPage {
  readonly items: readonly RegisteredVersion[]
  /** On all pages. */
  readonly totalCount: number
}

/** What a list of versions is asked for. */
export interface VersionSearch extends VersionCriteria {
  /** To be found in the texts for which nothing is given. */
  readonly text?: string | undefined
  /** The texts that are given have to be one and the same, and one of all texts contains it. */
  readonly isTextSearch: boolean
}

/** Lists of versions. */
export class VersionSearchService {
  readonly #storage: Storage

  constructor({ storage }: { storage: Storage }) {
    this.#storage = storage
  }

  /**
   * Versions in the order in which they were made.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for a text search without one text.
   */
  async list(
    caller: Caller,
    tenantId: string,
    search: VersionSearch & PageNumber,
  ): Promise<VersionPage> {
    await this.#requireReader(caller, tenantId)
    return this.#page(tenantId, conditionOf(search), 'made', search)
  }

  /** As {@link list}, by app, platform and number; `%` in a criterion stands for any run of characters. */
  async listTree(
    caller: Caller,
    tenantId: string,
    search: VersionCriteria & PageNumber,
  ): Promise<readonly RegisteredVersion[]> {
    await this.#requireReader(caller, tenantId)
    return (await this.#page(tenantId, byPatterns(search), 'tree', search)).items
  }

  /** Each version once, however many apps and platforms have it; criteria as {@link listTree}. */
  async listDistinct(
    caller: Caller,
    tenantId: string,
    search: VersionCriteria & PageNumber & { readonly order: Exclude<VersionOrder, 'tree'> },
  ): Promise<readonly string[]> {
    await this.#requireReader(caller, tenantId)
    const { search: store } = this.#storage.read.appVersions
    const found = await store.list(tenantId, byPatterns(search), search.order)
    return cut([...new Set(found.map(({ versionStr }) => versionStr))], search)
  }

  async #page(
    tenantId: string,
    condition: Condition,
    order: VersionOrder,
    page: PageNumber,
  ): Promise<VersionPage> {
    const { search, registrations } = this.#storage.read.appVersions
    const found = await search.list(tenantId, condition, order)
    const ids = cut(found, page).map(({ id }) => id)
    const versions = await search.load(tenantId, ids)
    const registered = await registrations.listOf(tenantId, ids)
    const items = versions.map((version: AppVersion) => ({
      ...version,
      registrations: registered.get(version.id) ?? [],
    }))
    return { items, totalCount: found.length }
  }

  async #requireReader(caller: Caller, tenantId: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
  }
}

const texts: readonly VersionText[] = ['appName', 'platform', 'versionStr']

function conditionOf({ text, isTextSearch, ...criteria }: VersionSearch): Condition {
  const { isLocked, checksIntegrity } = criteria
  if (isTextSearch) {
    const given = [...texts.map((name) => criteria[name]), ...(text === undefined ? [] : [text])]
    return all([containing(oneText(given)), exactly({ isLocked, checksIntegrity })])
  }
  const searched = texts.filter((name) => criteria[name] === undefined)
  // Nothing is left to search in: whatever the text is, the criteria decide.
  if (text === undefined || searched.length === 0) return exactly(criteria)
  return all([exactly(criteria), containing(text, searched)])
}

/**
 * What all of them say.
 *
 * @throws DomainError `invalid_request`.
 */
export function oneText(given: readonly (string | undefined)[]): string {
  const [text = ''] = given
  if (text !== '' && given.every((one) => one === text)) return text
  throw new DomainError(
    'invalid_request',
    'A text search needs every text, and all of them alike.',
    {
      faults: [
        {
          pointer: 'query:isTextSearch',
          code: 'mutually_exclusive',
          message: 'needs every criterion that is a text, all with the same value',
        },
      ],
    },
  )
}

/** One page of a list. */
export function cut<T>(items: readonly T[], { page, pageSize }: PageNumber): readonly T[] {
  return items.slice((page - 1) * pageSize, page * pageSize)
}
