import type { UserStatus } from '#domain/users/user.ts'
import { single } from './body.ts'
import type { Schemas } from './contract.gen.ts'
import { done, type Endpoint } from './endpoint.ts'
import { getObject, returnOfCreate, searchObjects, showById } from './objects.ts'
import { findDomainName, findUser, idOrReference, tenantOf } from './references.ts'
import { invalid, missing } from './refusals.ts'

/** Makes a user in a domain. */
export const userCreate: Endpoint<'userCreate'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['UserCreateAttrs']>(body.attrs)
  const { domain, loginName, loginNam: _alias, userPrincipalName, status, ...names } = attrs
  const wanted = returnOfCreate('user', body.return)
  if (loginName === undefined) throw missing('attrs.loginName')
  if (domain === undefined) throw missing('attrs.domain')
  const userStatus = statusOf(status)
  const { ulid } = await core.users.create(caller, tenantOf(caller), {
    ...own(names),
    domain: await findDomainName(agent, 'attrs.domain', domain),
    loginName,
    ...(userPrincipalName === undefined ? {} : { principalName: userPrincipalName }),
    ...(userStatus === undefined ? {} : { status: userStatus }),
  })
  return { status: 200, body: { error: 0, result: await showById(agent, 'user', ulid, wanted) } }
}

/** One user. */
export const userGet: Endpoint<'userGet'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'user', body) },
})

/** Changes a user; the status ACTIVE forgets failures and lock. */
export const userSet: Endpoint<'userSet'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['UserSetAttrs']>(body.attrs)
  const { userPrincipalName, status, ...names } = attrs
  const userStatus = statusOf(status)
  const { key } = await findUser(agent, 'user', idOrReference(body.id, body.user, 'user'))
  await core.users.update(caller, tenantOf(caller), key, {
    ...own(names),
    ...(userPrincipalName === undefined ? {} : { principalName: userPrincipalName }),
    ...(userStatus === undefined ? {} : { status: userStatus }),
    ...(userStatus === 'ACTIVE' ? { clearFailures: true } : {}),
  })
  return done
}

/** One page of the users that match. */
export const userSearch: Endpoint<'userSearch'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await searchObjects({ core, caller }, 'user', body) },
})

/** Deletes a user; the tokens stay. */
export const userDelete: Endpoint<'userDelete'> = async ({ core, caller, body }) => {
  const { key } = await findUser({ core, caller }, 'id', { id: body.id })
  await core.users.delete(caller, tenantOf(caller), key)
  return done
}

/** INACTIVE and DISABLED are one to the core. A lock is its own answer to failures, and cannot be given. */
function statusOf(status: Schemas['UserStatus'] | undefined): UserStatus | undefined {
  switch (status) {
    case undefined:
      return undefined
    case 'ACTIVE':
      return 'ACTIVE'
    case 'INACTIVE':
    case 'DISABLED':
      return 'DISABLED'
    case 'LOCKED':
      throw invalid('attrs.status')
  }
}

/** Only what was given: absent members are left alone. */
function own<Members extends object>(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  ) as Members
}
