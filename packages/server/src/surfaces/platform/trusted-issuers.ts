import type { TrustedIssuer } from '#domain/callers/trusted-issuer.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { pathOf, toInstant } from './wire.ts'

/** Trusts an identity provider. */
export const createTrustedIssuer: Endpoint<'createTrustedIssuer'> = async ({
  core,
  caller,
  params: { tenantId },
  body,
}) => {
  const issuer = await core.trustedIssuers.create(caller, tenantId, body)
  return {
    status: 201,
    headers: { location: pathOf('tenants', tenantId, 'trusted-issuers', issuer.id) },
    body: toTrustedIssuer(issuer),
  }
}

/** Trusted issuers in order of creation. */
export const listTrustedIssuers: Endpoint<'listTrustedIssuers'> = async ({
  core,
  caller,
  params,
  query,
}) => {
  const page = await core.trustedIssuers.list(caller, params.tenantId, query)
  return { status: 200, body: { ...page, items: page.items.map(toTrustedIssuer) } }
}

/** One trusted issuer. */
export const getTrustedIssuer: Endpoint<'getTrustedIssuer'> = async ({
  core,
  caller,
  params: { tenantId, issuerId },
}) => ({
  status: 200,
  body: toTrustedIssuer(await core.trustedIssuers.get(caller, tenantId, issuerId)),
})

/** Changes a trusted issuer. */
export const updateTrustedIssuer: Endpoint<'updateTrustedIssuer'> = async ({
  core,
  caller,
  params: { tenantId, issuerId },
  body,
}) => ({
  status: 200,
  body: toTrustedIssuer(await core.trustedIssuers.update(caller, tenantId, issuerId, body)),
})

/** Trusts an issuer no longer. */
export const deleteTrustedIssuer: Endpoint<'deleteTrustedIssuer'> = async ({
  core,
  caller,
  params: { tenantId, issuerId },
}) => {
  await core.trustedIssuers.delete(caller, tenantId, issuerId)
  return { status: 204 }
}

function toTrustedIssuer(trusted: TrustedIssuer): Schemas['TrustedIssuer'] {
  const { id, issuer, jwksUri, jwks, audiences, algorithms } = trusted
  const { claimPath, scopeMap, clientIdClaim, enabled, createdAtMs, updatedAtMs } = trusted
  return {
    id,
    issuer,
    jwksUri,
    jwks,
    audiences,
    algorithms,
    claimPath,
    scopeMap,
    clientIdClaim,
    enabled,
    createdAt: toInstant(createdAtMs),
    updatedAt: toInstant(updatedAtMs),
  }
}
