import { randomBytes } from 'node:crypto'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { AddressRange } from '#domain/address-range.ts'
import { Caller } from '#domain/callers/caller.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { createHttpServer } from '#http/server.ts'
import { composeTestCore } from '#test/support/composed.ts'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { platformAdmin, type TestEngine } from '#test/support/core.ts'
import { writtenRecords } from '#test/support/journal.ts'
import { createTestStorage, type TestClock } from '#test/support/storage.ts'
import { mountDualshield } from './index.ts'

export const restPath = '/dualshield/das5/rest'
export const certificateHeader = 'Client-Cert'
const publicUrl = 'https://dps.example.com'

/** RFC 4226 appendix D, and the codes of its first counters. */
export const rfcSeedHex = '3132333435363738393031323334353637383930'
export const rfcCodes = ['755224', '287082', '359152', '969429', '338314', '254676', '287922']

/** A reply whose shape the contract has been held against. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly error: number
  readonly message: string
  // Every test knows what it asked for.
  // biome-ignore lint/suspicious/noExplicitAny: the results of 38 operations
  readonly result: any
}

/** An installation with two tenants, and an agent of the first that may do everything. */
export interface Installation extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly core: Core
  readonly clock: TestClock
  /** An administrator of the native API in `acme`. */
  readonly admin: Caller
  /** Calls a method as the agent; every reply is held against the contract. */
  call(method: string, body?: unknown, options?: { readonly agent?: string }): Promise<Answer>
  send(options: InjectOptions): Promise<Answer>
  /** @returns the account's id and secret. */
  addAgent(agent: {
    tenantId: string | null
    scopes: readonly Scope[]
    thumbprints?: readonly string[]
    addresses?: readonly string[]
  }): Promise<{ id: string; secret: string }>
  /** @returns a bearer token. */
  signIn(account: { id: string; secret: string }): Promise<string>
  /** A token with the RFC 4226 secret; HOTP of product DN/SE. @returns its id. */
  addRfcToken(serial: string): Promise<string>
  /** Ids, for what a test starts from. */
  create(method: string, attrs: object): Promise<string>
  /** What the journal says since the beginning, oldest first. */
  journal(): Promise<readonly { action: string; surface: string; detail: unknown }[]>
}

export async function createInstallation(
  options: { engine?: TestEngine } = {},
): Promise<Installation> {
  const test = await createTestStorage(options)
  const { clock, database } = test
  const { core, platform, nextId } = composeTestCore(database, {
    clock,
    publicUrl: () => publicUrl,
  })
  await platform.ensurePlatform()
  for (const id of ['acme', 'other']) await core.tenants.create(platformAdmin, { id, name: id })

  const contract = contractOf('dualshield')
  const app = createHttpServer({ ids: nextId })
  mountDualshield(app, {
    contract,
    core,
    clientCertHeader: certificateHeader,
    trustedProxies: [AddressRange.parse('127.0.0.0/8')].filter((range) => range !== undefined),
    publicUrl: () => publicUrl,
  })
  await app.ready()
  const links = ['/dualshield']
  const checker = createContractChecker([contract], {
    provisionInspect: links,
    provisionRedeem: links,
  })

  const installation: Omit<Installation, 'call'> & { agent: string } = {
    app,
    core,
    clock,
    admin: nativeCaller('acme'),
    agent: '',
    async send(request) {
      const reply = await app.inject(request)
      const { method = 'GET', url = '' } = request
      const path = typeof url === 'string' ? url : (url.pathname ?? '')
      const { statusCode: status, headers, body } = reply
      checker.check({ method, path, status, headers, body })
      const { error = -1, message = '', result } = body === '' ? {} : JSON.parse(body)
      return { status, headers, error, message, result }
    },
    async addAgent({ tenantId, scopes, thumbprints = [], addresses = [] }) {
      const id = `agent-${randomBytes(6).toString('hex')}`
      const caller = tenantId === null ? platformAdmin : nativeCaller(tenantId)
      const { secret } = await core.serviceAccounts.create(caller, {
        id,
        tenantId,
        description: 'DualShield agent',
        scopes,
        enabled: true,
        expiresAtMs: null,
        allowedAddresses: addresses,
        certificateThumbprints: thumbprints,
      })
      return { id, secret }
    },
    async signIn({ id, secret }) {
      const reply = await app.inject({
        method: 'POST',
        url: `${restPath}/oauth/token`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: `grant_type=client_credentials&client_id=${id}&client_secret=${secret}`,
      })
      return reply.json().access_token
    },
    async addRfcToken(serial) {
      const { error, result } = await call('token/import', {
        attrs: {
          product: { manufacturerCode: 'DN', productCode: 'SE' },
          encode: 'HEX',
          data: `serial number,secret key\n${serial},${rfcSeedHex}\n`,
        },
      })
      if (error !== 0) throw new Error(`The import answered ${error}.`)
      return result.rows[0].id
    },
    async create(method, attrs) {
      const { error, message, result } = await call(method, { attrs })
      if (error !== 0) throw new Error(`${method} answered ${error}: ${message}`)
      return result.id
    },
    journal: () => writtenRecords(database, 'acme'),
    async [Symbol.asyncDispose]() {
      await app.close()
      await test[Symbol.asyncDispose]()
    },
  }
  const call: Installation['call'] = (method, body = {}, { agent = installation.agent } = {}) =>
    installation.send({
      method: 'POST',
      url: `${restPath}/${method}`,
      headers: { authorization: `Bearer ${agent}`, 'content-type': 'application/json' },
      payload: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const everything = await installation.addAgent({
    tenantId: 'acme',
    scopes: ['dualshield:management', 'dualshield:authentication'],
  })
  installation.agent = await installation.signIn(everything)
  return { ...installation, call }
}

function nativeCaller(tenantId: string): Caller {
  return new Caller({
    type: 'SERVICE_ACCOUNT',
    id: 'native-admin',
    address: '127.0.0.1',
    surface: 'native',
    requestId: null,
    tenantId,
    scopes: ['tenant:write', 'verify', 'dualshield:management', 'dualshield:authentication'],
  })
}
