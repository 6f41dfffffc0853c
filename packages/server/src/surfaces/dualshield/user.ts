import type { UserDraft } from '#domain/users/user.ts'
import { single } from './body.ts'
import type { Schemas } from './contract.gen.ts'
import { done, type Endpoint } from './endpoint.ts'
import { getObject, returnOfCreate, searchObjects, showById } from './objects.ts'
import { findDomainName, findUser, idOrReference, tenantOf } from './references.ts'
import { missing } from './refusals.ts'

/** Makes a user in a domain. */
export const userCreate: Endpoint<'userCreate'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['UserCreateAttrs']>(body.attrs)
  const { domain, loginName, loginNam: _alias, userPrincipalName, status, ...names } = attrs
  const wanted = returnOfCreate('user', body.return)
  if (loginName === undefined) throw missing('attrs.loginName')
  if (domain === undefined) throw missing('attrs.domain')
  const { ulid } = await core.users.create(caller, tenantOf(caller), {
    ...own(names),
    domain: await findDomainName(agent, 'attrs.domain', domain),
    loginName,
    ...(userPrincipalName === undefined ? {} : { principalName: userPrincipalName }),
    ...(status === undefined ? {} : nativeStatus[status]),
  })
  return { status: 200, body: { error: 0, result: await showById(agent, 'user', ulid, wanted) } }
}

/** One user. */
export const userGet: Endpoint<'userGet'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'user', body) },
})

/** Changes a user; the status LOCKED locks until the status ACTIVE, which forgets failures and lock. */
export const userSet: Endpoint<'userSet'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['UserSetAttrs']>(body.attrs)
  const { userPrincipalName, status, ...names } = attrs
  const { key } = await findUser(agent, 'user', idOrReference(body.id, body.user, 'user'))
  await core.users.update(caller, tenantOf(caller), key, {
    ...own(names),
    ...(userPrincipalName === undefined ? {} : { principalName: userPrincipalName }),
    ...(status === undefined ? {} : nativeStatus[status]),
    ...(status === 'ACTIVE' ? { clearFailures: true } : {}),
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

/** INACTIVE and DISABLED are one to the core. A lock is no status there: it leaves the status as it is. */
const nativeStatus: Readonly<Record<Schemas['UserStatus'], Pick<UserDraft, 'status' | 'lock'>>> = {
  ACTIVE: { status: 'ACTIVE' },
  INACTIVE: { status: 'DISABLED' },
  DISABLED: { status: 'DISABLED' },
  LOCKED: { lock: true },
}

/** Only what was given: absent members are left alone. */
function own<Members extends object>(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  ) as Members
}
