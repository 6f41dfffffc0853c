import type { FastifyRequest } from 'fastify'
import type { Caller } from '#domain/callers/caller.ts'
import { type Scope, scopes } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import { isRepeatedHeader, readBasic, splitAuthorization } from '#http/credentials.ts'

/**
 * Says who calls, by HTTP Basic with id and secret of a service account (platform.md, section 2).
 *
 * @param scope one that the account must have.
 * @throws DomainError `unauthenticated`, `too_many_requests`; `forbidden` without the scope, and without a tenant.
 */
export async function authenticate(
  core: Core,
  request: FastifyRequest,
  scope: Scope,
): Promise<Caller> {
  const origin = { address: request.ip, surface: 'otp-server', requestId: request.id } as const
  const caller = await core.authenticator.authenticate({ basic: presentedIn(request) }, origin)
  caller.require(scope)
  if (caller.tenantId === null) {
    throw new DomainError('forbidden', 'The account belongs to no installation.')
  }
  return caller
}

function presentedIn(request: FastifyRequest): { id: string; secret: string } | undefined {
  const { authorization } = request.headers
  if (authorization === undefined || isRepeatedHeader(request, 'authorization')) return undefined
  const { scheme, value = '' } = splitAuthorization(authorization) ?? {}
  return scheme === 'basic' ? readBasic(value) : undefined
}

/** The scope that the contract asks for, `x-scope`. */
export function scopeOf({ id, extensions }: Operation): Scope {
  const declared = extensions['x-scope']
  const scope = scopes.find((one) => Array.isArray(declared) && declared.includes(one))
  if (scope === undefined) throw new Error(`${id} has no scope that is known.`)
  return scope
}

/** Where no operation says which scope it needs, the entity does. */
export function scopeOfEntity(entityType: string): Scope {
  return entityType === 'user-info' ? 'otp-server:verify' : 'otp-server:admin'
}
