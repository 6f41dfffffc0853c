import { DomainError } from '#domain/errors.ts'
import { bearerOf } from '#http/credentials.ts'
import type { Endpoint } from './endpoint.ts'
import { noStore } from './wire.ts'

/** The process is alive. */
export const getLiveness: Endpoint<'getLiveness'> = async ({ core }) => ({
  status: 200,
  body: { status: 'ok', version: core.service.status.version },
})

/** It can serve: not while it starts or drains, nor without its database. */
export const getReadiness: Endpoint<'getReadiness'> = async ({ core }) => {
  const { status } = core.service
  const { version } = status
  const results = Object.entries(await status.checks())
  const checks = Object.fromEntries(
    results.map(([name, works]) => [name, works ? ('ok' as const) : ('failed' as const)]),
  )
  const isReady = status.isServing() && results.every(([, works]) => works)
  return isReady
    ? { status: 200, body: { status: 'ok', version, checks } }
    : { status: 503, body: { status: 'unavailable', version, checks } }
}

/** Figures for Prometheus. */
export const getMetrics: Endpoint<'getMetrics'> = async ({ core, request }) => {
  const { isMetricsToken, metrics } = core.service
  if (isMetricsToken !== undefined && !isMetricsToken(bearerOf(request) ?? '')) {
    throw new DomainError('unauthenticated', 'The metrics need their token.')
  }
  return { status: 200, body: await metrics.render(), headers: noStore }
}

/** The start page of the reference. */
export const getDocs: Endpoint<'getDocs'> = async ({ core }) => {
  const { body, headers } = core.service.docs.index
  return { status: 200, body, headers }
}

/** A contract's file, byte by byte. */
export const getContract: Endpoint<'getContract'> = async ({ core, params }) => {
  const source = core.service.docs.source(params.name)
  if (source === undefined) throw new DomainError('record_not_found', 'No such contract.')
  return { status: 200, body: source, headers: { 'cache-control': 'public, max-age=300' } }
}
