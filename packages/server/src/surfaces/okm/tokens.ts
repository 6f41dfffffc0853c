import type { AccountToken } from '#domain/callers/account-token-store.ts'
import type { Schemas } from './contract.gen.ts'
import { customerInReach } from './customer.ts'
import type { Endpoint } from './endpoint.ts'
import { pageOf, toPagination } from './pagination.ts'
import { fromWireScope, toWireScopes } from './scopes.ts'
import { fromInstantOrNull, fromUuid, noStore, toInstant, toInstantOrNull, toUuid } from './wire.ts'

/** Makes a service account of the customer and tells its secret. */
export const issueToken: Endpoint<'issueToken'> = async ({ core, caller, body }) => {
  const { token, secret } = await core.accountTokens.issue(caller, {
    tenantId: customerInReach(caller, body.customer),
    scopes: body.scopes.map(fromWireScope),
    description: body.label ?? '',
    expiresAtMs: fromInstantOrNull(body.expires_at, '/expires_at') ?? null,
  })
  return {
    status: 201,
    headers: noStore,
    body: {
      status: 201,
      msg: 'Token issued successfully',
      data: { token: toToken(token), access_token: secret },
    },
  }
}

/** Tokens in order of creation; accounts of the platform see those of all customers. */
export const listTokens: Endpoint<'listTokens'> = async ({ core, caller, query, request }) => {
  const { items, totalCount } = await core.accountTokens.list(caller, {
    tenantId: query.customer && customerInReach(caller, query.customer),
    ...pageOf(query),
  })
  return {
    status: 200,
    body: {
      status: 200,
      msg: 'Tokens fetched successfully',
      data: items.map(toToken),
      pagination: toPagination(request, query, totalCount),
    },
  }
}

/** Disables the account of a token. */
export const revokeToken: Endpoint<'revokeToken'> = async ({ core, caller, params }) => {
  await core.accountTokens.revoke(caller, fromUuid(params.tokenId))
  return { status: 204 }
}

function toToken(token: AccountToken): Schemas['Token'] {
  return {
    id: toUuid(token.ulid),
    customer: token.tenantId,
    scopes: toWireScopes(token.scopes),
    label: token.description === '' ? null : token.description,
    created_at: toInstant(token.createdAtMs),
    expires_at: toInstantOrNull(token.expiresAtMs),
    revoked_at: toInstantOrNull(token.revokedAtMs),
  }
}
