import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { EntityName } from '#domain/directory/directory.ts'
import type { Condition, DirectoryRow, Projection } from '#domain/directory/directory-query.ts'
import { DomainError, type ErrorCode } from '#domain/errors.ts'
import { splitLogin } from '#domain/users/identifier.ts'
import type { Schemas } from './contract.gen.ts'
import { invalid } from './refusals.ts'
import { readId } from './wire.ts'

/** A calling agent and the installation it speaks to. */
export interface Agent {
  readonly core: Core
  readonly caller: Caller
}

export interface FoundUser {
  readonly id: string
  /** Under which the core knows the user. */
  readonly key: string
}

const notFoundCodes = {
  token: 'token_not_found',
  tokenAssignment: 'assignment_not_found',
  user: 'user_not_found',
  domain: 'domain_not_found',
  product: 'product_not_found',
  repository: 'repository_not_found',
} as const satisfies Record<EntityName, ErrorCode>

/** The agent's tenant; agents without one were refused when they came in. */
export function tenantOf(caller: Caller): string {
  if (caller.tenantId === null) throw new DomainError('forbidden', 'The account has no tenant.')
  return caller.tenantId
}

/**
 * The one object for which everything holds.
 *
 * @param path where the request named it.
 * @throws DomainError: the entity's "not found"; `ambiguous_reference` for several.
 */
export async function findOne(
  { core, caller }: Agent,
  entity: EntityName,
  path: string,
  conditions: readonly Condition[],
  projection: Projection,
): Promise<DirectoryRow> {
  const rows = await core.directory.find(caller, tenantOf(caller), entity, {
    conditions,
    projection,
    limit: 2,
  })
  const [found, second] = rows
  if (found === undefined) throw new DomainError(notFoundCodes[entity], `No such ${entity}.`)
  if (second !== undefined) {
    throw new DomainError('ambiguous_reference', `More than one ${entity} matches.`, {
      pointer: `/${path}`,
    })
  }
  return found
}

/** @throws as `findOne`. @returns the token's id. */
export async function findToken(
  agent: Agent,
  path: string,
  reference: Schemas['TokenRef'],
): Promise<string> {
  const conditions = tokenConditions(reference)
  return (await findOne(agent, 'token', path, conditions, onlyId)).id
}

function tokenConditions(reference: Schemas['TokenRef']): Condition[] {
  if (typeof reference !== 'object') return [hasId([], reference)]
  const { id, serial, identifier, product } = reference
  return [
    ...(id === undefined ? [] : [hasId([], id)]),
    ...equals(['serial'], serial),
    ...equals(['identifier'], identifier),
    ...(product === undefined ? [] : productConditions(['product'], product)),
  ]
}

function productConditions(way: readonly string[], reference: Schemas['ProductRef']): Condition[] {
  if (typeof reference !== 'object') return [hasId(way, reference)]
  const { id, name, manufacturerCode, productCode } = reference
  return [
    ...(id === undefined ? [] : [hasId(way, id)]),
    ...equals([...way, 'name'], name),
    ...equals([...way, 'manufacturerCode'], manufacturerCode),
    ...equals([...way, 'productCode'], productCode),
  ]
}

/** @throws as `findOne`; `domain_not_found` when the domain that was named is not there. */
export async function findUser(
  agent: Agent,
  path: string,
  reference: Schemas['UserRef'],
): Promise<FoundUser> {
  const { id, fields } = await findOne(
    agent,
    'user',
    path,
    await userConditions(agent, path, reference),
    { fields: ['key'], relations: {} },
  )
  return { id, key: String(fields.key) }
}

