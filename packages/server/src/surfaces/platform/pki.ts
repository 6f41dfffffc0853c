import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'

/** The keys with which a tenant's checkpoints can be checked, retired ones too. */
export const getTenantJwks: Endpoint<'getTenantJwks'> = async ({ core, params }) => ({
  status: 200,
  headers: { 'cache-control': 'public, max-age=3600' },
  body: { keys: (await core.checkpoints.publicKeys(params.tenantId)) as Schemas['Jwks']['keys'] },
})
