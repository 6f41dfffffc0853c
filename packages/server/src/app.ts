import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { MasterKey } from '#custody/master-key.ts'
import { type Randomness, systemRandomness } from '#custody/randomness.ts'
import { secretsEqual } from '#custody/secrets.ts'
import { AddressResolver, type AddressSource, systemAddresses } from '#delivery/address-resolver.ts'
import { Dispatcher } from '#delivery/dispatcher.ts'
import { DocumentHttp } from '#delivery/document-http.ts'
import { OutboundHttp } from '#delivery/outbound-http.ts'
import type { Clock } from '#domain/clock.ts'
import type { Core } from '#domain/core.ts'
import { OutboundRule } from '#domain/tenants/outbound-rule.ts'
import { type Contract, loadContract } from '#http/contract.ts'
import { Docs, mountDocs } from '#http/docs.ts'
import { createHttpServer } from '#http/server.ts'
import { openDatabase } from '#storage/database.ts'
import { mountAst } from '#surfaces/ast/index.ts'
import { mountDevice } from '#surfaces/device/index.ts'
import { mountDualshield } from '#surfaces/dualshield/index.ts'
import { mountKeyless } from '#surfaces/keyless/index.ts'
import { mountOkm } from '#surfaces/okm/index.ts'
import { mountOtpServer } from '#surfaces/otp-server/index.ts'
import { mountPlatform } from '#surfaces/platform/index.ts'
import { backgroundJobs } from './background-jobs.ts'
import { type ComposedCore, composeCore } from './compose-core.ts'
import { type Config, publicUrlOf, type Secrets } from './config.ts'
import { ConnectionDrain } from './connection-drain.ts'
import { Housekeeping } from './housekeeping.ts'
import { logResponse } from './logging.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { openPushWayOut } from './push-way-out.ts'

/** What the process is started with. */
export interface AppOptions {
  readonly config: Config
  readonly secrets: Secrets
  readonly masterKey: MasterKey
  /** Absent: nothing is logged. */
  readonly logger?: Logger
  /** For tests: the clock, the randomness and the way out. */
  readonly overrides?: {
    readonly clock?: Clock
    readonly randomness?: Randomness
    readonly addresses?: AddressSource
  }
}

/** The account that is made when nobody could administer the installation; its secret is told once. */
export interface Administrator {
  readonly serviceAccountId: string
  readonly secret: string
}

/** The whole server. */
export interface App extends AsyncDisposable {
  readonly version: string
  readonly core: Core
  readonly composed: ComposedCore
  readonly http: FastifyInstance
  readonly metrics: Metrics
  /**
   * Database, migrations, master key, administrator.
   *
   * @throws MasterKeyMismatchError, DatabaseInUseError, NewerSchemaError; whatever keeps the database from being opened.
   */
  prepare(): Promise<Administrator | undefined>
  /** @returns the address it listens on. */
  listen(): Promise<string>
  /** Stops taking requests, lets running ones finish, then closes everything. */
  close(): Promise<void>
}

const contractNames = ['platform', 'device', 'ast', 'dualshield', 'otp-server', 'keyless', 'okm']

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string }

