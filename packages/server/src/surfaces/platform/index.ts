import { ocspRequestBytesMax } from '@countersign/protocol/certificate/ocsp-request.ts'
import type { FastifyInstance } from 'fastify'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { readProblemCatalogue } from '#http/problem.ts'
import { authenticate } from './auth.ts'
import type { PlatformCore } from './endpoint.ts'
import { platformFailures } from './errors.ts'
import { operations } from './operations.ts'
import { requirePathObjects } from './path-objects.ts'
import type { ServiceDependencies } from './process-facts.ts'

const importBytesMax = 12 * 1_048_576

export interface PlatformDependencies {
  readonly contract: Contract
  readonly core: Core
  /** What the endpoints of tag `service` tell. */
  readonly service: ServiceDependencies
}

/** Serves the native API; what no other surface claims is its to refuse. */
export function mountPlatform(app: FastifyInstance, dependencies: PlatformDependencies): void {
  const { contract, core, service } = dependencies
  mountContract<PlatformCore, Caller>(app, {
    contract,
    core: { ...core, service },
    operations,
    authenticate: (request, operation) => authenticate(core, request, operation),
    renderFailure: platformFailures(readProblemCatalogue(contract)),
    territory: [''],
    unknownQuery: 'refuse',
    bodyLimits: { importOtpTokens: importBytesMax, queryOcsp: ocspRequestBytesMax },
    checkPath: requirePathObjects,
  })
}
