import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Caller } from '#domain/callers/caller.ts'
import { DomainError } from '#domain/errors.ts'
import { IdempotencyService } from '#domain/idempotency/idempotency-service.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { parseContract } from './contract.ts'
import type { BuiltOperations, Handler } from './handler.ts'
import { idempotent } from './idempotency.ts'
import { mountContract } from './mount.ts'
import { idempotentOutput } from './one-time-output.ts'
import { createHttpServer } from './server.ts'

const contract = parseContract(
  'keys',
  Buffer.from(`
openapi: 3.1.0
info: {title: Keys, version: '1'}
servers: [{url: /keys}]
paths:
  /{name}:
    parameters: [{name: name, in: path, required: true, schema: {type: string}}]
    post:
      operationId: createKey
      parameters: [{name: Idempotency-Key, in: header, required: false, schema: {type: string, pattern: '^[!-~]{1,255}$'}}]
      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}
      responses:
        '201':
          description: Made.
          content:
            application/json:
              schema:
                type: object
                required: [id]
                properties: {id: {type: string}, secret: {type: string}}
        '409': {description: Refused., content: {application/problem+json: {schema: {type: object}}}}
`),
)

interface Core {
  readonly idempotency: IdempotencyService
}

/** Written as `contract.gen.ts` is. */
interface Operations {
  readonly createKey: {
    readonly params: { readonly name: string }
    readonly query: Record<never, never>
    readonly headers: { readonly 'Idempotency-Key'?: string }
    readonly body: object
    readonly replies: {
      readonly 201: {
        readonly 'application/json': { readonly id: string; readonly secret?: string }
      }
      readonly 409: { readonly 'application/problem+json': { readonly detail?: string } }
    }
  }
  readonly plain: {
    readonly params: Record<never, never>
    readonly query: Record<never, never>
    readonly headers: Record<never, never>
    readonly body: object
    readonly replies: { readonly 201: { readonly 'application/json': { readonly id?: string } } }
  }
  readonly printKey: {
    readonly params: Record<never, never>
    readonly query: Record<never, never>
    readonly headers: { readonly 'Idempotency-Key'?: string }
    readonly body: object
    readonly replies: { readonly 201: { readonly 'text/csv': string } }
  }
}

type Endpoint<Id extends keyof Operations> = Handler<Operations[Id], Core, Caller>

let runCount = 0
const createKey: Endpoint<'createKey'> = async ({ params }) => {
  if (params.name === 'bad') return { status: 409, body: { detail: `run ${++runCount}` } }
  const id = `${params.name} ${++runCount}`
  return { status: 201, headers: { location: '/keys/1' }, body: { id, secret: 'csk_1' } }
}

const operations = {
  createKey: idempotent(createKey, { oneTimeMembers: ['secret'] }),
} satisfies BuiltOperations<Operations, 'createKey', Core, Caller>

let core: TestCore
let app: FastifyInstance

beforeAll(async () => {
  core = await createReadyTestCore()
  await core.tenants.create(platformAdmin, { id: 'acme', name: 'Acme' })
  const { storage, vault, clock } = core
  const observer = {
    settlingFailed: (error: unknown) => {
      throw error
    },
  }
  app = createHttpServer({ ids: core.nextId })
  mountContract<Core, Caller>(app, {
    contract,
    operations,
    core: { idempotency: new IdempotencyService({ storage, vault, clock, observer }) },
    authenticate: async ({ headers }) => {
      if (headers['x-account'] === 'barred') throw new DomainError('forbidden', 'No.')
      return testCaller('acme', ['tenant:write'], { id: String(headers['x-account']) })
    },
    renderFailure: (failure) => ({
      status: failure.kind === 'internal' ? 500 : 409,
      contentType: 'application/json',
      body: { code: failure.kind === 'domain' ? failure.error.code : failure.kind },
    }),
    territory: ['/keys'],
  })
  await app.ready()
})
afterAll(async () => {
  await app.close()
  await core[Symbol.asyncDispose]()
})

