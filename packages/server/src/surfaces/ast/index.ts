import type { FastifyInstance } from 'fastify'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { authenticator } from './auth.ts'
import { withPropertyTypes } from './client-properties.ts'
import { astFailures } from './errors.ts'
import { operations } from './operations.ts'

export interface AstDependencies {
  readonly contract: Contract
  readonly core: Core
  /** Origin, without a path: devices sign the URL that they call. */
  readonly publicUrl: () => string
}

/** What the samples of the page write otherwise than its types say. */
const bodyForms: Readonly<Record<string, (body: unknown) => unknown>> = {
  createProperty: withPropertyTypes,
  updateProperty: withPropertyTypes,
}

/** Serves the AST management API, `/ast/v1` and `/ast/v2`. */
export function mountAst(
  app: FastifyInstance,
  { contract, core, publicUrl }: AstDependencies,
): void {
  mountContract<Core, Caller>(app, {
    contract,
    operations,
    core,
    authenticate: authenticator(core, publicUrl),
    renderFailure: astFailures(() => core.serverNonces.issue()),
    territory: ['/ast'],
    prepareBody: (body, { id }) => bodyForms[id]?.(body) ?? body,
    // The contract infers PUT from where the page has the operation.
    otherMethods: {
      reissueTenantSigner: ['PATCH'],
      // The contract wants both.
      updateTemplate: ['PUT'],
      updateTemplateLocale: ['PATCH'],
    },
    // The page has no path for the lock of a version.
    otherPlaces: {
      lockVersion: { method: 'PUT', path: '/v1/tenants/{tenantId}/versions/{versionId}/lock' },
    },
  })
}
