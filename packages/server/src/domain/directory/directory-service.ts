import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { PolicySource } from '../verification/verification-service.ts'
import type { EntityName } from './directory.ts'
import {
  type Condition,
  checkConditions,
  checkProjection,
  checkSearch,
  type DirectoryRow,
  offsetMax,
  type Projection,
  rowsReadMax,
  type Scalar,
  type Search,
  type SearchResult,
  type Sort,
} from './directory-query.ts'
import type { Match, Window } from './directory-store.ts'

/** Rows that one statement looks at where no index helps: what one turn of the event loop can spare. */
const windowSize = 2_000

const everything: Window = { after: '', until: undefined }

type Scope = Parameters<Storage['read']['directory']['load']>[0]

/** Questions about tokens, users and what belongs to them, as rich as a management console asks them. */
export class DirectoryService {
  readonly #storage: Storage
  readonly #policies: PolicySource
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; policies: PolicySource; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#policies = dependencies.policies
    this.#clock = dependencies.clock
  }

  /**
   * One page of what matches, and how many match in all. Where no index helps, every object of the tenant is looked at,
   * in windows between which other requests are served.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for what cannot be asked; `limit_reached`
   * when the projection leads to too many objects, or the page is too far down.
   */
  async search(
    caller: Caller,
    tenantId: string,
    entity: EntityName,
    search: Search,
  ): Promise<SearchResult> {
    requireDirectoryReader(caller, tenantId)
    checkSearch(entity, search)
    const scope = await this.#scopeOf(caller, tenantId)
    const page = new PageOfMatches(search)
    for await (const matches of this.#matches(scope, entity, search.conditions, search.sort.path)) {
      page.add(matches)
    }
    const rows = await this.#storage.read.directory.load(
      scope,
      entity,
      page.ids(),
      search.projection,
    )
    return { total: page.total, rows }
  }

  /**
   * The first matches in order of id; for those who want exactly one, `limit` is 2.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `limit_reached`.
   */
  async find(
    caller: Caller,
    tenantId: string,
    entity: EntityName,
    request: {
      conditions: readonly Condition[]
      projection: Projection
      limit: number
    },
  ): Promise<readonly DirectoryRow[]> {
    requireDirectoryReader(caller, tenantId)
    const { conditions, projection, limit } = request
    checkConditions(entity, conditions)
    checkProjection(entity, projection)
    if (conditions.some(({ op }) => op === 'never')) return []
    const scope = await this.#scopeOf(caller, tenantId)
    const { directory } = this.#storage.read
    if (directory.isNarrow(entity, conditions)) {
      return directory.loadMatching(scope, entity, conditions, projection, limit)
    }
    const ids: string[] = []
    for await (const matches of this.#matches(scope, entity, conditions, ['id'])) {
      ids.push(...matches.map(({ id }) => id))
      if (ids.length >= limit) break
    }
    return directory.load(scope, entity, ids.slice(0, limit), projection)
  }

  async #scopeOf(caller: Caller, tenantId: string): Promise<Scope> {
    const policy = await this.#policies.settingsFor(caller, tenantId)
    return { tenantId, policy, nowMs: this.#clock() }
  }

  async *#matches(
    scope: Scope,
    entity: EntityName,
    conditions: readonly Condition[],
    sortPath: readonly string[],
  ): AsyncGenerator<readonly Match[]> {
    const { directory } = this.#storage.read
    const search = { conditions, sortPath }
    if (conditions.some(({ op }) => op === 'never')) return
    if (directory.isNarrow(entity, conditions)) {
      const matches = await directory.listMatches(scope, entity, search, undefined, rowsReadMax + 1)
      if (matches.length > rowsReadMax) throw tooMany()
      yield matches
      return
    }
    for (let window: Window | undefined = everything; window !== undefined; ) {
      const until = await directory.windowEnd(scope, entity, window.after, windowSize)
      window = { after: window.after, until }
      yield await directory.listMatches(scope, entity, search, window, windowSize)
      window = until === undefined ? undefined : { after: until, until: undefined }
      await nextTurn()
    }
  }
}

/**
 * The right to look around. DualShield's methods of either kind show tokens and users; which method an agent may call is
 * decided where the method is known.
 */
function requireDirectoryReader(caller: Caller, tenantId: string): void {
  const isManager = caller.has('dualshield:management')
  const own = isManager ? 'dualshield:management' : 'dualshield:authentication'
  caller.requireIn(tenantId, caller.surface === 'dualshield' ? own : 'tenant:read')
}

/** Counts matches and keeps those that can still be on the page. */
class PageOfMatches {
  readonly #sort: Sort
  readonly #offset: number
  readonly #limit: number
  #kept: Match[] = []
  #total = 0

  constructor({ sort, offset, limit }: Search) {
    this.#sort = sort
    this.#offset = offset
    this.#limit = limit
  }

  get total(): number {
    return this.#total
  }

  add(matches: readonly Match[]): void {
    this.#total += matches.length
    if (this.#offset > offsetMax) return
    this.#kept.push(...matches)
    const end = this.#offset + this.#limit
    if (this.#kept.length >= 2 * end + windowSize) this.#kept = this.#inOrder().slice(0, end)
  }

  /** @throws DomainError `limit_reached`. */
  ids(): string[] {
    if (this.#offset > offsetMax && this.#total > this.#offset) throw tooMany()
    return this.#inOrder()
      .slice(this.#offset, this.#offset + this.#limit)
      .map(({ id }) => id)
  }

  #inOrder(): Match[] {
    const direction = this.#sort.descending ? -1 : 1
    return this.#kept.toSorted(
      (one, other) =>
        direction * compareKeys(one.sortKey, other.sortKey) || compareKeys(one.id, other.id),
    )
  }
}

/** Null first, numbers by value, text by code units: the same on both engines. */
function compareKeys(one: Scalar, other: Scalar): number {
  if (one === other) return 0
  if (one === null) return -1
  if (other === null) return 1
  return one < other ? -1 : 1
}

function tooMany(): DomainError {
  return new DomainError('limit_reached', 'The answer would hold too many objects.')
}
