import type { ServiceAccount } from '#domain/callers/service-account.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { fromInstant, noStore, pathOf, toInstant, toInstantOrNull } from './wire.ts'

/** Makes a service account and tells its secret. */
export const createServiceAccount: Endpoint<'createServiceAccount'> = async ({
  core,
  caller,
  body: { expiresAt, ...draft },
}) => {
  const { account, secret } = await core.serviceAccounts.create(caller, {
    ...draft,
    expiresAtMs: fromInstant(expiresAt, '/expiresAt'),
  })
  return {
    status: 201,
    headers: { ...noStore, location: pathOf('service-accounts', account.id) },
    body: { serviceAccount: toServiceAccount(account), secret },
  }
}

/** Service accounts in order of creation. */
export const listServiceAccounts: Endpoint<'listServiceAccounts'> = async ({
  core,
  caller,
  query,
}) => {
  const page = await core.serviceAccounts.list(caller, query)
  return { status: 200, body: { ...page, items: page.items.map(toServiceAccount) } }
}

/** One service account. */
export const getServiceAccount: Endpoint<'getServiceAccount'> = async ({
  core,
  caller,
  params,
}) => ({
  status: 200,
  body: toServiceAccount(await core.serviceAccounts.get(caller, params.serviceAccountId)),
})

/** Changes scopes, limits or state. */
export const updateServiceAccount: Endpoint<'updateServiceAccount'> = async ({
  core,
  caller,
  params,
  body: { expiresAt, ...changes },
}) => {
  const account = await core.serviceAccounts.update(caller, params.serviceAccountId, {
    ...changes,
    expiresAtMs: fromInstant(expiresAt, '/expiresAt'),
  })
  return { status: 200, body: toServiceAccount(account) }
}

/** Deletes a service account. */
export const deleteServiceAccount: Endpoint<'deleteServiceAccount'> = async ({
  core,
  caller,
  params,
}) => {
  await core.serviceAccounts.delete(caller, params.serviceAccountId)
  return { status: 204 }
}

/** Replaces the secret and tells the new one. */
export const rotateServiceAccountSecret: Endpoint<'rotateServiceAccountSecret'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const { serviceAccountId } = params
  const { account, secret } = await core.serviceAccounts.rotateSecret(
    caller,
    serviceAccountId,
    body,
  )
  return {
    status: 200,
    headers: noStore,
    body: { serviceAccount: toServiceAccount(account), secret },
  }
}

function toServiceAccount(account: ServiceAccount): Schemas['ServiceAccount'] {
  const { id, tenantId, description, scopes, enabled } = account
  const { allowedAddresses, certificateThumbprints } = account
  return {
    id,
    tenantId,
    description,
    scopes,
    enabled,
    expiresAt: toInstantOrNull(account.expiresAtMs),
    allowedAddresses,
    certificateThumbprints,
    createdAt: toInstant(account.createdAtMs),
    updatedAt: toInstant(account.updatedAtMs),
    secretRotatedAt: toInstant(account.secretRotatedAtMs),
    lastUsedAt: toInstantOrNull(account.lastUsedAtMs),
  }
}
