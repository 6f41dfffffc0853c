import type { FastifyRequest } from 'fastify'
import { Caller } from '#domain/callers/caller.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import {
  type ClientCertificateHeader,
  clientCertificateThumbprint,
} from '#http/client-certificate.ts'
import type { Operation } from '#http/contract.ts'
import { bearerOf, isRepeatedHeader } from '#http/credentials.ts'

/** Scopes of this surface: as the contract names them, and as accounts are granted them. */
export const scopesByWireName: Readonly<Record<string, Scope>> = {
  management: 'dualshield:management',
  authentication: 'dualshield:authentication',
}

/** Where a request comes from, for the journal and for limits. */
export function originOf(request: FastifyRequest) {
  return { address: request.ip, surface: 'dualshield', requestId: request.id } as const
}

/**
 * Makes a caller of an agent's bearer token or client certificate, and refuses agents without the scope of the method
 * and agents without a tenant (dualshield.md, section 2).
 */
export function agentAuthenticator(core: Core, certificates: ClientCertificateHeader | undefined) {
  return async (request: FastifyRequest, operation: Operation): Promise<Caller> => {
    if (operation.security.length === 0) return Caller.anonymous(originOf(request))
    const caller = await authenticate(core, certificates, request)
    caller.require(scopeOf(operation))
    if (caller.tenantId === null) {
      throw new DomainError('forbidden', 'The account belongs to no installation.')
    }
    return caller
  }
}

/** As {@link agentAuthenticator}, for a request that names no method. @throws DomainError `unauthenticated`. */
export async function authenticate(
  core: Core,
  certificates: ClientCertificateHeader | undefined,
  request: FastifyRequest,
): Promise<Caller> {
  // Whatever else it shows: which of them somebody in front has looked at is not known.
  if (isRepeatedHeader(request, 'authorization')) {
    throw new DomainError('unauthenticated', 'The credential cannot be read.')
  }
  const bearer = bearerOf(request)
  const certificateThumbprint = clientCertificateThumbprint(request, certificates)
  return core.authenticator.authenticate({ bearer, certificateThumbprint }, originOf(request))
}

/** The scope that the contract asks for; without any no agent would get in. */
function scopeOf({ id, security }: Operation): Scope {
  const [name = ''] = security.flatMap(({ agentOAuth }) => agentOAuth ?? [])
  const scope = scopesByWireName[name]
  if (scope === undefined) throw new Error(`${id} has no scope that is known.`)
  return scope
}
