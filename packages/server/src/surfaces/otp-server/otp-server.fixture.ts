import { readFileSync } from 'node:fs'
import type { InjectOptions } from 'fastify'
import { SaxesParser } from 'saxes'
import { memoryPages, validateXML } from 'xmllint-wasm'
import type { Caller } from '#domain/callers/caller.ts'
import type { Scope } from '#domain/callers/scopes.ts'
import type { Core } from '#domain/core.ts'
import type { NewOtpListMethod } from '#domain/otp-lists/otp-list-method-service.ts'
import type { UserDraft } from '#domain/users/user.ts'
import { createContractChecker } from '#test/support/contract-checker.ts'
import { contractOf } from '#test/support/contract-files.ts'
import {
  platformAdmin,
  type TestEngine,
  testCaller,
  testMasterKeyBytes,
} from '#test/support/core.ts'
import { basic, createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase } from '#test/support/postgres.ts'
import type { TestClock } from '#test/support/storage.ts'

const xsd = readFileSync(new URL('otp-server.xsd', import.meta.url), 'utf8')

/** An element of a reply, with the text directly in it. */
export interface Tag {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly text: string
}

/** A reply that has been held against the contract, and will be against the schema. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>
  /** `X-Error-Reason`. */
  readonly reason: string | undefined
  readonly text: string
  /** Every element in order of the document. */
  readonly tags: readonly Tag[]
  /** The attributes of the first element of that name. @throws when there is none. */
  the(name: string): Readonly<Record<string, string>>
}

export interface Sending {
  readonly query?: Readonly<Record<string, string>> | string
  readonly form?: Readonly<Record<string, string>> | string
  /** Account id and secret; the administrator's unless said otherwise, null: none. */
  readonly as?: Account | null
  readonly headers?: Readonly<Record<string, string>>
  readonly payload?: string | Buffer
}

export interface Account {
  readonly id: string
  readonly secret: string
}

/** A server with two tenants; method `otp.1` and user `user1` are in the first one. */
export interface Installation extends AsyncDisposable {
  readonly api: PlatformApi
  readonly core: Core
  readonly clock: TestClock
  /** May do everything by the native API in `acme`. */
  readonly native: Caller
  readonly admin: Account
  readonly verifier: Account
  /** @param target method and path below `/otp-server`. */
  call(target: `${string} /${string}`, sending?: Sending): Promise<Answer>
  send(options: InjectOptions): Promise<Answer>
  addAccount(tenantId: string | null, scopes: readonly Scope[]): Promise<Account>
  addMethod(method: NewOtpListMethod): Promise<void>
  addUser(user: UserDraft): Promise<void>
  /** Creates a list. @returns its id, and its codes by label. */
  newList(method?: string): Promise<{ id: string; codes: Readonly<Record<string, string>> }>
  /** As {@link newList}, for a user. */
  giveList(
    uniqueID: string,
    method?: string,
  ): Promise<{ id: string; codes: Readonly<Record<string, string>> }>
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
    ...options.env,
  })
  const { core, http } = api.app
  const native = testCaller('acme', ['tenant:write', 'verify'])
  const checker = createContractChecker([contractOf('otp-server')])
  /** Documents by text, each with one request that it answered. */
  const documents = new Map<string, string>()

  for (const id of ['acme', 'other']) await core.tenants.create(platformAdmin, { id, name: id })

  const installation: Omit<Installation, 'admin' | 'verifier' | 'call' | 'newList' | 'giveList'> = {
    api,
    core,
    clock: api.clock,
    native,
    async send(request) {
      const reply = await http.inject(request)
      const { method = 'GET', url = '' } = request
      const path = typeof url === 'string' ? url : (url.pathname ?? '')
      const { statusCode: status, headers, body: text } = reply
      checker.check({ method, path, status, headers, body: reply.rawPayload })
      if (text !== '') documents.set(text, `${method} ${path}`)
      return answerOf({ status, headers, text })
    },
    async addAccount(tenantId, scopes) {
      const draft = {
        tenantId,
        description: 'OTP Server client',
        scopes,
        enabled: true,
        expiresAtMs: null,
        allowedAddresses: [],
        certificateThumbprints: [],
      }
      const caller = tenantId === null ? platformAdmin : testCaller(tenantId, ['tenant:write'])
      const { account, secret } = await core.serviceAccounts.create(caller, draft)
      return { id: account.id, secret }
    },
    async addMethod(method) {
      await core.otpListMethods.create(native, 'acme', method)
    },
    async addUser(user) {
      await core.users.create(native, 'acme', user)
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await ownDatabase?.drop()
      await requireValid(documents)
    },
  }
  const { addAccount, addMethod, addUser, send } = installation
  const admin = await addAccount('acme', ['otp-server:admin'])
  const verifier = await addAccount('acme', ['otp-server:verify'])
  await addMethod({ name: 'otp.1' })
  await addUser({ id: 'user1', loginName: 'john.smith' })

  const call: Installation['call'] = (
    target,
    { query, form, as = admin, headers, payload } = {},
  ) => {
    const [method = '', path = ''] = target.split(' ')
    const search = textOf(query)
    const body = payload ?? textOf(form)
    return send({
      method,
      url: `/otp-server${path}${search === undefined ? '' : `?${search}`}`,
      headers: {
        ...(as === null ? {} : basic(as.id, as.secret)),
        ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: body }),
    })
  }
  const newList: Installation['newList'] = async (method = 'otp.1') => {
    const answer = await call(`POST /${method}/otp-list`)
    if (answer.status !== 200) throw new Error(answer.text)
    const otps = answer.tags.filter(({ name }) => name === 'otp')
    return {
      id: answer.the('otp-list').id ?? '',
      codes: Object.fromEntries(otps.map(({ attributes, text }) => [attributes.index, text])),
    }
  }
  const giveList: Installation['giveList'] = async (uniqueID, method = 'otp.1') => {
    const list = await newList(method)
    const answer = await call(`PUT /${method}/otp-list/${list.id}`, { query: { uniqueID } })
    if (answer.status !== 200) throw new Error(answer.text)
    return list
  }
  return { ...installation, admin, verifier, call, newList, giveList }
}

