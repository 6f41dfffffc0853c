import type { FastifyRequest } from 'fastify'
import { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import { isRepeatedHeader, splitAuthorization } from '#http/credentials.ts'

/** Who may call an operation, `x-role` of the contract: one of them suffices. */
type Role = 'admin-read' | 'admin-write' | 'ast-client' | 'public'

const roles: readonly Role[] = ['admin-read', 'admin-write', 'ast-client', 'public']

type Authenticate = (
  request: FastifyRequest,
  operation: Operation,
  path: Readonly<Record<string, string>>,
) => Promise<Caller>

/**
 * Says who calls, and refuses who is of another tenant or has none of the roles: an account by its secret or access token
 * as bearer, whoever has a token of the tenant's identity provider by that, a device by its token and proof as on the
 * device API.
 *
 * @param publicUrl origin under which devices call, as their proofs name it.
 */
export function authenticator(core: Core, publicUrl: () => string): Authenticate {
  return async (request, operation, path) => {
    const required = rolesOf(operation)
    if (required.includes('public')) return Caller.anonymous(origin(request))
    const tenantId = path.tenantId ?? path.tenant ?? ''
    const caller = await callerOf(core, request, { tenantId, publicUrl })
    if (caller.tenantId !== null && caller.tenantId !== tenantId) {
      throw new DomainError('forbidden', 'The credential belongs to another tenant.')
    }
    if (!required.some((role) => hasRole(caller, role))) {
      throw new DomainError('forbidden', 'The credential lacks the role.')
    }
    return caller
  }
}

/** `x-role` of an operation. @throws for one that has none: nobody could call it. */
export function rolesOf({ id, extensions }: Operation): readonly Role[] {
  const declared = extensions['x-role']
  const found = roles.filter((role) => Array.isArray(declared) && declared.includes(role))
  if (found.length === 0) throw new Error(`${id} has no role that is known.`)
  return found
}

function hasRole(caller: Caller, role: Role): boolean {
  switch (role) {
    case 'admin-read':
      return caller.has('ast:read')
    case 'admin-write':
      return caller.has('ast:write')
    case 'ast-client':
      return caller.isAstClient
    case 'public':
      return true
  }
}

/** @throws DomainError `unauthenticated`, `forbidden`, `too_many_requests`, `unavailable`; DeviceRefusal. */
async function callerOf(
  core: Core,
  request: FastifyRequest,
  { tenantId, publicUrl }: { tenantId: string; publicUrl: () => string },
): Promise<Caller> {
  const { authorization } = request.headers
  if (authorization === undefined || isRepeatedHeader(request, 'authorization')) throw unreadable()
  const { scheme, value } = splitAuthorization(authorization) ?? {}
  if (scheme === 'bearer' && value !== undefined) {
    const from = origin(request)
    return (
      (await core.issuerAuthenticator.authenticate(value, tenantId, from)) ??
      core.authenticator.authenticate({ bearer: value }, from)
    )
  }
  if (scheme !== 'dpop' || isRepeatedHeader(request, 'dpop')) throw unreadable()
  const { dpop } = request.headers
  const [pathOnly = ''] = (request.raw.url ?? '').split('?')
  const call = {
    accessToken: value,
    proof: typeof dpop === 'string' ? dpop : undefined,
    method: request.method,
    url: publicUrl() + pathOnly,
  }
  return (await core.deviceGate.enter(call, origin(request))).caller
}

function origin(request: FastifyRequest) {
  return { address: request.ip, surface: 'ast', requestId: request.id } as const
}

function unreadable(): DomainError {
  return new DomainError('unauthenticated', 'No valid credential.')
}
