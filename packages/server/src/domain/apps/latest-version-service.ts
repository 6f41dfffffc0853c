import type { Caller } from '../callers/caller.ts'
import type { Condition } from '../conditions/condition.ts'
import type { Storage } from '../storage.ts'
import { type PushCategory, type PushService, pushCategories, pushServices } from './app.ts'
import type { LatestVersion } from './latest-version-store.ts'
import { all, any, containing, exactly } from './version-criteria.ts'
import { cut, oneText, type PageNumber } from './version-search-service.ts'

/** What a list of apps with their newest versions is asked for; all that is given must fit. */
export interface LatestSearch {
  readonly appName?: string | undefined
  readonly platform?: string | undefined
  /** Apps that have one of them; undefined or none: all. */
  readonly categories?: readonly PushCategory[] | undefined
  readonly services?: readonly PushService[] | undefined
  /** To be found in whatever nothing is given for. */
  readonly text?: string | undefined
  /** App and platform have to be one and the same text, and any of the texts contains it. */
  readonly isTextSearch: boolean
}

export interface LatestPage {
  readonly items: readonly LatestVersion[]
  readonly totalCount: number
}

/** Apps, and what is newest of them. */
export class LatestVersionService {
  readonly #storage: Storage

  constructor({ storage }: { storage: Storage }) {
    this.#storage = storage
  }

  /**
   * One entry for each platform of an app, one for an app without versions; by app and platform.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for a text search without one text.
   */
  async list(
    caller: Caller,
    tenantId: string,
    search: LatestSearch & PageNumber,
  ): Promise<LatestPage> {
    caller.requireIn(tenantId, 'ast:read')
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const { latest } = this.#storage.read.appVersions
    const found = await latest.list(tenantId, conditionOf(search))
    return { items: cut(found, search), totalCount: found.length }
  }
}

function conditionOf({
  appName,
  platform,
  categories = [],
  services = [],
  text,
  isTextSearch,
}: LatestSearch): Condition {
  const lists = [
    ...(categories.length === 0 ? [] : [anyOf('categories', categories)]),
    ...(services.length === 0 ? [] : [anyOf('services', services)]),
  ]
  if (isTextSearch) {
    const wanted = oneText([appName, platform, ...(text === undefined ? [] : [text])])
    return all([...lists, containedIn(wanted, {})])
  }
  const given = { appName, platform, categories, services }
  const criteria = [exactly({ appName, platform }), ...lists]
  return all(text === undefined ? criteria : [...criteria, containedIn(text, given)])
}

/** In one of the texts for which nothing is given; the number of the version always is one. */
function containedIn(text: string, given: Omit<LatestSearch, 'isTextSearch'>): Condition {
  const names = (['appName', 'platform'] as const).filter((name) => given[name] === undefined)
  const holds = (name: string) => name.includes(text.toLowerCase())
  return any([
    containing(text, [...names, 'versionStr']),
    ...(given.categories?.length ? [] : [anyOf('categories', pushCategories.filter(holds))]),
    ...(given.services?.length ? [] : [anyOf('services', pushServices.filter(holds))]),
  ])
}

/** A list in JSON has one of these words, which need no escape in it. */
function anyOf(field: string, words: readonly string[]): Condition {
  return any(words.map((word) => ({ op: 'like', field, pattern: `%"${word}"%` }) as const))
}
