import { hostname } from 'node:os'
import { z } from 'zod'
import { AddressRange } from '#domain/address-range.ts'
import { type PushEndpoints, pushEndpointNames, pushEndpoints } from '#push/endpoints.ts'
import {
  addressRanges,
  type DatabasePlace,
  databaseUrl,
  headerName,
  host,
  httpUrl,
  integer,
  isIpAddress,
  masterKey,
  nodeId,
  type OutboundAllow,
  oneOf,
  origin,
  origins,
  outboundAllow,
  placesOf,
  readCertificates,
  someOf,
  visibleAscii,
} from './config-values.ts'
import { Secret } from './secret.ts'

export const optionalSurfaces = [
  'ast',
  'dualshield',
  'otp-server',
  'keyless',
  'okm',
  'device',
] as const
export type OptionalSurface = (typeof optionalSurfaces)[number]

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

/** How the server knows that a call of a key cabinet comes from one. */
export type OkmDeviceTrust =
  | { readonly kind: 'allowlist'; readonly ranges: readonly AddressRange[] }
  /** `caCertificates`: PEM; empty when only the tenants' own authorities count. */
  | { readonly kind: 'mtls'; readonly caCertificates: readonly string[] }
  | { readonly kind: 'open' }

/** All settings that may be logged. */
export interface Config {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  readonly database: DatabasePlace
  /** The file that holds the master key, made on first start; undefined when `Secrets` has the key. */
  readonly masterKeyFile: string | undefined
  /** Origin; undefined: `http://<host>:<port>` of the socket, see `publicUrlOf`. */
  readonly publicUrl: string | undefined
  readonly logLevel: LogLevel
  readonly corsOrigins: readonly string[]
  readonly trustProxy: readonly AddressRange[]
  /** Lower case. */
  readonly clientCertHeader: string | undefined
  readonly surfaces: readonly OptionalSurface[]
  readonly outboundAllow: OutboundAllow
  /** For the addresses of Web Push subscriptions, which devices name. */
  readonly pushAllow: OutboundAllow
  readonly pushEndpoints: PushEndpoints
  readonly okmDeviceTrust: OkmDeviceTrust
  readonly okmUnclaimedMax: number
  readonly okmAuditDestUrl: string | undefined
  readonly nodeId: string
  readonly shutdownSeconds: number
  /** 0: no limit. */
  readonly authFailuresPerMinute: number
  /** Of one device; of its logins a quarter. 0: no limit. */
  readonly deviceRequestsPerMinute: number
  /** How long the last good keys of a trusted issuer count that cannot be reached. */
  readonly issuerOutageHours: number
}

/** All settings that may not. */
export interface Secrets {
  /** Whole, with its password. */
  readonly databaseUrl: Secret<string>
  /** 32 bytes. */
  readonly masterKey: Secret<Uint8Array> | undefined
  readonly adminToken: Secret<string> | undefined
  readonly metricsToken: Secret<string> | undefined
}

export interface ConfigFault {
  readonly variable: string
  readonly problem: string
}

export interface Settings {
  readonly config: Config
  readonly secrets: Secrets
  /** Settings that work and are unwise, a sentence each. */
  readonly warnings: readonly string[]
}

/** The environment cannot be used; `faults` has everything that is wrong with it and no value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly ConfigFault[]

  constructor(faults: readonly ConfigFault[]) {
    super('configuration invalid')
    this.faults = faults
  }
}

/** docs/contracts/platform.md, section 1, in its order. */
const variables = z.object({
  COUNTERSIGN_HOST: host.default('127.0.0.1'),
  COUNTERSIGN_PORT: integer({ min: 0, max: 65_535 }).default(8080),
  COUNTERSIGN_DATABASE_URL: databaseUrl.prefault('sqlite:./data/countersign.db'),
  COUNTERSIGN_MASTER_KEY: masterKey.optional(),
  COUNTERSIGN_ADMIN_TOKEN: visibleAscii({ min: 24, max: 255 }).optional(),
  COUNTERSIGN_PUBLIC_URL: origin.optional(),
  COUNTERSIGN_LOG_LEVEL: oneOf(logLevels).default('info'),
  COUNTERSIGN_CORS_ORIGINS: origins.default([]),
  COUNTERSIGN_TRUST_PROXY: addressRanges.default([]),
  COUNTERSIGN_CLIENT_CERT_HEADER: headerName.optional(),
  COUNTERSIGN_SURFACES: someOf(optionalSurfaces).default([...optionalSurfaces]),
  COUNTERSIGN_OUTBOUND_ALLOW: outboundAllow.default({ hosts: [], ranges: [] }),
  COUNTERSIGN_PUSH_ALLOW: outboundAllow.default({ hosts: [], ranges: [] }),
  COUNTERSIGN_PUSH_ENDPOINTS: placesOf(pushEndpointNames).default([]),
  COUNTERSIGN_OKM_DEVICE_TRUST: oneOf(['allowlist', 'mtls', 'open']).default('allowlist'),
  COUNTERSIGN_OKM_DEVICE_ALLOW: addressRanges.prefault(
    '127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7',
  ),
  COUNTERSIGN_OKM_DEVICE_CA: z.string().optional(),
  COUNTERSIGN_OKM_UNCLAIMED_MAX: integer({ min: 0, max: 1_000_000 }).default(1000),
  COUNTERSIGN_OKM_AUDIT_DEST_URL: httpUrl.optional(),
  COUNTERSIGN_NODE_ID: nodeId.prefault(() => defaultNodeId()),
  COUNTERSIGN_SHUTDOWN_SECONDS: integer({ min: 0, max: 3600 }).default(10),
  COUNTERSIGN_METRICS_TOKEN: visibleAscii({ min: 1, max: 255 }).optional(),
  COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: integer({ min: 0, max: 1_000_000 }).default(60),
  COUNTERSIGN_DEVICE_REQUESTS_PER_MINUTE: integer({ min: 0, max: 1_000_000 }).default(120),
  COUNTERSIGN_ISSUER_OUTAGE_HOURS: integer({ min: 0, max: 720 }).default(24),
})

