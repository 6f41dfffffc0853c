import { single } from './body.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { getObject, returnOfCreate, searchObjects, showById } from './objects.ts'
import { findDomainName, findRepository, tenantOf } from './references.ts'
import { missing } from './refusals.ts'

/** Makes a container of tokens. */
export const repositoryCreate: Endpoint<'repositoryCreate'> = async ({ core, caller, body }) => {
  const agent = { core, caller }
  const attrs = single<Schemas['RepositoryCreateAttrs']>(body.attrs)
  const { name, description, parent, domain } = attrs
  const wanted = returnOfCreate('repository', body.return)
  if (name === undefined) throw missing('attrs.name')
  const { id } = await core.repositories.create(caller, tenantOf(caller), {
    name,
    description,
    parentId:
      parent === undefined ? undefined : await findRepository(agent, 'attrs.parent', parent),
    domain: domain === undefined ? undefined : await findDomainName(agent, 'attrs.domain', domain),
  })
  const result = await showById(agent, 'repository', id, wanted)
  return { status: 200, body: { error: 0, result } }
}

/** One repository. */
export const repositoryGet: Endpoint<'repositoryGet'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'repository', body) },
})

/** One page of the repositories that match. */
export const repositorySearch: Endpoint<'repositorySearch'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await searchObjects({ core, caller }, 'repository', body) },
})
