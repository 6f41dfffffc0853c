import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { authenticate, scopeOf, scopeOfEntity } from './auth.ts'
import { tenantOf } from './endpoint.ts'
import { otpServerFailures, xmlContentType } from './errors.ts'
import { namedPathOf } from './named-path.ts'
import { operations } from './operations.ts'
import { listNamedBy } from './otp-list.ts'

/** Serves the OTP Server API. Of every request credentials come first, then the name of the method (otp-server.md). */
export function mountOtpServer(
  app: FastifyInstance,
  { contract, core }: { readonly contract: Contract; readonly core: Core },
): void {
  const requireMethod = async (caller: Caller, name = ''): Promise<void> => {
    await core.otpListMethods.get(caller, tenantOf(caller), name)
  }
  const admitUnserved = async (request: FastifyRequest): Promise<void> => {
    const { methodName, entityType } = namedPathOf(request.url)
    const caller = await authenticate(core, request, scopeOfEntity(entityType))
    await requireMethod(caller, methodName)
  }
  mountContract<Core, Caller>(app, {
    contract,
    operations,
    core,
    authenticate: async (request, operation, path) => {
      const caller = await authenticate(core, request, scopeOf(operation))
      await requireMethod(caller, path['method-name'])
      return caller
    },
    renderFailure: otpServerFailures(contract),
    territory: ['/otp-server'],
    contentTypes: { 'application/xml': xmlContentType },
    checkPath: async ({ caller, params, operation }) => {
      // The list comes before the parameters; no other operation on a list has any.
      if (operation.id !== 'associateOtpList') return
      const { listId, of } = listNamedBy({
        'method-name': String(params['method-name']),
        'list-id': String(params['list-id']),
      })
      await core.otpLists.get(caller, tenantOf(caller), listId, of)
    },
    beforeMethodNotAllowed: admitUnserved,
    beforeNotFound: admitUnserved,
  })
}