async function post(
  name: string,
  key: string | undefined,
  more: { body?: string; account?: string } = {},
) {
  const { status, headers, body } = await app
    .inject({
      method: 'POST',
      url: `/keys/${name}`,
      headers: {
        'content-type': 'application/json',
        'x-account': more.account ?? 'one',
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      body: more.body ?? '{"pin":"1"}',
    })
    .then(({ statusCode, headers: sent, payload }) => ({
      status: statusCode,
      headers: sent,
      body: payload,
    }))
  return {
    status,
    headers,
    body: JSON.parse(body) as { id?: string; secret?: string; code?: string },
  }
}

test('a repeat is the first reply without its one-time members, and says so', async () => {
  const first = await post('a', 'k1')
  expect(first).toMatchObject({ status: 201, body: { secret: 'csk_1' } })
  expect(first.headers).not.toHaveProperty('idempotency-replayed')
  const again = await post('a', 'k1')
  expect(again).toMatchObject({ status: 201, headers: { 'idempotency-replayed': 'true' } })
  expect(again.body).toEqual({ id: first.body.id })
  for (const name of ['location', 'content-type']) {
    expect(again.headers[name]).toBe(first.headers[name])
  }
})

test('without the header every request runs', async () => {
  const [one, other] = [await post('b', undefined), await post('b', undefined)]
  expect(one.body.id).not.toBe(other.body.id)
  expect(other.headers).not.toHaveProperty('idempotency-replayed')
})

test('the same key belongs to one account and one path', async () => {
  const { body } = await post('c', 'k2')
  expect((await post('d', 'k2')).body.id).toMatch(/^d /)
  expect((await post('c', 'k2', { account: 'two' })).body.id).not.toBe(body.id)
})

test('another body under the same key is refused', async () => {
  await post('e', 'k3')
  const { status, body } = await post('e', 'k3', { body: '{"pin":"2"}' })
  expect([status, body.code]).toEqual([409, 'idempotency_key_reused'])
})

test('a refusal is not kept', async () => {
  const [one, other] = [await post('bad', 'k4'), await post('bad', 'k4')]
  expect(one.status).toBe(409)
  expect(other.body).not.toEqual(one.body)
})

test('whoever may not call does not get the kept reply either', async () => {
  await post('f', 'k5')
  expect((await post('f', 'k5', { account: 'barred' })).body).toEqual({ code: 'forbidden' })
})

test('a key that the contract does not allow is refused before anything runs', async () => {
  const before = runCount
  for (const key of ['', 'two words', 'x'.repeat(256)]) {
    expect((await post('g', key)).body).toEqual({ code: 'http' })
  }
  expect(runCount).toBe(before)
})

test('output that is told once: kept as far as it may be, or gone with what it made', async () => {
  let count = 0
  const print: Endpoint<'printKey'> = async () => ({ status: 201, body: `code ${++count}` })
  const printOnce = idempotentOutput(print, {
    keep: ({ body }) => (body === 'code 1' ? { gone: 'list 1' } : { body: { items: [1] } }),
  })
  const { storage, vault, clock } = core
  const observer = { settlingFailed: () => {} }
  const input = (key?: string) => ({
    core: { idempotency: new IdempotencyService({ storage, vault, clock, observer }) },
    caller: testCaller('acme', ['tenant:write']),
    headers: key === undefined ? {} : { 'Idempotency-Key': key },
    params: {},
    query: {},
    body: {},
    request: { method: 'POST', url: '/print', body: new Uint8Array() } as never,
  })
  expect(await printOnce(input('p1'))).toEqual({ status: 201, body: 'code 1' })
  await expect(printOnce(input('p1'))).rejects.toMatchObject({
    code: 'one_time_output_gone',
    message: 'list 1',
  })
  expect(await printOnce(input('p2'))).toMatchObject({ body: 'code 2' })
  expect(await printOnce(input('p2'))).toEqual({
    status: 201,
    contentType: 'application/json',
    headers: { 'idempotency-replayed': 'true' },
    body: { items: [1] },
  })
  expect(await printOnce(input())).toMatchObject({ body: 'code 3' })
  expect(await printOnce(input())).toMatchObject({ body: 'code 4' })
})

// Every line below an expected error is one that must not compile; the type checker is the test.
test('the types allow optional members of JSON replies of operations with the header only', () => {
  const plain: Endpoint<'plain'> = async () => ({ status: 201, body: {} })
  const printKey: Endpoint<'printKey'> = async () => ({ status: 201, body: 'a;b' })
  const wrapped: Endpoint<'createKey'> = idempotent(createKey, { oneTimeMembers: [] })
  expect(wrapped).toBeTypeOf('function')
  // @ts-expect-error A required member cannot be left out.
  idempotent(createKey, { oneTimeMembers: ['id'] })
  // @ts-expect-error A member of a refusal only.
  idempotent(createKey, { oneTimeMembers: ['detail'] })
  // @ts-expect-error The operation does not declare the header.
  idempotent(plain, { oneTimeMembers: [] })
  // @ts-expect-error Text cannot be kept.
  idempotent(printKey, { oneTimeMembers: [] })
})