async function userConditions(
  agent: Agent,
  path: string,
  reference: Schemas['UserRef'],
): Promise<Condition[]> {
  if (typeof reference !== 'object') return [hasId([], reference)]
  const { id, loginName, email, userPrincipalName, domain } = reference
  const login = loginName === undefined ? undefined : splitLogin(loginName)
  const domains: string[] = []
  if (domain !== undefined) domains.push(await findDomain(agent, `${path}.domain`, domain))
  if (login?.domain !== undefined) {
    domains.push(await findDomainOfLogin(agent, `${path}.loginName`, login.domain))
  }
  return [
    ...(id === undefined ? [] : [hasId([], id)]),
    ...equals(['loginName'], login?.loginName),
    ...equals(['email'], email),
    ...equals(['principalName'], userPrincipalName),
    ...domains.flatMap((domainId) => equals(['domain', 'id'], domainId)),
  ]
}

/** @throws as `findOne`. @returns the domain's id. */
export async function findDomain(
  agent: Agent,
  path: string,
  reference: Schemas['DomainRef'],
): Promise<string> {
  return (await findOne(agent, 'domain', path, domainConditions(reference), onlyId)).id
}

/** @throws as `findOne`. @returns the domain's name. */
export async function findDomainName(
  agent: Agent,
  path: string,
  reference: Schemas['DomainRef'],
): Promise<string> {
  const { fields } = await findOne(agent, 'domain', path, domainConditions(reference), {
    fields: ['name'],
    relations: {},
  })
  return String(fields.name)
}

function domainConditions(reference: Schemas['DomainRef']): Condition[] {
  if (typeof reference !== 'object') return [hasId([], reference)]
  const { id, name, netbiosName, dnsName } = reference
  return [
    ...(id === undefined ? [] : [hasId([], id)]),
    ...equals(['name'], name),
    ...equals(['netbiosName'], netbiosName),
    ...equals(['dnsName'], dnsName),
  ]
}

/** `DOMAIN\login`: by name, else by NetBIOS name, else by DNS name. */
async function findDomainOfLogin(agent: Agent, path: string, name: string): Promise<string> {
  for (const field of ['name', 'netbiosName', 'dnsName']) {
    try {
      return (await findOne(agent, 'domain', path, equals([field], name), onlyId)).id
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'domain_not_found') throw error
    }
  }
  throw new DomainError('domain_not_found', 'No such domain.')
}

/** @throws as `findOne`. @returns the product's id. */
export async function findProduct(
  agent: Agent,
  path: string,
  reference: Schemas['ProductRef'],
): Promise<string> {
  return (await findOne(agent, 'product', path, productConditions([], reference), onlyId)).id
}

/** @throws as `findOne`. @returns the repository's id. */
export async function findRepository(
  agent: Agent,
  path: string,
  reference: Schemas['RepositoryRef'],
): Promise<string> {
  return (await findOne(agent, 'repository', path, repositoryConditions(reference), onlyId)).id
}

function repositoryConditions(reference: Schemas['RepositoryRef']): Condition[] {
  if (typeof reference !== 'object') return [hasId([], reference)]
  const { id, name, 'parent.id': parentId } = reference
  return [
    ...(id === undefined ? [] : [hasId([], id)]),
    ...equals(['name'], name),
    ...(parentId === undefined ? [] : [hasId(['parent'], parentId)]),
  ]
}

const onlyId: Projection = { fields: [], relations: {} }

/** An id that nobody can have is nobody's. */
function hasId(way: readonly string[], wireId: string | number): Condition {
  const id = readId(wireId)
  return id === undefined ? { path: [], op: 'never' } : { path: [...way, 'id'], op: '=', value: id }
}

function equals(path: readonly string[], value: string | undefined): Condition[] {
  return value === undefined ? [] : [{ path, op: '=', value }]
}

/** The object that `id` names, or the reference beside it; both must agree. */
export function idOrReference<Reference>(
  id: string | number | undefined,
  reference: Reference | undefined,
  path: string,
): Reference | { readonly id: string | number } {
  if (id === undefined) {
    if (reference === undefined) throw invalid(path)
    return reference
  }
  if (reference === undefined) return { id }
  const attributes =
    typeof reference === 'object' && reference !== null ? reference : { id: reference }
  const given = 'id' in attributes ? attributes.id : undefined
  if (given !== undefined && String(given).toLowerCase() !== String(id).toLowerCase()) {
    throw invalid(path)
  }
  return { ...attributes, id }
}
