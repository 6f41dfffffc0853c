import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { authenticate } from './auth.ts'
import type { KeylessCore } from './endpoint.ts'
import { renderFailure } from './errors.ts'
import { operations } from './operations.ts'

const publicPaths = '/keyless/customers/'

/** Serves the Keyless Server API. Of every request the key comes first, but for what is public. */
export function mountKeyless(
  app: FastifyInstance,
  options: { readonly contract: Contract; readonly core: Core; readonly nodeId: string },
): void {
  const { contract, core, nodeId } = options
  const admitUnserved = async (request: FastifyRequest): Promise<void> => {
    if (!request.url.startsWith(publicPaths)) await authenticate(core, request)
  }
  mountContract<KeylessCore, Caller>(app, {
    contract,
    operations,
    core: { ...core, nodeId },
    authenticate: (request, operation) => authenticate(core, request, operation),
    renderFailure,
    territory: ['/keyless'],
    checkAccept: true,
    prepareBody: withoutNulls,
    beforeMethodNotAllowed: admitUnserved,
    beforeNotFound: admitUnserved,
  })
}

/** A member that is null counts as absent. */
function withoutNulls(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
}
