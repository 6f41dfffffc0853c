import type { Queries } from '#storage/queries.ts'
import { type Builder, statement } from '#storage/statement.ts'
import { DomainError } from '../errors.ts'
import { lookupOf, type UserLookup, type UserReference } from './user-resolver.ts'

interface Pair {
  readonly tenantId: string
  readonly scheme: string
  readonly value: string
}

const ofId = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('app_user as u')
    .select('u.id')
    .where('u.tenant_id', '=', p.tenantId)
    .where('u.id', '=', p.id),
)

const ofUlid = statement((db, p: { tenantId: string; ulid: string }) =>
  db
    .selectFrom('app_user as u')
    .select('u.id')
    .where('u.tenant_id', '=', p.tenantId)
    .where('u.ulid', '=', p.ulid),
)

const ofLogin = statement((db, p: { tenantId: string; domain: string; foldedLogin: string }) =>
  db
    .selectFrom('app_user as u')
    .select('u.id')
    .where('u.tenant_id', '=', p.tenantId)
    .where('u.domain', '=', p.domain)
    .where('u.folded_login', '=', p.foldedLogin),
)

function loginsOf(db: Builder, p: { tenantId: string; foldedLogin: string }) {
  return db
    .selectFrom('user_domain as d')
    .innerJoin('app_user as u', (join) =>
      join.onRef('u.tenant_id', '=', 'd.tenant_id').onRef('u.domain', '=', 'd.folded_name'),
    )
    .where('d.tenant_id', '=', p.tenantId)
    .where('u.folded_login', '=', p.foldedLogin)
}

const ofDefaultLogin = statement((db, p: { tenantId: string; foldedLogin: string }) =>
  loginsOf(db, p).select('u.id').where('d.is_default', '=', 1),
)

/** A value that names nobody any more is held by the empty id. */
function holderOf(db: Builder, p: Pair) {
  return db
    .selectFrom('user_identifier as i')
    .where('i.tenant_id', '=', p.tenantId)
    .where('i.scheme', '=', p.scheme)
    .where('i.value', '=', p.value)
    .where('i.user_id', '<>', '')
}

const ofPair = statement((db, p: Pair) => holderOf(db, p).select('i.user_id as id'))

const ofPairOrId = statement((db, p: Pair) =>
  holderOf(db, p)
    .select(({ lit }) => ['i.user_id as id', lit<number>(0).as('rank')])
    .unionAll(
      db
        .selectFrom('app_user as u')
        .select(({ lit }) => ['u.id', lit<number>(1).as('rank')])
        .where('u.tenant_id', '=', p.tenantId)
        .where('u.id', '=', p.value),
    )
    .orderBy('rank')
    .limit(2),
)

const ofPairOrDefaultLogin = statement((db, p: Pair & { foldedLogin: string }) =>
  holderOf(db, p)
    .select(({ lit }) => ['i.user_id as id', lit<number>(0).as('rank')])
    .unionAll(
      loginsOf(db, p)
        .select(({ lit }) => ['u.id', lit<number>(1).as('rank')])
        .where('d.is_default', '=', 1),
    )
    .orderBy('rank')
    .limit(2),
)

const ofPairOrQualifiedLogin = statement(
  (db, p: Pair & { foldedLogin: string; foldedDomain: string }) =>
    holderOf(db, p)
      .select(({ lit }) => ['i.user_id as id', lit<number>(0).as('rank')])
      .unionAll(
        loginsOf(db, p)
          .select(({ lit }) => ['u.id', lit<number>(1).as('rank')])
          .where('d.folded_name', '=', p.foldedDomain),
      )
      .unionAll(
        loginsOf(db, p)
          .select(({ lit }) => ['u.id', lit<number>(2).as('rank')])
          .where('d.folded_netbios', '=', p.foldedDomain),
      )
      .orderBy('rank')
      .limit(3),
)

interface Ranked {
  readonly id: string
  readonly rank: number
}

/** Finds whom a request names, in one statement. */
export class UserResolver {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * The id of the user that the reference names (platform.md, section 3). Undefined for nobody, for a text that can name
   * nobody, and for a NetBIOS name that leads to several users.
   */
  async findUserId(tenantId: string, reference: UserReference): Promise<string | undefined> {
    const lookup = lookupOf(reference)
    return lookup === undefined ? undefined : this.#follow(tenantId, lookup)
  }

  /**
   * As {@link findUserId}, for a user that must exist.
   *
   * @param pointer where the body named the user.
   * @throws DomainError `user_not_found`.
   */
  async getUserId(tenantId: string, reference: UserReference, pointer?: string): Promise<string> {
    const id = await this.findUserId(tenantId, reference)
    if (id !== undefined) return id
    throw new DomainError(
      'user_not_found',
      'No such user.',
      pointer === undefined ? {} : { pointer },
    )
  }

  async #follow(tenantId: string, lookup: UserLookup): Promise<string | undefined> {
    const { by } = lookup
    switch (by) {
      case 'id':
        return (await this.#queries.first(ofId, { tenantId, id: lookup.id }))?.id
      case 'ulid':
        return (await this.#queries.first(ofUlid, { tenantId, ulid: lookup.ulid }))?.id
      case 'login': {
        const { domain, foldedLogin } = lookup
        return (await this.#queries.first(ofLogin, { tenantId, domain, foldedLogin }))?.id
      }
      case 'default_login': {
        const { foldedLogin } = lookup
        return (await this.#queries.first(ofDefaultLogin, { tenantId, foldedLogin }))?.id
      }
      case 'identifier':
        return (await this.#queries.first(ofPair, { tenantId, ...lookup.identifier }))?.id
      case 'identifier_or_id':
        return first(await this.#queries.all(ofPairOrId, { tenantId, ...lookup.identifier }))
      case 'identifier_or_default_login': {
        const key = { tenantId, ...lookup.identifier, foldedLogin: lookup.foldedLogin }
        return first(await this.#queries.all(ofPairOrDefaultLogin, key))
      }
      case 'identifier_or_login': {
        const { domain: foldedDomain, foldedLogin } = lookup
        const key = { tenantId, ...lookup.identifier, foldedDomain, foldedLogin }
        return first(await this.#queries.all(ofPairOrQualifiedLogin, key))
      }
    }
  }
}

/** The best of several findings; undefined if two users are equally good. */
function first(found: readonly Ranked[]): string | undefined {
  const [best, next] = found
  if (best !== undefined && next?.rank === best.rank && next.id !== best.id) return undefined
  return best?.id
}
