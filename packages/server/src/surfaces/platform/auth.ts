import type { FastifyRequest } from 'fastify'
import type { PresentedCredentials } from '#domain/callers/authenticator.ts'
import { Caller } from '#domain/callers/caller.ts'
import { type Scope, scopes } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import { isRepeatedHeader, readBasic, splitAuthorization } from '#http/credentials.ts'

/** Says who calls, and refuses who lacks every scope that `x-scope` names, before anything else of a request is read. */
export async function authenticate(
  core: Core,
  request: FastifyRequest,
  operation: Operation,
): Promise<Caller> {
  const accepted = requiredScopes(operation)
  const origin = { address: request.ip, surface: 'native', requestId: request.id } as const
  if (accepted.length === 0) return Caller.anonymous(origin)
  const { caller } = await core.authenticator.identify(presentedIn(request), origin)
  if (!accepted.some((scope) => caller.has(scope))) {
    throw new DomainError('forbidden', 'The credential lacks the scope.')
  }
  return caller
}

/** What operations require, read from the contract at their first request. */
const required = new WeakMap<Operation, readonly Scope[]>()

/** `x-scope`: scopes of which one suffices; empty: public. */
export function requiredScopes(operation: Operation): readonly Scope[] {
  const known = required.get(operation)
  if (known !== undefined) return known
  const declared = operation.extensions['x-scope']
  const found = Array.isArray(declared) ? scopes.filter((scope) => declared.includes(scope)) : []
  required.set(operation, found)
  return found
}

/**
 * The credentials of a request in the three presentations of platform.md, section 2.
 *
 * @throws DomainError `unauthenticated` for a header that is repeated or that cannot be read.
 */
export function presentedIn(request: FastifyRequest): PresentedCredentials {
  if (isRepeatedHeader(request, 'authorization') || isRepeatedHeader(request, 'x-api-key')) {
    throw unreadable()
  }
  const { authorization } = request.headers
  const apiKey = request.headers['x-api-key']
  return {
    ...(authorization === undefined ? {} : readAuthorization(authorization)),
    ...(typeof apiKey === 'string' ? { apiKey } : {}),
  }
}

function readAuthorization(header: string): PresentedCredentials {
  const { scheme, value = '' } = splitAuthorization(header) ?? {}
  if (scheme === 'bearer') return { bearer: value }
  const basic = scheme === 'basic' ? readBasic(value) : undefined
  if (basic === undefined) throw unreadable()
  return { basic }
}

function unreadable(): DomainError {
  return new DomainError('unauthenticated', 'The credential cannot be read.')
}
