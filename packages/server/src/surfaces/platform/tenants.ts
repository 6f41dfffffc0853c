import type { Tenant } from '#domain/tenants/tenant.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { pathOf, toInstant } from './wire.ts'

/** Makes a tenant. */
export const createTenant: Endpoint<'createTenant'> = async ({ core, caller, body }) => {
  const tenant = await core.tenants.create(caller, body)
  return {
    status: 201,
    headers: { location: pathOf('tenants', tenant.id) },
    body: toTenant(tenant),
  }
}

/** Tenants in order of creation. */
export const listTenants: Endpoint<'listTenants'> = async ({ core, caller, query }) => {
  const page = await core.tenants.list(caller, query)
  return { status: 200, body: { ...page, items: page.items.map(toTenant) } }
}

/** One tenant. */
export const getTenant: Endpoint<'getTenant'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toTenant(await core.tenants.get(caller, params.tenantId)),
})

/** Renames, disables or enables a tenant. */
export const updateTenant: Endpoint<'updateTenant'> = async ({ core, caller, params, body }) => ({
  status: 200,
  body: toTenant(await core.tenants.update(caller, params.tenantId, body)),
})

/** Deletes a disabled tenant. */
export const deleteTenant: Endpoint<'deleteTenant'> = async ({ core, caller, params }) => {
  await core.tenants.delete(caller, params.tenantId)
  return { status: 204 }
}

function toTenant({
  id,
  number,
  name,
  status,
  createdAtMs,
  updatedAtMs,
}: Tenant): Schemas['Tenant'] {
  return {
    id,
    number,
    name,
    status,
    createdAt: toInstant(createdAtMs),
    updatedAt: toInstant(updatedAtMs),
  }
}
