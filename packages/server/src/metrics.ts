import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { IssuerTokenOutcome } from '#domain/callers/issuer-authenticator.ts'
import type { ListChange } from '#domain/otp-lists/list-changes.ts'
import type { Settlement } from '#domain/outbox/delivery-kind.ts'
import type { VerificationResult } from '#domain/verification/verification.ts'

/** `refused`: the client was told no, by 4xx or in a surface's words under 200; `failed`: the server could not decide. */
export type RequestOutcome = 'ok' | 'refused' | 'failed'

export type DatabaseOperation = 'read' | 'commit'

/** Records that wait for the sealer, PIN hashes for a worker, units for the writer, messages for their receiver. */
export type QueueName = 'journal' | 'pin' | 'commit' | 'outbox'

/**
 * What the server counts about itself. Labels have closed sets of values: none carries a user, a serial or a code, and no
 * client can make the answer grow.
 */
export interface Metrics {
  /** @param surface name of a contract. */
  observeRequest(surface: string, outcome: RequestOutcome, seconds: number): void
  countVerification(result: VerificationResult): void
  countListChanges(change: ListChange, count: number): void
  countIssuerToken(outcome: IssuerTokenOutcome): void
  countIssuerKeys(outcome: 'fetched' | 'failed'): void
  observeDatabase(operation: DatabaseOperation, seconds: number): void
  /** @param seconds of the attempt; undefined when nothing was sent. */
  countDelivery(kind: string, outcome: Settlement['outcome'], seconds: number | undefined): void
  /** `ageSeconds` is asked at each scrape; undefined while nothing waits. */
  watchOldestDelivery(ageSeconds: () => number | undefined): void
  /** `depth` is asked at each scrape; if it fails, the queue is missing from that scrape. */
  watchQueue(queue: QueueName, depth: () => number | Promise<number>): void
  /** Adds memory, processor, garbage collection and event-loop delay of the process; once a process. */
  watchProcess(): void
  /** The text of `GET /metrics`. */
  render(): Promise<string>
  readonly contentType: string
}

const requestBucketsSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
const databaseBucketsSeconds = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
]

/** Metrics with a registry of their own, so that several servers in one process do not mix. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const requests = new Counter({
    name: 'countersign_http_requests_total',
    help: 'Requests answered, by surface and outcome.',
    labelNames: ['surface', 'outcome'],
    registers,
  })
  const durations = new Histogram({
    name: 'countersign_http_request_duration_seconds',
    help: 'Time from a request to its answer, by surface.',
    labelNames: ['surface'],
    buckets: requestBucketsSeconds,
    registers,
  })
  const verifications = new Counter({
    name: 'countersign_verifications_total',
    help: 'Verifications of one-time passwords, by result.',
    labelNames: ['result'],
    registers,
  })
  const listChanges = new Counter({
    name: 'countersign_otp_lists_total',
    help: 'Printed lists that were made, given to users, used for the first time, due for renewal, removed.',
    labelNames: ['change'],
    registers,
  })
  const issuerTokens = new Counter({
    name: 'countersign_issuer_tokens_total',
    help: 'Tokens of trusted issuers, by outcome; undecided: the keys could not be fetched.',
    labelNames: ['outcome'],
    registers,
  })
  const issuerKeys = new Counter({
    name: 'countersign_issuer_key_fetches_total',
    help: 'Attempts to fetch the keys of trusted issuers, by outcome.',
    labelNames: ['outcome'],
    registers,
  })
  const databaseTimes = new Histogram({
    name: 'countersign_database_duration_seconds',
    help: 'Time of database work: reads, and commits with their wait for the disk.',
    labelNames: ['operation'],
    buckets: databaseBucketsSeconds,
    registers,
  })

  const deliveries = new Counter({
    name: 'countersign_deliveries_total',
    help: 'Attempts to deliver, and messages given up, by kind and outcome.',
    labelNames: ['kind', 'outcome'],
    registers,
  })
  const deliveryTimes = new Histogram({
    name: 'countersign_delivery_duration_seconds',
    help: 'Time of attempts to deliver, by kind.',
    labelNames: ['kind'],
    buckets: requestBucketsSeconds,
    registers,
  })
  let oldestDelivery: () => number | undefined = () => undefined
  new Gauge({
    name: 'countersign_outbox_oldest_seconds',
    help: 'Age of the oldest message that is next in its queue.',
    registers,
    collect() {
      this.set(oldestDelivery() ?? 0)
    },
  })

  const queues = new Map<QueueName, () => number | Promise<number>>()
  new Gauge({
    name: 'countersign_queue_depth',
    help: 'Work that waits, by queue.',
    labelNames: ['queue'],
    registers,
    async collect() {
      for (const [queue, depth] of queues) {
        try {
          this.set({ queue }, await depth())
        } catch {
          this.remove({ queue })
        }
      }
    },
  })

  return {
    observeRequest(surface, outcome, seconds) {
      requests.inc({ surface, outcome })
      durations.observe({ surface }, seconds)
    },
    countVerification: (result) => verifications.inc({ result }),
    countListChanges: (change, count) => listChanges.inc({ change }, count),
    countIssuerToken: (outcome) => issuerTokens.inc({ outcome }),
    countIssuerKeys: (outcome) => issuerKeys.inc({ outcome }),
    observeDatabase: (operation, seconds) => databaseTimes.observe({ operation }, seconds),
    countDelivery(kind, outcome, seconds) {
      deliveries.inc({ kind, outcome })
      if (seconds !== undefined) deliveryTimes.observe({ kind }, seconds)
    },
    watchOldestDelivery(ageSeconds) {
      oldestDelivery = ageSeconds
    },
    watchQueue: (queue, depth) => void queues.set(queue, depth),
    watchProcess: () => collectDefaultMetrics({ register: registry }),
    render: () => registry.metrics(),
    contentType: registry.contentType,
  }
}
