import { DomainError } from '#domain/errors.ts'
import type { Docs } from '#http/docs.ts'
import type { Endpoint } from './endpoint.ts'

/** What the process tells of itself. */
export interface ServiceStatus {
  readonly version: string
  /** False while starting and while draining. */
  isServing(): boolean
  /** One entry for each thing that the server cannot do without; true: it works. */
  checks(): Promise<Readonly<Record<string, boolean>>>
}

export interface ServiceDependencies {
  readonly status: ServiceStatus
  readonly docs: Docs
  readonly metrics: { render(): Promise<string>; readonly contentType: string }
  /** Compares with COUNTERSIGN_METRICS_TOKEN in constant time; undefined: /metrics is open. */
  readonly isMetricsToken: ((token: string) => boolean) | undefined
}

/** The endpoints of tag `service`, which know the process rather than the core. */
export interface ServiceOperations {
  readonly getLiveness: Endpoint<'getLiveness'>
  readonly getReadiness: Endpoint<'getReadiness'>
  readonly getMetrics: Endpoint<'getMetrics'>
  readonly getDocs: Endpoint<'getDocs'>
  readonly getContract: Endpoint<'getContract'>
}

export function createServiceOperations({
  status,
  docs,
  metrics,
  isMetricsToken,
}: ServiceDependencies): ServiceOperations {
  const { version } = status
  return {
    getLiveness: async () => ({ status: 200, body: { status: 'ok', version } }),

    async getReadiness() {
      const results = Object.entries(await status.checks())
      const checks = Object.fromEntries(
        results.map(([name, works]) => [name, works ? ('ok' as const) : ('failed' as const)]),
      )
      const isReady = status.isServing() && results.every(([, works]) => works)
      return isReady
        ? { status: 200, body: { status: 'ok', version, checks } }
        : { status: 503, body: { status: 'unavailable', version, checks } }
    },

    async getMetrics({ request }) {
      const [scheme, token = ''] = (request.headers.authorization ?? '').split(' ')
      if (
        isMetricsToken !== undefined &&
        !(/^bearer$/i.test(scheme ?? '') && isMetricsToken(token))
      ) {
        throw new DomainError('unauthenticated', 'The metrics need their token.')
      }
      return { status: 200, body: await metrics.render(), headers: { 'cache-control': 'no-store' } }
    },

    async getDocs() {
      const { body, headers } = docs.index
      return { status: 200, body, headers }
    },

    async getContract({ params }) {
      const source = docs.source(params.name)
      if (source === undefined) throw new DomainError('record_not_found', 'No such contract.')
      return { status: 200, body: source, headers: { 'cache-control': 'public, max-age=300' } }
    },
  }
}
