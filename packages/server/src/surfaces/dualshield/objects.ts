import type { EntityName } from '#domain/directory/directory.ts'
import { DomainError, type ErrorCode } from '#domain/errors.ts'
import { ulidToHex } from '#domain/ulid.ts'
import type { Schemas } from './contract.gen.ts'
import { readMatch, readSort } from './match.ts'
import { type Return, readReturn, type ShownObject } from './projection.ts'
import { type Agent, findOne, tenantOf } from './references.ts'
import { invalid } from './refusals.ts'

const defaultPageSize = 100

/** A page as this surface answers one. */
export interface ShownPage {
  readonly total: number
  readonly rows: readonly ShownObject[]
}

/**
 * The generic `get`: exactly one match.
 *
 * @throws DomainError `invalid_request`, the entity's "not found", `ambiguous_reference`.
 */
export async function getObject(
  agent: Agent,
  entity: EntityName,
  body: Schemas['GetRequest'],
): Promise<ShownObject> {
  const conditions = readMatch(entity, body.match)
  if (conditions.length === 0 && isEmpty(body.match)) throw invalid('match')
  const wanted = readReturn(entity, body.return)
  return wanted.show(await findOne(agent, entity, 'match', conditions, wanted.projection))
}

/** The generic `search`. @throws DomainError `invalid_request`, `limit_reached`. */
export async function searchObjects(
  agent: Agent,
  entity: EntityName,
  body: Schemas['SearchRequest'],
): Promise<ShownPage> {
  const { max = defaultPageSize, offset = 0, sort = 'id', order = 'asc' } = body
  const search = {
    conditions: readMatch(entity, body.match),
    sort: readSort(entity, sort, order),
    limit: max,
    offset: Math.min(offset, Number.MAX_SAFE_INTEGER),
  }
  const wanted = readReturn(entity, body.return ?? ['id'])
  const { core, caller } = agent
  const { total, rows } = await core.directory.search(caller, tenantOf(caller), entity, {
    ...search,
    projection: wanted.projection,
  })
  return { total, rows: rows.map((row) => wanted.show(row)) }
}

/** What a `create` answers; read from the request before anything is made. */
export function returnOfCreate(entity: EntityName, wanted: Schemas['Return'] | undefined): Return {
  return readReturn(entity, wanted ?? ['id'])
}

/**
 * Shows an object that the request has just made or used. What has happened stays happened: where the object cannot be
 * shown as asked (it is gone again, or leads to too many others), its id is all that is told.
 */
export async function showById(
  agent: Agent,
  entity: EntityName,
  id: string,
  wanted: Return,
): Promise<ShownObject> {
  const conditions = [{ path: ['id'], op: '=', value: id }] as const
  try {
    return wanted.show(await findOne(agent, entity, 'id', conditions, wanted.projection))
  } catch (error) {
    const isTold = error instanceof DomainError && isAboutShowing(error.code)
    if (!isTold) throw error
    return { id: ulidToHex(id) }
  }
}

function isAboutShowing(code: ErrorCode): boolean {
  return code === 'limit_reached' || code.endsWith('_not_found')
}

function isEmpty(match: unknown): boolean {
  return Array.isArray(match) && match.length === 0
}
