import type { FastifyRequest } from 'fastify'
import { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from '#http/contract.ts'
import { isRepeatedHeader } from '#http/credentials.ts'

const header = 'x-api-key'

/**
 * Says who calls, by the secret of a service account in `X-Api-Key` (docs/contracts/platform.md, section 2).
 *
 * @throws DomainError `unauthenticated`, `too_many_requests`; `forbidden` without the scope, and without a tenant.
 */
export async function authenticate(
  core: Core,
  request: FastifyRequest,
  operation?: Operation,
): Promise<Caller> {
  const origin = { address: request.ip, surface: 'keyless', requestId: request.id } as const
  if (operation?.security.length === 0) {
    return Caller.anonymous(origin)
  }
  const apiKey = isRepeatedHeader(request, header) ? undefined : request.headers[header]
  const presented = { apiKey: typeof apiKey === 'string' ? apiKey : undefined }
  const caller = await core.authenticator.authenticate(presented, origin)
  caller.require('keyless:backend')
  if (caller.tenantId === null) {
    throw new DomainError('forbidden', 'The account belongs to no customer.')
  }
  return caller
}