type Name = keyof typeof variables.shape
type Values = z.output<typeof variables>

const prefix = 'COUNTERSIGN_'
const fileSuffix = '_FILE'
const secretNames: readonly Name[] = [
  'COUNTERSIGN_DATABASE_URL',
  'COUNTERSIGN_MASTER_KEY',
  'COUNTERSIGN_ADMIN_TOKEN',
  'COUNTERSIGN_METRICS_TOKEN',
]
const defaultMasterKeyFile = './data/master.key'

/** Every name that the server understands, `_FILE` forms included. */
export const variableNames: readonly string[] = [
  ...Object.keys(variables.shape),
  ...secretNames.map((name) => name + fileSuffix),
]

/**
 * Reads the whole configuration; nothing else reads the environment.
 *
 * @param readFile gives the text of a file or throws.
 * @throws ConfigError with all faults at once.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
): Settings {
  const faults: ConfigFault[] = []
  const texts = collectTexts(env, readFile, faults)
  const certificates = collectCertificates(texts, readFile, faults)
  if (isPostgres(texts) && !env.COUNTERSIGN_MASTER_KEY && !env.COUNTERSIGN_MASTER_KEY_FILE) {
    faults.push({ variable: 'COUNTERSIGN_MASTER_KEY', problem: 'must be given with PostgreSQL' })
  }

  const parsed = variables.safeParse(texts)
  for (const { path, message } of parsed.error?.issues ?? []) {
    faults.push({ variable: String(path[0]), problem: message })
  }
  if (!parsed.success || faults.length > 0) throw new ConfigError(sorted(faults))

  const config = toConfig(parsed.data, certificates)
  return { config, secrets: toSecrets(parsed.data), warnings: warningsOf(parsed.data, config) }
}

/** Where clients find the server; `port` is the one the socket has. */
export function publicUrlOf({ host, publicUrl }: Config, port: number): string {
  return publicUrl ?? `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The texts of all known variables, those of `_FILE` forms read; a text with a fault of its own is left out. */
function collectTexts(
  env: Readonly<Record<string, string | undefined>>,
  readFile: (path: string) => string,
  faults: ConfigFault[],
): Partial<Record<string, string>> {
  const texts: Partial<Record<string, string>> = {}
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(prefix) || text === undefined) continue
    if (!variableNames.includes(variable)) {
      faults.push({ variable, problem: 'is not a known variable' })
      continue
    }
    const isFile = variable.endsWith(fileSuffix)
    const name = isFile ? variable.slice(0, -fileSuffix.length) : variable
    if (isFile && env[name] !== undefined) {
      faults.push({ variable, problem: `is given together with ${name}; give one of them` })
    } else if (isFile) {
      const content = tryRead(readFile, text)
      if (content === undefined)
        faults.push({ variable, problem: 'names a file that cannot be read' })
      else texts[name] = content.replace(/\r?\n$/, '')
    } else {
      texts[name] = text
    }
  }
  return texts
}

function collectCertificates(
  texts: Partial<Record<string, string>>,
  readFile: (path: string) => string,
  faults: ConfigFault[],
): readonly string[] {
  const variable = 'COUNTERSIGN_OKM_DEVICE_CA' satisfies Name
  const path = texts[variable]
  if (path === undefined) return []
  const pem = tryRead(readFile, path)
  const certificates = pem === undefined ? undefined : readCertificates(pem)
  if (certificates) return certificates
  const problem =
    pem === undefined
      ? 'names a file that cannot be read'
      : 'must name a file of certificates in PEM form'
  faults.push({ variable, problem })
  return []
}

function tryRead(readFile: (path: string) => string, path: string): string | undefined {
  try {
    return readFile(path)
  } catch {
    return undefined
  }
}

function isPostgres(texts: Partial<Record<string, string>>): boolean {
  return /^postgres(ql)?:/.test(texts.COUNTERSIGN_DATABASE_URL ?? '')
}

function toConfig(values: Values, caCertificates: readonly string[]): Config {
  return {
    host: values.COUNTERSIGN_HOST,
    port: values.COUNTERSIGN_PORT,
    database: values.COUNTERSIGN_DATABASE_URL.place,
    masterKeyFile: values.COUNTERSIGN_MASTER_KEY ? undefined : defaultMasterKeyFile,
    publicUrl: values.COUNTERSIGN_PUBLIC_URL,
    logLevel: values.COUNTERSIGN_LOG_LEVEL,
    corsOrigins: values.COUNTERSIGN_CORS_ORIGINS,
    trustProxy: values.COUNTERSIGN_TRUST_PROXY,
    clientCertHeader: values.COUNTERSIGN_CLIENT_CERT_HEADER,
    surfaces: values.COUNTERSIGN_SURFACES,
    outboundAllow: values.COUNTERSIGN_OUTBOUND_ALLOW,
    pushAllow: values.COUNTERSIGN_PUSH_ALLOW,
    pushEndpoints: {
      ...pushEndpoints,
      ...Object.fromEntries(values.COUNTERSIGN_PUSH_ENDPOINTS.map(({ name, url }) => [name, url])),
    },
    okmDeviceTrust: toDeviceTrust(values, caCertificates),
    okmUnclaimedMax: values.COUNTERSIGN_OKM_UNCLAIMED_MAX,
    okmAuditDestUrl: values.COUNTERSIGN_OKM_AUDIT_DEST_URL,
    nodeId: values.COUNTERSIGN_NODE_ID,
    shutdownSeconds: values.COUNTERSIGN_SHUTDOWN_SECONDS,
    authFailuresPerMinute: values.COUNTERSIGN_AUTH_FAILURES_PER_MINUTE,
    deviceRequestsPerMinute: values.COUNTERSIGN_DEVICE_REQUESTS_PER_MINUTE,
    issuerOutageHours: values.COUNTERSIGN_ISSUER_OUTAGE_HOURS,
  }
}

function toDeviceTrust(values: Values, caCertificates: readonly string[]): OkmDeviceTrust {
  const kind = values.COUNTERSIGN_OKM_DEVICE_TRUST
  switch (kind) {
    case 'allowlist':
      return { kind, ranges: values.COUNTERSIGN_OKM_DEVICE_ALLOW }
    case 'mtls':
      return { kind, caCertificates }
    case 'open':
      return { kind }
  }
}

function toSecrets(values: Values): Secrets {
  return {
    databaseUrl: new Secret(values.COUNTERSIGN_DATABASE_URL.url),
    masterKey: secretOf(values.COUNTERSIGN_MASTER_KEY),
    adminToken: secretOf(values.COUNTERSIGN_ADMIN_TOKEN),
    metricsToken: secretOf(values.COUNTERSIGN_METRICS_TOKEN),
  }
}

function secretOf<T>(value: T | undefined): Secret<T> | undefined {
  return value === undefined ? undefined : new Secret(value)
}

function warningsOf(values: Values, config: Config): readonly string[] {
  const warnings: string[] = []
  const { protocol, hostname } = new URL(publicUrlOf(config, config.port))
  if (protocol === 'http:' && !isLoopback(hostname)) {
    warnings.push(
      'The public URL is http on a host that is not loopback: secrets cross the network in clear text.',
    )
  }
  if (config.okmDeviceTrust.kind === 'open') {
    warnings.push(
      'COUNTERSIGN_OKM_DEVICE_TRUST is open: the serial is the only identity of a key cabinet.',
    )
  }
  const isCertificateHeaderBelieved =
    config.clientCertHeader !== undefined && config.trustProxy.length > 0
  if (config.clientCertHeader !== undefined && !isCertificateHeaderBelieved) {
    warnings.push('COUNTERSIGN_CLIENT_CERT_HEADER has no effect without COUNTERSIGN_TRUST_PROXY.')
  }
  if (config.okmDeviceTrust.kind === 'mtls' && !isCertificateHeaderBelieved) {
    warnings.push(
      'COUNTERSIGN_OKM_DEVICE_TRUST is mtls, but no proxy passes certificates: every key cabinet is refused.',
    )
  }
  if (values.COUNTERSIGN_OKM_DEVICE_CA !== undefined && config.okmDeviceTrust.kind !== 'mtls') {
    warnings.push(
      'COUNTERSIGN_OKM_DEVICE_CA has no effect unless COUNTERSIGN_OKM_DEVICE_TRUST is mtls.',
    )
  }
  return warnings
}

/** @param host of a URL, so IPv6 in brackets. */
function isLoopback(host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '')
  if (!isIpAddress(address)) return address === 'localhost' || address.endsWith('.localhost')
  return address === '::1' || AddressRange.parse('127.0.0.0/8')?.contains(address) === true
}

/** The host's name, with what a node id may not hold replaced. */
function defaultNodeId(): string {
  return (
    hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 64) || 'node'
  )
}

function sorted(faults: readonly ConfigFault[]): readonly ConfigFault[] {
  return faults.toSorted((one, other) => (one.variable < other.variable ? -1 : 1))
}
