import type { FastifyInstance } from 'fastify'
import type { AddressRange } from '#domain/address-range.ts'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { agentAuthenticator, authenticate } from './auth.ts'
import { prepareBody } from './body.ts'
import type { DualshieldCore } from './endpoint.ts'
import { renderFailure } from './errors.ts'
import { operations } from './operations.ts'

/** Imports and batches carry a file. */
const fileBytesMax = 10_485_760

const basePath = '/dualshield'
const restPath = `${basePath}/das5/rest/`

export interface DualshieldOptions {
  readonly contract: Contract
  readonly core: Core
  /** Header in which trusted proxies pass the TLS client certificate; undefined: none is believed. */
  readonly clientCertHeader?: string | undefined
  /** Proxies that are believed. */
  readonly trustedProxies?: readonly AddressRange[]
  /** Origin under which devices reach the server. */
  readonly publicUrl: () => string
}

/** Serves the DualShield token API, and the download links that it issues. */
export function mountDualshield(app: FastifyInstance, options: DualshieldOptions): void {
  const { contract, core, clientCertHeader, trustedProxies = [], publicUrl } = options
  const certificates =
    clientCertHeader === undefined ? undefined : { name: clientCertHeader, trustedProxies }
  mountContract<DualshieldCore, Caller>(app, {
    contract,
    operations,
    core: { ...core, publicUrl },
    authenticate: agentAuthenticator(core, certificates),
    renderFailure,
    territory: [basePath],
    basePaths: { provisionInspect: [basePath], provisionRedeem: [basePath] },
    bodyLimits: { tokenImport: fileBytesMax, tokenBatchAssignTokens: fileBytesMax },
    prepareBody,
    beforeMethodNotAllowed: async (request) => {
      const isPublic =
        !request.url.startsWith(restPath) || request.url.startsWith(`${restPath}oauth/`)
      if (!isPublic) await authenticate(core, certificates, request)
    },
  })
}
