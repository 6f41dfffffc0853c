import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MasterKey } from '#custody/master-key.ts'
import { type App, createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { createLogger } from '../../src/logging.ts'
import { createContractChecker } from './contract-checker.ts'
import { contractOf } from './contract-files.ts'
import { testMasterKeyBytes } from './core.ts'
import { createTestClock, type TestClock } from './storage.ts'

/** A parsed JSON body; the contract checker has seen what its members are. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into replies of every shape
export type Json = any

export interface ApiReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Of a reply that is not JSON: its text. */
  readonly body: Json
  /** The body as it came. */
  readonly bytes: Buffer
}

export interface ApiRequest {
  /** An API secret or access token; null: none. Absent: the administrator's. */
  readonly as?: string | null
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON, a text as it is. */
  readonly body?: unknown
  /** Sent as a form. */
  readonly form?: Readonly<Record<string, string>> | string
  /** Sent as it is, under its own media type. */
  readonly raw?: { readonly contentType: string; readonly payload: Uint8Array }
  readonly address?: string
}

/** The whole server on a port of its own: configuration, core, surfaces; the clock stands still. */
export interface PlatformApi extends AsyncDisposable {
  readonly app: App
  readonly clock: TestClock
  /** Where it listens. */
  readonly origin: string
  /** Secret of the first administrator. */
  readonly adminSecret: string
  /** Calls an operation and holds the reply against the contract. @param target method and path. */
  call(target: `${string} /${string}`, request?: ApiRequest): Promise<ApiReply>
  /** Makes a tenant; its id. */
  createTenant(id: string): Promise<string>
  /** Makes an account; its secret. */
  createAccount(tenantId: string | null, scopes: readonly string[], id?: string): Promise<string>
}

/** @param env what the process would find in its environment beside the database. */
export async function createPlatformApi(env: Record<string, string> = {}): Promise<PlatformApi> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-test-'))
  const clock = createTestClock()
  const settings = readConfig(
    {
      COUNTERSIGN_DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
      COUNTERSIGN_PUBLIC_URL: 'https://countersign.test',
      COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: '0',
      COUNTERSIGN_DEVICE_REQUESTS_PER_MINUTE: '0',
      COUNTERSIGN_PORT: '0',
      // Lets a request say where it comes from.
      COUNTERSIGN_TRUST_PROXY: '127.0.0.1',
      ...env,
    },
    () => '',
  )
  const { config, secrets } = settings
  const masterKey = new MasterKey(testMasterKeyBytes)
  // Whatever a test answers with 500 is explained on its standard output.
  const logger = createLogger({ level: 'error', node: 'test' })
  const app = await createApp({ config, secrets, masterKey, logger, overrides: { clock } })
  const administrator = await app.prepare()
  const origin = await app.listen()
  const adminSecret = administrator?.secret ?? env.COUNTERSIGN_ADMIN_TOKEN ?? ''
  const checker = createContractChecker([contractOf('platform')])

  const api: PlatformApi = {
    app,
    clock,
    origin,
    adminSecret,
    async call(target, { as = adminSecret, headers = {}, body, form, raw, address } = {}) {
      const [method = '', path = ''] = target.split(' ')
      const sent = raw ?? payloadOf(body, form)
      const response = await fetch(origin + path, {
        method,
        redirect: 'manual',
        headers: {
          ...(as === null ? {} : { authorization: `Bearer ${as}` }),
          ...(sent === undefined ? {} : { 'content-type': sent.contentType }),
          ...(address === undefined ? {} : { 'x-forwarded-for': address }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: Buffer.from(sent.payload) }),
      })
      const { status } = response
      const bytes = Buffer.from(await response.arrayBuffer())
      const received = Object.fromEntries(response.headers)
      checker.check({ method, path, status, headers: received, body: bytes })
      const type = received['content-type'] ?? ''
      const text = bytes.toString('utf8')
      const read = text !== '' && type.includes('json') ? JSON.parse(text) : text || undefined
      return { status, headers: received, body: read, bytes }
    },
    async createTenant(id) {
      const { status, body } = await api.call('POST /api/v1/tenants', { body: { id, name: id } })
      if (status !== 201) throw new Error(JSON.stringify(body))
      return id
    },
    async createAccount(tenantId, scopes, id) {
      const { status, body } = await api.call('POST /api/v1/service-accounts', {
        body: { tenantId, scopes, ...(id === undefined ? {} : { id }) },
      })
      if (status !== 201) throw new Error(JSON.stringify(body))
      return body.secret
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return api
}

function payloadOf(
  body: unknown,
  form: ApiRequest['form'],
): { contentType: string; payload: string } | undefined {
  if (form !== undefined) {
    const payload = typeof form === 'string' ? form : new URLSearchParams(form).toString()
    return { contentType: 'application/x-www-form-urlencoded', payload }
  }
  if (body === undefined) return undefined
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  return { contentType: 'application/json', payload }
}

/** `Basic` with id and secret as they are. */
export function basic(id: string, secret: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
}
