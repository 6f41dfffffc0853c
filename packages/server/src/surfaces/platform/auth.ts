import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import type { FastifyRequest } from 'fastify'
import type { PresentedCredentials } from '#domain/callers/authenticator.ts'
import { Caller } from '#domain/callers/caller.ts'
import { type Scope, scopes } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'

/** Says who calls, and refuses who lacks every scope that `x-scope` names, before anything else of a request is read. */
export async function authenticate(
  core: Core,
  request: FastifyRequest,
  operation: Operation,
): Promise<Caller> {
  const required = requiredScopes(operation)
  const origin = { address: request.ip, surface: 'native', requestId: request.id } as const
  if (required.length === 0) return anonymous(request)
  const caller = await core.authenticator.authenticate(presentedIn(request), origin)
  if (!required.some((scope) => caller.has(scope))) {
    throw new DomainError('forbidden', 'The credential lacks the scope.')
  }
  return caller
}

/** Nobody in particular: callers of public operations. */
function anonymous(request: FastifyRequest): Caller {
  return new Caller({
    type: 'ANONYMOUS',
    id: null,
    address: request.ip,
    surface: 'native',
    requestId: request.id,
    tenantId: null,
    scopes: [],
  })
}

/** `x-scope`: scopes of which one suffices; empty: public. */
export function requiredScopes({ extensions }: Operation): readonly Scope[] {
  const declared = extensions['x-scope']
  return Array.isArray(declared) ? scopes.filter((scope) => declared.includes(scope)) : []
}

/**
 * The credentials of a request in the three presentations of platform.md, section 2.
 *
 * @throws DomainError `unauthenticated` for a header that is repeated or that cannot be read.
 */
export function presentedIn(request: FastifyRequest): PresentedCredentials {
  refuseRepeated(request)
  const { authorization } = request.headers
  const apiKey = request.headers['x-api-key']
  return {
    ...(authorization === undefined ? {} : readAuthorization(authorization)),
    ...(typeof apiKey === 'string' ? { apiKey } : {}),
  }
}

/** Node keeps the first of several: which one somebody in front of us has looked at is not known. */
function refuseRepeated({ raw }: FastifyRequest): void {
  const { rawHeaders } = raw
  let authorizationCount = 0
  let apiKeyCount = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // Lengths first: this runs for every header of every request.
    if (name.length === 13 && name.toLowerCase() === 'authorization') authorizationCount++
    else if (name.length === 9 && name.toLowerCase() === 'x-api-key') apiKeyCount++
  }
  if (authorizationCount > 1 || apiKeyCount > 1) throw unreadable()
}

function readAuthorization(header: string): PresentedCredentials {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +(\S+)$/.exec(header) ?? []
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { bearer: value }
    case 'basic':
      return { basic: readBasic(value) }
    default:
      throw unreadable()
  }
}

/** RFC 7617: the id holds no colon, the secret may. */
function readBasic(value: string): { id: string; secret: string } {
  const bytes = decodeBase64(value)
  if (bytes === undefined) throw unreadable()
  const text = Buffer.from(bytes).toString('utf8')
  const colon = text.indexOf(':')
  if (colon === -1) throw unreadable()
  return { id: text.slice(0, colon), secret: text.slice(colon + 1) }
}

function unreadable(): DomainError {
  return new DomainError('unauthenticated', 'The credential cannot be read.')
}