/** Builds the server by plain constructors; nothing is served and nothing written before `prepare` and `listen`. */
export async function createApp(options: AppOptions): Promise<App> {
  const { config, secrets, masterKey, logger, overrides = {} } = options
  const { clock = Date.now, randomness = systemRandomness } = overrides
  const metrics = createMetrics()
  const database = openDatabase(secrets.databaseUrl.reveal(), { observer: metrics })
  let port = config.port
  const resolver = new AddressResolver(overrides.addresses ?? systemAddresses())
  const documents = new DocumentHttp({ rule: new OutboundRule(config.outboundAllow), resolver })
  const composed = composeCore({
    database,
    masterKey,
    clock,
    randomness,
    publicUrl: () => publicUrlOf(config, port),
    outboundAllow: config.outboundAllow,
    authFailuresPerMinute: config.authFailuresPerMinute,
    deviceRequestsPerMinute: config.deviceRequestsPerMinute,
    okm: {
      deviceTrust: config.okmDeviceTrust,
      unclaimedMax: config.okmUnclaimedMax,
      auditDestinationUrl: config.okmAuditDestUrl,
    },
    adminToken: secrets.adminToken?.reveal(),
    issuerKeys: { documents, outageMsMax: config.issuerOutageHours * 3_600_000 },
    observer: {
      countVerification: (result) => metrics.countVerification(result),
      countIssuerToken: (outcome) => metrics.countIssuerToken(outcome),
      countIssuerKeys: (outcome) => metrics.countIssuerKeys(outcome),
      backgroundFailed: (work, error) =>
        logger?.error({ err: error, work }, 'background work failed'),
    },
    listObserver: metrics,
  })
  const { core, storage, sealer, platform, pins } = composed
  const wayOut = new OutboundHttp({ rule: composed.outbound, resolver, clock })
  const push = openPushWayOut({ composed, config, resolver, clock, randomness })
  const dispatcher = new Dispatcher({
    storage,
    http: wayOut,
    kinds: [...composed.deliveryKinds, ...push.kinds],
    clock,
    randomness,
    observer: {
      messageSettled: (kind, outcome, seconds) => metrics.countDelivery(kind, outcome, seconds),
      deliveryFailed: (work, error) =>
        logger?.error({ err: error, work: `delivery: ${work}` }, 'background work failed'),
    },
  })
  metrics.watchQueue('commit', () => database.queueDepth())
  metrics.watchQueue('pin', () => pins.queueDepth)
  metrics.watchQueue('journal', () => storage.read.journal.countWaiting())
  metrics.watchQueue('outbox', () => storage.read.outbox.countWaiting())
  metrics.watchOldestDelivery(() => {
    const { oldestWaitingAtMs } = dispatcher
    return oldestWaitingAtMs && Math.max(0, clock() - oldestWaitingAtMs) / 1000
  })

  const housekeeping = new Housekeeping({
    storage,
    clock,
    holder: composed.holder,
    jobs: backgroundJobs(composed),
    jobFailed: (work, error) => logger?.error({ err: error, work }, 'background work failed'),
  })

  let isServing = false
  const http = createHttpServer({
    ids: composed.nextId,
    trustProxy: config.trustProxy.map(String),
    ...(logger === undefined ? {} : { logger }),
  })
  observeRequests(http, metrics, logger?.isLevelEnabled('debug') === true)
  const connections = new ConnectionDrain(http.server)
  const contracts = new Map<string, Contract>()
  const contractOf = (name: string): Contract => {
    const contract =
      contracts.get(name) ??
      loadContract(name, new URL(`surfaces/${name}/contract.openapi.yaml`, import.meta.url))
    contracts.set(name, contract)
    return contract
  }
  const docs = new Docs(() => contractNames.map(contractOf))
  const metricsToken = secrets.metricsToken
  mountPlatform(http, {
    contract: contractOf('platform'),
    core,
    service: {
      docs,
      metrics,
      isMetricsToken:
        metricsToken === undefined
          ? undefined
          : (token) => secretsEqual(token, metricsToken.reveal()),
      status: {
        version,
        isServing: () => isServing,
        checks: async () => ({
          database: await works(() => database.check()),
          custody: await works(() => platform.ensurePlatform()),
        }),
      },
    },
  })
  mountDocs(http, docs)
  if (config.surfaces.includes('ast')) {
    mountAst(http, {
      contract: contractOf('ast'),
      core,
      publicUrl: () => publicUrlOf(config, port),
    })
  }
  if (config.surfaces.includes('device')) {
    mountDevice(http, {
      contract: contractOf('device'),
      core,
      publicUrl: () => publicUrlOf(config, port),
      corsOrigins: config.corsOrigins,
    })
  }
  if (config.surfaces.includes('dualshield')) {
    mountDualshield(http, {
      contract: contractOf('dualshield'),
      core,
      clientCertHeader: config.clientCertHeader,
      trustedProxies: config.trustProxy,
      publicUrl: () => publicUrlOf(config, port),
    })
  }

  if (config.surfaces.includes('otp-server')) {
    mountOtpServer(http, { contract: contractOf('otp-server'), core })
  }
  if (config.surfaces.includes('keyless')) {
    mountKeyless(http, { contract: contractOf('keyless'), core, nodeId: config.nodeId })
  }
  if (config.surfaces.includes('okm')) {
    mountOkm(http, {
      contract: contractOf('okm'),
      core,
      clientCertHeader: config.clientCertHeader,
      trustedProxies: config.trustProxy,
    })
  }

  async function close(): Promise<void> {
    isServing = false
    core.eventFeed.close()
    documents.close()
    await connections.during(() => http.close())
    await Promise.all([housekeeping.stop(), dispatcher.stop()])
    push.close()
    await composed.usage.flush().catch(() => {})
    await composed.cabinets.contacts.flush().catch(() => {})
    await composed.refusals.flush({ final: true }).catch(() => {})
    await core.pki.issuance.stop()
    await sealer.stop()
    await database.close()
  }

  return {
    version,
    core,
    composed,
    http,
    metrics,
    async prepare() {
      await database.migrate()
      await platform.ensurePlatform()
      const administrator = await core.serviceAccounts.ensureAdministrator()
      return administrator === undefined
        ? undefined
        : { serviceAccountId: administrator.account.id, secret: administrator.secret }
    },
    async listen() {
      const address = await http.listen({ host: config.host, port })
      port = Number(new URL(address).port || 80)
      sealer.start()
      housekeeping.start()
      dispatcher.start()
      composed.listenToOthers()
      isServing = true
      return publicUrlOf({ ...config, publicUrl: undefined }, port)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function observeRequests(http: FastifyInstance, metrics: Metrics, logsAnswers: boolean): void {
  http.addHook('onResponse', (request, reply, done) => {
    const surface = request.routeOptions.config?.surface ?? 'none'
    const { statusCode } = reply
    const outcome = statusCode < 400 ? 'ok' : statusCode < 500 ? 'refused' : 'failed'
    metrics.observeRequest(surface, outcome, reply.elapsedTime / 1000)
    if (logsAnswers) logResponse(request, reply)
    done()
  })
}

async function works(check: () => Promise<unknown>): Promise<boolean> {
  try {
    await check()
    return true
  } catch {
    return false
  }
}
