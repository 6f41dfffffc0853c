import type { Docs } from '#http/docs.ts'

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
