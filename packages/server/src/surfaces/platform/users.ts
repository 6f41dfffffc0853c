import type { User } from '#domain/users/user.ts'
import { userDocument } from '#domain/users/user-document.ts'
import type { UserDomain } from '#domain/users/user-domain.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'

/** Makes a domain, and the default one if asked to. */
export const createDomain: Endpoint<'createDomain'> = async ({ core, caller, params, body }) => {
  const domain = await core.userDomains.create(caller, params.tenantId, body)
  return {
    status: 201,
    headers: { location: pathIn(params.tenantId, 'domains', domain.name) },
    body: toDomain(domain),
  }
}

/** Domains in order of creation. */
export const listDomains: Endpoint<'listDomains'> = async ({ core, caller, params, query }) => {
  const page = await core.userDomains.list(caller, params.tenantId, query)
  return { status: 200, body: { ...page, items: page.items.map(toDomain) } }
}

/** One domain. */
export const getDomain: Endpoint<'getDomain'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toDomain(await core.userDomains.get(caller, params.tenantId, params.domain)),
})

/** Changes a domain, or gives it the mark of the default. */
export const updateDomain: Endpoint<'updateDomain'> = async ({ core, caller, params, body }) => {
  const { tenantId, domain } = params
  return {
    status: 200,
    body: toDomain(await core.userDomains.update(caller, tenantId, domain, body)),
  }
}

/** Deletes a domain that has no users. */
export const deleteDomain: Endpoint<'deleteDomain'> = async ({ core, caller, params }) => {
  await core.userDomains.delete(caller, params.tenantId, params.domain)
  return { status: 204 }
}

/** Makes a user. */
export const createUser: Endpoint<'createUser'> = async ({ core, caller, params, body }) => {
  const user = await core.users.create(caller, params.tenantId, body)
  return {
    status: 201,
    headers: { location: pathIn(params.tenantId, 'users', user.id) },
    body: toUser(user),
  }
}

/** Users in order of creation, all or those that fit every filter. */
export const listUsers: Endpoint<'listUsers'> = async ({ core, caller, params, query }) => {
  const page = await core.users.list(caller, params.tenantId, query)
  return { status: 200, body: { ...page, items: page.items.map(toUser) } }
}

/** One user. */
export const getUser: Endpoint<'getUser'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toUser(await core.users.get(caller, params.tenantId, params.userId)),
})

/** Changes a user. */
export const updateUser: Endpoint<'updateUser'> = async ({ core, caller, params, body }) => ({
  status: 200,
  body: toUser(await core.users.update(caller, params.tenantId, params.userId, body)),
})

/** Deletes a user with all that is the user's alone. */
export const deleteUser: Endpoint<'deleteUser'> = async ({ core, caller, params }) => {
  await core.users.delete(caller, params.tenantId, params.userId)
  return { status: 204 }
}

/** Gives a user one more identifier. */
export const addUserIdentifier: Endpoint<'addUserIdentifier'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { tenantId, userId } = params
  const { scheme, value } = await core.userIdentifiers.add(caller, tenantId, userId, body)
  return {
    status: 201,
    headers: { location: pathIn(tenantId, 'users', userId, 'identifiers', scheme, value) },
    body: { scheme, value },
  }
}

/** Takes an identifier away. */
export const removeUserIdentifier: Endpoint<'removeUserIdentifier'> = async ({
  core,
  caller,
  params,
}) => {
  const { tenantId, userId, scheme, value } = params
  await core.userIdentifiers.remove(caller, tenantId, userId, { scheme, value })
  return { status: 204 }
}

/** Lifts every lock of a user. */
export const unlockUser: Endpoint<'unlockUser'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toUser(await core.userLocks.unlock(caller, params.tenantId, params.userId)),
})

function pathIn(tenantId: string, ...segments: readonly string[]): string {
  return `/api/v1/tenants/${[tenantId, ...segments].map(encodeURIComponent).join('/')}`
}

function instant(atMs: number): string {
  return new Date(atMs).toISOString()
}

function toDomain(domain: UserDomain): Schemas['Domain'] {
  const { name, dnsName, netbiosName, description, isDefault, createdAtMs, updatedAtMs } = domain
  return {
    name,
    dnsName,
    netbiosName,
    description,
    isDefault,
    createdAt: instant(createdAtMs),
    updatedAt: instant(updatedAtMs),
  }
}

function toUser(user: User): Schemas['User'] {
  return userDocument(user)
}
