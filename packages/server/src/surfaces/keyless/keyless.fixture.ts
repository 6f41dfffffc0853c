import type { InjectOptions } from 'fastify'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import type { SettingsPatch } from '#domain/tenants/settings.ts'
import type { Method } from '#http/contract.ts'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { type TestEngine, testCaller, testMasterKeyBytes } from '#test/support/core.ts'
import { createPlatformApi, type Json, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import type { TestClock } from '#test/support/storage.ts'
import { TestDevice } from '#test/support/test-device.ts'

/** A reply that has been held against the contract. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly text: string
  readonly body: Json
}

export interface Sending {
  readonly body?: unknown
  /** Sent as it is. */
  readonly payload?: string | Buffer
  /** `X-Api-Key`; that of the first customer unless said otherwise, null: none. */
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

/** A device and its user as a backend knows them. */
export interface Enrolled {
  readonly device: TestDevice
  /** Upper-case hex. */
  readonly userId: string
  /** The native id of the user. */
  readonly nativeId: string
}

/** A server with two customers, `acme` and `other`. */
export interface Installation extends AsyncDisposable {
  readonly api: PlatformApi
  readonly core: Core
  readonly clock: TestClock
  readonly keys: Readonly<Record<'acme' | 'other', string>>
  /** @param target method and path below `/keyless`. */
  call(target: `${string} /${string}`, sending?: Sending): Promise<Answer>
  send(options: InjectOptions): Promise<Answer>
  addAccount(tenantId: string | null, scopes: readonly Scope[]): Promise<string>
  /** A user without a device. @returns the Keyless id. */
  addUser(draft?: {
    id?: string
    external?: string
    keyless?: string
    tenantId?: string
  }): Promise<string>
  /** Enrols a device by a code, for a new user unless said otherwise, with PIN 1234 and a biometric key. */
  enrol(options?: {
    nativeId?: string
    externalUserId?: string
    tenantId?: string
    isLoggedIn?: boolean
  }): Promise<Enrolled>
  patchSettings(patch: SettingsPatch): Promise<void>
  /** Gives every record its place in the journal. */
  seal(): Promise<void>
}

export async function createInstallation(
  options: { engine?: TestEngine; env?: Record<string, string> } = {},
): Promise<Installation> {
  const ownDatabase = options.engine === 'postgres' ? await createTestDatabase() : undefined
  const api = await createPlatformApi({
    ...(ownDatabase === undefined
      ? {}
      : {
          COUNTERSIGN_DATABASE_URL: ownDatabase.url,
          COUNTERSIGN_MASTER_KEY: Buffer.from(testMasterKeyBytes).toString('base64'),
        }),
    COUNTERSIGN_NODE_ID: 'countersign-1',
    ...options.env,
  })
  const { core, composed, http } = api.app
  const checker = createContractChecker([contractOf('keyless')])
  await api.createTenant('acme')
  await api.createTenant('other')
  const addAccount: Installation['addAccount'] = (tenantId, scopes) =>
    api.createAccount(tenantId, scopes)
  const keys = {
    acme: await addAccount('acme', ['keyless:backend']),
    other: await addAccount('other', ['keyless:backend']),
  }

  const send: Installation['send'] = async (request) => {
    const reply = await http.inject(request)
    const { method = 'GET', url = '' } = request
    const path = typeof url === 'string' ? url : (url.pathname ?? '')
    const { statusCode: status, headers, rawPayload } = reply
    checker.check({ method, path, status, headers, body: rawPayload })
    const text = rawPayload.toString('utf8')
    const isJson = String(headers['content-type'] ?? '').includes('json')
    return { status, headers, text, body: isJson ? JSON.parse(text) : undefined }
  }
  const call: Installation['call'] = (
    target,
    { body, payload, key = keys.acme, headers = {} } = {},
  ) => {
    const [method = 'GET', path = ''] = target.split(' ') as [Method?, string?]
    const sent = payload ?? (body === undefined ? undefined : JSON.stringify(body))
    return send({
      method,
      url: `/keyless${path}`,
      headers: {
        ...(key === null ? {} : { 'x-api-key': key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { payload: sent }),
    })
  }
  const keylessIdOf = async (tenantId: string, nativeId: string) => {
    const user = await core.users.get(testCaller(tenantId, ['tenant:read']), tenantId, nativeId)
    return user.identifiers.find(({ scheme }) => scheme === 'keyless')?.value ?? ''
  }
  let users = 0
  return {
    api,
    core,
    clock: api.clock,
    keys,
    call,
    send,
    addAccount,
    async addUser({ id, external, keyless, tenantId = 'acme' } = {}) {
      const value = keyless ?? (++users).toString(16).toUpperCase().padStart(16, '0')
      const identifiers = [{ scheme: 'keyless', value }]
      if (external !== undefined) identifiers.push({ scheme: 'external', value: external })
      const caller = testCaller(tenantId, ['tenant:write'])
      const loginName = `user-${value}`
      await core.users.create(caller, tenantId, {
        ...(id === undefined ? {} : { id }),
        loginName,
        identifiers,
      })
      return value
    },
    async enrol({ nativeId, externalUserId, tenantId = 'acme', isLoggedIn = true } = {}) {
      const caller = testCaller(tenantId, ['tenant:write'])
      const { secret } = await core.enrolmentCodes.create(caller, tenantId, {
        ...(nativeId === undefined ? {} : { user: { id: nativeId } }),
        ...(externalUserId === undefined ? {} : { externalUserId }),
      })
      const device = new TestDevice(api)
      const facts = { osName: 'Android', osVersion: '16' }
      const reply = await device.enrol(secret.code, { pin: '1234', body: { device: facts } })
      if (reply.status !== 201) throw new Error(JSON.stringify(reply.body))
      if (isLoggedIn) await device.login()
      const userId = await keylessIdOf(tenantId, device.userId)
      return { device, userId, nativeId: device.userId }
    },
    async patchSettings(patch) {
      const { status, body } = await api.call('PATCH /api/v1/tenants/acme/settings', {
        body: patch,
      })
      if (status !== 200) throw new Error(JSON.stringify(body))
    },
    async seal() {
      await composed.sealer.sealAll()
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await ownDatabase?.drop()
    },
  }
}
