import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { type TestEngine, testCaller, testMasterKeyBytes } from '#test/support/core.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import type { TestClock } from '#test/support/storage.ts'
import { addTestUser, createCode, enrolDevice, type TestDevice } from '#test/support/test-device.ts'

export interface Answer {
  readonly status: number
  readonly location: unknown
  /** X-Total-Count. */
  readonly totalCount: unknown
  readonly cacheControl: unknown
  readonly body: Json
}

export interface CallOptions {
  /** Default: all rights of the surface in the first tenant. */
  readonly token?: string
  readonly body?: unknown
}

/** A whole server with two tenants, whose users have devices with real keys. */
export interface ClientsInstallation extends AsyncDisposable {
  readonly api: PlatformApi
  readonly databaseUrl: string
  readonly core: Core
  readonly clock: TestClock
  readonly admin: string
  readonly reader: string
  /** All rights in the second tenant. */
  readonly stranger: string
  /** Calls below `/ast/v1/tenants/acme`, or the whole path after `/ast`; every reply is held against the contract. */
  call(target: `${string} /${string}`, options?: CallOptions): Promise<Answer>
  addUser(id: string, tenantId?: string): Promise<void>
  /** A device with biometric key and certificate that is logged in for a user, who is made first if need be. */
  addDevice(userId: string, options?: { tenantId?: string }): Promise<TestDevice>
  /** Links another user to a device. */
  link(device: TestDevice, userId: string): Promise<void>
}

export async function createClientsInstallation(
  options: { engine?: TestEngine; env?: Record<string, string> } = {},
): Promise<ClientsInstallation> {
  const ownDatabase = options.engine === 'postgres' ? await createTestDatabase() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'countersign-ast-'))
  const databaseUrl = ownDatabase?.url ?? `sqlite:${join(folder, 'test.db')}`
  const api = await createPlatformApi({
    COUNTERSIGN_DATABASE_URL: databaseUrl,
    COUNTERSIGN_MASTER_KEY: Buffer.from(testMasterKeyBytes).toString('base64'),
    ...options.env,
  })
  const { core, http } = api.app
  const checker = createContractChecker([contractOf('ast')])
  for (const id of ['acme', 'shop']) await api.createTenant(id)
  const account = (tenantId: string, scopes: readonly Scope[]) =>
    api.createAccount(tenantId, scopes)
  const admin = await account('acme', ['ast:write'])

  const addUser: ClientsInstallation['addUser'] = (id, tenantId = 'acme') =>
    addTestUser(api, tenantId, id)
  return {
    api,
    databaseUrl,
    core,
    clock: api.clock,
    admin,
    reader: await account('acme', ['ast:read']),
    stranger: await account('shop', ['ast:write']),
    addUser,
    async call(target, { token = admin, body } = {}) {
      const [method = '', given = ''] = target.split(' ')
      const path = given.startsWith('/v1/') ? `/ast${given}` : `/ast/v1/tenants/acme${given}`
      const reply = await http.inject({
        method: method as 'GET',
        url: path,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined
          ? {}
          : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const { statusCode: status, headers, body: text } = reply
      checker.check({ method, path, status, headers, body: text })
      const { location, 'x-total-count': totalCount, 'cache-control': cacheControl } = headers
      const answer = text === '' ? undefined : JSON.parse(text)
      return { status, location, totalCount, cacheControl, body: answer }
    },
    async addDevice(userId, { tenantId = 'acme' } = {}) {
      const native = testCaller(tenantId, ['tenant:write'])
      const isThere = await core.users.get(native, tenantId, userId).catch(() => undefined)
      if (isThere === undefined) await addUser(userId, tenantId)
      const pin = '1234'
      const device = await enrolDevice(api, { tenantId, userId }, { pin })
      await expectDone(device.login({ pin }))
      await expectDone(device.certify())
      return device
    },
    async link(device, userId) {
      const code = await createCode(api, device.tenantId, userId)
      await expectDone(device.link(code, { pin: '1234' }))
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await ownDatabase?.drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function expectDone(reply: Promise<{ readonly status: number; readonly body: Json }>) {
  const { status, body } = await reply
  if (status >= 300) throw new Error(JSON.stringify(body))
}
