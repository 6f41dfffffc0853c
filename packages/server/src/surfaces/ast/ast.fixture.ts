import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import { createHttpServer } from '#http/server.ts'
import type { Database } from '#storage/queries.ts'
import { composeTestCore } from '#test/support/composed.ts'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import { platformAdmin, type TestEngine, testCaller } from '#test/support/core.ts'
import { writtenRecords } from '#test/support/journal.ts'
import { createTestStorage, type TestClock } from '#test/support/storage.ts'
import type { ComposedCore, CoreParts } from '../../compose-core.ts'
import { mountAst } from './index.ts'

/** What the server calls itself in URLs. */
export const publicUrl = 'https://ast.example.com'
/** Two tenants that know nothing of each other. */
export const tenants = ['acme', 'shop'] as const

/** A reply whose shape the contract has been held against. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  readonly text: string
  // Every test knows what it asked for.
  // biome-ignore lint/suspicious/noExplicitAny: the bodies of many operations
  readonly body: any
}

export interface CallOptions {
  /** Bearer; default: the administrator of the first tenant. `''`: none. */
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON; a text as it is. */
  readonly body?: unknown
}

type Target = `${'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`

/** An installation with two tenants and the AST surface. */
export interface AstInstallation extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly core: Core
  readonly composed: ComposedCore
  readonly database: Database
  readonly clock: TestClock
  /** Of the first tenant: all rights, and the right to read. */
  readonly admin: string
  readonly reader: string
  /** All rights in the second tenant. */
  readonly stranger: string
  /** Of the platform, with all rights of this surface. */
  readonly platform: string
  /** Calls below `/ast` as the administrator of the first tenant; every reply is held against the contract. */
  call(target: Target, options?: CallOptions): Promise<Answer>
  /** As {@link call}, for what the contract does not know. */
  callUnchecked(target: Target, options?: CallOptions): Promise<Answer>
  /** @returns the secret of a new account; of the platform when the tenant is null. */
  addAccount(tenantId: string | null, scopes: readonly Scope[]): Promise<string>
  /** What the journal of a tenant says since the beginning, oldest first. */
  journal(tenantId: string): Promise<readonly { action: string; text: string }[]>
}

export async function createAstInstallation(
  options: { engine?: TestEngine; parts?: Partial<CoreParts> } = {},
): Promise<AstInstallation> {
  const test = await createTestStorage(options)
  const { clock, database } = test
  const composed = composeTestCore(database, {
    clock,
    publicUrl: () => publicUrl,
    okm: {
      deviceTrust: { kind: 'allowlist', ranges: [] },
      unclaimedMax: 1000,
      auditDestinationUrl: undefined,
    },
    ...options.parts,
  })
  const { core, platform, nextId } = composed
  await platform.ensurePlatform()
  for (const id of tenants) await core.tenants.create(platformAdmin, { id, name: id })

  const contract = contractOf('ast')
  const app = createHttpServer({ ids: nextId, trustProxy: [] })
  mountAst(app, { contract, core, publicUrl: () => publicUrl })
  await app.ready()
  const checker = createContractChecker([contract])

  const addAccount: AstInstallation['addAccount'] = async (tenantId, scopes) => {
    const caller = tenantId === null ? platformAdmin : testCaller(tenantId, ['tenant:write'])
    return (await core.serviceAccounts.create(caller, { tenantId, scopes })).secret
  }
  const admin = await addAccount('acme', ['ast:write'])
  const callUnchecked: AstInstallation['callUnchecked'] = async (
    target,
    { token = admin, headers = {}, body } = {},
  ) => {
    const [method, path] = target.split(' ')
    const request: InjectOptions = {
      method: method as 'GET',
      url: `/ast${path}`,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
    }
    const reply = await app.inject(request)
    const { statusCode: status, headers: received, body: text } = reply
    const isJson = String(received['content-type']).startsWith('application/json')
    return { status, headers: received, text, body: isJson ? JSON.parse(text) : undefined }
  }
  return {
    app,
    core,
    composed,
    database,
    clock,
    admin,
    reader: await addAccount('acme', ['ast:read']),
    stranger: await addAccount('shop', ['ast:write']),
    platform: await addAccount(null, ['ast:write']),
    addAccount,
    callUnchecked,
    async call(target, callOptions) {
      const answer = await callUnchecked(target, callOptions)
      const [method = '', path = ''] = target.split(' ')
      const { status, headers, text } = answer
      checker.check({ method, path: `/ast${path}`, status, headers, body: text })
      return answer
    },
    async journal(tenantId) {
      const records = await writtenRecords(database, tenantId)
      return records.map((record) => ({ action: record.action, text: JSON.stringify(record) }))
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await core.pki.issuance.stop()
      await test[Symbol.asyncDispose]()
    },
  }
}