function textOf(pairs: Readonly<Record<string, string>> | string | undefined): string | undefined {
  return typeof pairs === 'object' ? new URLSearchParams(pairs).toString() : pairs
}

export function answerOf(reply: Pick<Answer, 'status' | 'headers' | 'text'>): Answer {
  const tags = tagsOf(reply.text)
  const reason = reply.headers['x-error-reason']
  return {
    ...reply,
    reason: reason === undefined ? undefined : String(reason),
    tags,
    the(name) {
      const tag = tags.find((one) => one.name === name)
      if (tag === undefined) throw new Error(`No <${name}> in ${reply.text}`)
      return tag.attributes
    },
  }
}

function tagsOf(text: string): readonly Tag[] {
  const tags: { name: string; attributes: Record<string, string>; text: string }[] = []
  if (text === '') return tags
  const open: { text: string }[] = []
  const parser = new SaxesParser({ xmlns: false })
  parser.on('opentag', ({ name, attributes }) => {
    const tag = { name, attributes: { ...attributes }, text: '' }
    tags.push(tag)
    open.push(tag)
  })
  parser.on('text', (more) => {
    const inner = open.at(-1)
    if (inner !== undefined) inner.text += more
  })
  parser.on('closetag', () => {
    open.pop()
  })
  parser.write(text).close()
  return tags
}

/** xmllint decides about every reply that a test has got. @throws naming the requests of those that do not fit. */
export async function requireValid(documents: ReadonlyMap<string, string>): Promise<void> {
  if (documents.size === 0) return
  const xml = [...documents.keys()].map((contents, index) => ({
    fileName: `reply-${index}.xml`,
    contents,
  }))
  const { valid, errors } = await validateXML({
    xml,
    schema: { fileName: 'otp-server.xsd', contents: xsd },
    maxMemoryPages: memoryPages.GiB,
  })
  if (valid) return
  const requests = [...documents.values()]
  const told = errors.slice(0, 20).map(({ message, loc }) => {
    const request = requests[Number(/\d+/.exec(loc?.fileName ?? '')?.[0] ?? -1)] ?? 'some request'
    return `${request}: ${message}`
  })
  throw new Error(`Replies that do not fit otp-server.xsd:\n${told.join('\n')}`)
}
