import type { FastifyInstance } from 'fastify'
import type { AddressRange } from '#domain/address-range.ts'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import type { Contract } from '#http/contract.ts'
import { mountContract } from '#http/mount.ts'
import { authenticator } from './auth.ts'
import { renderFailure } from './errors.ts'
import { operations } from './operations.ts'

/** An access list of 1,000 users at 500 locks is larger than other bodies. */
const aclBytesMax = 8_388_608

export interface OkmOptions {
  readonly contract: Contract
  readonly core: Core
  /** Header in which trusted proxies pass the TLS client certificate; undefined: none is believed. */
  readonly clientCertHeader?: string | undefined
  /** Proxies that are believed. */
  readonly trustedProxies?: readonly AddressRange[]
}

/** Serves the OKM API under its two bases, and at the origin what is burnt into cabinets. */
export function mountOkm(app: FastifyInstance, options: OkmOptions): void {
  const { contract, core, clientCertHeader, trustedProxies = [] } = options
  const certificates =
    clientCertHeader === undefined ? undefined : { name: clientCertHeader, trustedProxies }
  mountContract<Core, Caller>(app, {
    contract,
    operations,
    core,
    authenticate: authenticator(core, certificates),
    renderFailure,
    territory: ['/okm', '/embeddedv1'],
    bodyLimits: { createAcl: aclBytesMax, updateAcl: aclBytesMax },
    trailingSlash: true,
  })
}
