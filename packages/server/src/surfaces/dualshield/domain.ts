import { single } from './body.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { getObject, returnOfCreate, searchObjects, showById } from './objects.ts'
import { findRepository, tenantOf } from './references.ts'
import { invalid, missing } from './refusals.ts'
import { identitySource } from './wire.ts'

/** Makes a domain whose users are kept by the server itself. */
export const domainCreate: Endpoint<'domainCreate'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['DomainCreateAttrs']>(body.attrs)
  const { name, netbiosName, dnsName, description, isDefault, repository } = attrs
  const source = attrs['identitySource.id']
  const wanted = returnOfCreate('domain', body.return)
  if (name === undefined) throw missing('attrs.name')
  if (source !== undefined && source !== identitySource.id) throw invalid('attrs.identitySource')
  const repositoryId =
    repository === undefined
      ? undefined
      : await findRepository(agent, 'attrs.repository', repository)
  const { ulid } = await core.userDomains.create(caller, tenantOf(caller), {
    name,
    ...(netbiosName === undefined ? {} : { netbiosName }),
    ...(dnsName === undefined ? {} : { dnsName }),
    ...(description === undefined ? {} : { description }),
    ...(isDefault === undefined ? {} : { isDefault }),
    ...(repositoryId === undefined ? {} : { repositoryId }),
  })
  return { status: 200, body: { error: 0, result: await showById(agent, 'domain', ulid, wanted) } }
}

/** One domain. */
export const domainGet: Endpoint<'domainGet'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'domain', body) },
})

/** One page of the domains that match. */
export const domainSearch: Endpoint<'domainSearch'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await searchObjects({ core, caller }, 'domain', body) },
})
