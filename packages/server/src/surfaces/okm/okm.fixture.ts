import type { FastifyInstance, InjectOptions } from 'fastify'
import { AddressRange } from '#domain/address-range.ts'
import type { DeviceTrustRule } from '#domain/cabinets/device-trust.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import type { Method } from '#http/contract.ts'
import { createHttpServer } from '#http/server.ts'
import { statement } from '#storage/statement.ts'
import { composeTestCore } from '#test/support/composed.ts'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { platformAdmin, type TestEngine, testCaller } from '#test/support/core.ts'
import { writtenRecords } from '#test/support/journal.ts'
import { createTestStorage, type TestClock } from '#test/support/storage.ts'
import type { ComposedCore } from '../../compose-core.ts'
import { mountOkm } from './index.ts'

/** Where the surface is served. */
export const base = '/okm/api/v1'
/** Two customers that know nothing of each other. */
export const customers = ['invu', 'acme'] as const
export const certificateHeader = 'Client-Cert'

/** Everything that an account of a customer can be allowed to do here. */
export const customerScopes: readonly Scope[] = [
  'okms:write',
  'acls:write',
  'acl-okms:write',
  'firmware:read',
  'audit:subscribe',
]

export const sampleSerial = '0203cc1fc4123456'

/** A call of every operation that fits its path, and the names of the credentials that it takes. */
export const operationSamples = contractOf('okm').operations.map((operation) => ({
  operation,
  schemes: operation.security.flatMap(Object.keys),
  method: operation.method,
  path: operation.path
    .replace('{serialNumber}', sampleSerial)
    .replace('{action}', 'pause')
    .replace(/\{(aclOkm|firmware|token)Id\}/, '0b3c8f3e-2f6c-4f1e-8f0a-5a8f4a4d9c21')
    .replace(/\{\w+\}/, 'X1'),
}))

/** A reply whose shape the contract has been held against. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly text: string
  // Every test knows what it asked for.
  // biome-ignore lint/suspicious/noExplicitAny: the bodies of 34 operations
  readonly body: any
}

export interface CallOptions {
  /** Token; default: that of the first customer. `''`: none. */
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Default: {@link base}. */
  readonly base?: string
  /** Where the call comes from; default 127.0.0.1. */
  readonly address?: string
}

/** An installation with two customers. */
export interface OkmInstallation extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly core: Core
  readonly composed: ComposedCore
  readonly clock: TestClock
  /** Tokens of accounts with {@link customerScopes}, by customer. */
  readonly tokens: Readonly<Record<(typeof customers)[number], string>>
  /** Calls as the first customer; every reply is held against the contract. */
  call(method: Method, path: string, body?: unknown, options?: CallOptions): Promise<Answer>
  /** As a cabinet, which has no token. A Buffer is sent as bytes. */
  device(method: Method, path: string, body?: unknown, options?: CallOptions): Promise<Answer>
  send(options: InjectOptions): Promise<Answer>
  /** @returns the secret of a new account; of the platform when the tenant is null. */
  addAccount(tenantId: string | null, scopes: readonly Scope[]): Promise<string>
  /** What waits to be sent for a tenant, oldest first. */
  waiting(tenantId: string): Promise<readonly { kind: string; target: string }[]>
  /** What the journal of a tenant says since the beginning, oldest first. */
  journal(tenantId: string): Promise<readonly { action: string; text: string }[]>
}

const outgoing = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('outbox')
    .select(['kind', 'target'])
    .where('tenant_id', '=', p.tenantId)
    .where('status', '=', 'WAITING')
    .orderBy('id')
    .orderBy('target'),
)

export async function createOkmInstallation(
  options: {
    engine?: TestEngine
    deviceTrust?: DeviceTrustRule
    trustProxy?: readonly string[]
    authFailuresPerMinute?: number
    auditDestinationUrl?: string
  } = {},
): Promise<OkmInstallation> {
  const { deviceTrust = loopbackOnly(), trustProxy = [] } = options
  const test = await createTestStorage(options)
  const { clock, database } = test
  const composed = composeTestCore(database, {
    clock,
    publicUrl: () => 'https://cabinets.example.com',
    authFailuresPerMinute: options.authFailuresPerMinute ?? 0,
    okm: { deviceTrust, unclaimedMax: 1000, auditDestinationUrl: options.auditDestinationUrl },
  })
  const { core, platform, nextId } = composed
  await platform.ensurePlatform()
  for (const id of customers) await core.tenants.create(platformAdmin, { id, name: id })

  const contract = contractOf('okm')
  const app = createHttpServer({ ids: nextId, trustProxy })
  mountOkm(app, {
    contract,
    core,
    clientCertHeader: certificateHeader,
    trustedProxies: trustProxy.flatMap((text) => AddressRange.parse(text) ?? []),
  })
  await app.ready()
  const checker = createContractChecker([contract])

  const addAccount: OkmInstallation['addAccount'] = async (tenantId, scopes) => {
    const caller = tenantId === null ? platformAdmin : testCaller(tenantId, ['tenant:write'])
    return (await core.serviceAccounts.create(caller, { tenantId, scopes })).secret
  }
  const send: OkmInstallation['send'] = async (request) => {
    const reply = await app.inject(request)
    const { method = 'GET', url = '' } = request
    const { statusCode: status, headers, body: text } = reply
    checker.check({ method, path: String(url), status, headers, body: text })
    return { status, headers, text, body: text === '' ? undefined : JSON.parse(text) }
  }
  const callWith = (
    method: Method,
    path: string,
    body: unknown,
    { headers = {}, address = '127.0.0.1', ...more }: CallOptions,
  ): Promise<Answer> =>
    send({
      method,
      url: `${more.base ?? base}${path}`,
      remoteAddress: address,
      headers: { ...contentTypeOf(body), ...headers },
      ...(body === undefined ? {} : { payload: payloadOf(body) }),
    })
  const tokens = {
    invu: await addAccount('invu', customerScopes),
    acme: await addAccount('acme', customerScopes),
  }
  return {
    app,
    core,
    composed,
    clock,
    tokens,
    send,
    addAccount,
    call: (method, path, body, { token = tokens.invu, headers, ...more } = {}) => {
      const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }
      return callWith(method, path, body, { headers: { ...authorization, ...headers }, ...more })
    },
    device: (method, path, body, more = {}) => callWith(method, path, body, more),
    waiting: (tenantId) => database.reader.all(outgoing, { tenantId }),
    async journal(tenantId) {
      const records = await writtenRecords(database, tenantId)
      return records.map((record) => ({ action: record.action, text: JSON.stringify(record) }))
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await test[Symbol.asyncDispose]()
    },
  }
}

export function rangesOf(...texts: readonly string[]): readonly AddressRange[] {
  return texts.flatMap((text) => AddressRange.parse(text) ?? [])
}

function loopbackOnly(): DeviceTrustRule {
  return { kind: 'allowlist', ranges: rangesOf('127.0.0.0/8') }
}

/** A text is sent as it is, to be able to send what is no JSON. */
function payloadOf(body: unknown): string | Buffer {
  return typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body)
}

function contentTypeOf(body: unknown): Readonly<Record<string, string>> {
  if (body === undefined) return {}
  const type = body instanceof Buffer ? 'application/octet-stream' : 'application/json'
  return { 'content-type': type }
}

/** The statuses of replies that came in any order, the smallest first. */
export function statusesOf(replies: readonly Answer[]): number[] {
  return replies.map(({ status }) => status).sort((one, other) => one - other)
}
