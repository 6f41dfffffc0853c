import { connect } from 'node:net'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { DomainError } from '#domain/errors.ts'
import { parseContract } from './contract.ts'
import type { Failure } from './failure.ts'
import type { AnyHandler } from './handler.ts'
import { isAcceptable } from './media-type.ts'
import { mountContract } from './mount.ts'
import { createHttpServer } from './server.ts'
import type { SurfaceOptions } from './surface-options.ts'

const source = `
openapi: 3.1.0
info: {title: Toys, version: '1'}
servers: [{url: /toys}]
security: [{key: []}]
paths:
  /boxes:
    get:
      operationId: listBoxes
      parameters:
      - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 9, default: 5}}
      - {name: kind, in: query, schema: {type: array, items: {enum: [red, blue]}}}
      - {name: X-Trace, in: header, schema: {type: string, maxLength: 3}}
      responses: {'200': {$ref: '#/components/responses/Any'}, '400': {description: Bad.}}
    post:
      operationId: createBox
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/Box'}}
          application/x-www-form-urlencoded: {schema: {$ref: '#/components/schemas/Box'}}
      responses:
        '201': {description: Made., content: {application/json: {schema: {$ref: '#/components/schemas/Box'}}}}
        '204': {description: Nothing to tell.}
  /boxes/_all:
    delete: {operationId: deleteBoxes, responses: {'204': {description: Gone.}}}
  /boxes/{box-id}:
    parameters: [{name: box-id, in: path, required: true, schema: {type: string, pattern: '^[a-z/%é]+$'}}]
    get: {operationId: getBox, responses: {'200': {$ref: '#/components/responses/Any'}}}
    put: {operationId: replaceBox, responses: {'204': {description: Later.}}}
  /lids/{number}.yaml:
    parameters: [{name: number, in: path, required: true, schema: {type: integer, minimum: 1}}]
    get: {operationId: getLid, responses: {'200': {description: One., content: {application/yaml: {}, text/plain: {}}}}}
components:
  responses:
    Any: {description: Any., content: {application/json: {schema: {type: object}}}}
  schemas:
    Box:
      type: object
      additionalProperties: false
      required: [name]
      properties: {name: {type: string, minLength: 1}, size: {type: integer}}
`
const contract = parseContract('toys', Buffer.from(source))

interface Seen {
  readonly caller: string
  readonly params: Record<string, unknown>
  readonly query: Record<string, unknown>
  readonly body: unknown
}

const echo: AnyHandler<object, string> = async ({ caller, params, query, headers, body }) => ({
  status: 200,
  body: { caller, params, query, headers, body },
})

const operations: Record<string, AnyHandler<object, string>> = {
  listBoxes: echo,
  getBox: echo,
  deleteBoxes: async () => ({ status: 204 }),
  createBox: async ({ body }) => ({ status: 201, body: { ...(body as object), secret: 'leak' } }),
  getLid: async ({ params }) => ({
    status: 200,
    contentType: 'application/yaml',
    body: `lid: ${(params as { number: number }).number}`,
  }),
}

let app: FastifyInstance | undefined
afterEach(async () => app?.close())

let requestCount = 0
const logged: unknown[] = []

async function start(more: Partial<SurfaceOptions<object, string>> = {}): Promise<FastifyInstance> {
  logged.length = 0
  app = createHttpServer({
    ids: () => `REQUEST${++requestCount}`,
    logger: silentLogger(),
  })
  mountContract<object, string>(app, {
    contract,
    operations,
    core: {},
    authenticate: async ({ headers }) => {
      if (headers['x-key'] !== 'right') throw new DomainError('unauthenticated', 'No.')
      return 'caller'
    },
    renderFailure: (failure) => ({
      status: statusOf(failure),
      contentType: 'application/json',
      body: failure.kind === 'http' ? failure.fault : { kind: failure.kind },
    }),
    territory: ['/toys'],
    bodyLimits: { createBox: 1000 },
    ...more,
  })
  await app.ready()
  return app
}

function silentLogger() {
  const log = {
    level: 'info',
    silent: () => undefined,
    trace: () => undefined,
    debug: () => undefined,
    info: () => undefined,
    warn: (entry: unknown) => void logged.push(entry),
    error: (entry: unknown) => void logged.push(entry),
    fatal: () => undefined,
    child: () => log,
  }
  return log
}

function statusOf(failure: Failure): number {
  if (failure.kind !== 'http') return failure.kind === 'domain' ? 401 : 500
  const statuses: Partial<Record<typeof failure.fault.kind, number>> = {
    route_not_found: 404,
    url_malformed: 404,
    url_too_long: 404,
    path_parameter_invalid: 404,
    method_not_allowed: 405,
    not_acceptable: 406,
    payload_too_large: 413,
    unsupported_media_type: 415,
  }
  return statuses[failure.fault.kind] ?? 400
}

async function call(options: InjectOptions, more: Partial<SurfaceOptions<object, string>> = {}) {
  const server = await start(more)
  const reply = await server.inject({
    ...options,
    headers: { 'x-key': 'right', ...options.headers },
  })
  const isJson = String(reply.headers['content-type']).startsWith('application/json')
  return {
    status: reply.statusCode,
    headers: reply.headers,
    body: isJson && reply.body !== '' ? reply.json() : reply.body,
  }
}

const json = { 'content-type': 'application/json' }

describe('a mounted contract', () => {
  test('gives handlers what it validated, and only declared members leave', async () => {
    const made = await call({
      method: 'POST',
      url: '/toys/boxes',
      headers: json,
      payload: '{"name":"a"}',
    })
    expect(made).toMatchObject({ status: 201, body: { name: 'a' } })
    expect(made.body).not.toHaveProperty('secret')

    const listed = await call({
      method: 'GET',
      url: '/toys/boxes?kind=red&kind=blue',
      headers: { 'x-trace': 'abc' },
    })
    expect(listed.body).toEqual({
      caller: 'caller',
      params: {},
      query: { limit: 5, kind: ['red', 'blue'] },
      headers: { 'X-Trace': 'abc' },
    } satisfies Omit<Seen, 'body'> & { headers: object })
  })

  test('reads a form with the types of its schema', async () => {
    const reply = await call({
      method: 'POST',
      url: '/toys/boxes',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'name=a%20b&size=7',
    })
    expect(reply.body).toEqual({ name: 'a b', size: 7 })
  })

  test('decodes a path parameter once, and lets it hold a slash', async () => {
    expect((await call({ method: 'GET', url: '/toys/boxes/a%2Fb%c3%a9' })).body.params).toEqual({
      'box-id': 'a/bé',
    })
    expect((await call({ method: 'GET', url: '/toys/boxes/a%252Fb' })).status).toBe(404)
    expect((await call({ method: 'GET', url: '/toys/lids/7.yaml' })).body).toBe('lid: 7')
  })

  test('shows the path to whoever authenticates, before it is checked', async () => {
    const authenticate = async (_request: unknown, _operation: unknown, path: object) =>
      JSON.stringify(path)
    const reply = await call({ method: 'GET', url: '/toys/boxes/a%2Fb' }, { authenticate })
    expect(reply.body.caller).toBe('{"box-id":"a/b"}')
  })

  test('answers HEAD like GET, without a body', async () => {
    expect(await call({ method: 'HEAD', url: '/toys/boxes' })).toMatchObject({
      status: 200,
      body: '',
    })
  })

  test('names X-Request-Id on every reply', async () => {
    for (const url of [
      '/toys/boxes',
      '/toys/nowhere',
      '/elsewhere',
      '/toys/boxes/%zz',
      `/toys/${'x'.repeat(9000)}`,
    ]) {
      expect((await call({ method: 'GET', url })).headers['x-request-id'], url).toMatch(
        /^REQUEST\d+$/,
      )
    }
  })

  test('refuses to start with an operation that the contract does not have', () => {
    expect(() =>
      mountContract(createHttpServer({ ids: () => 'x' }), {
        contract,
        operations: { getBoxx: echo },
        core: {},
        authenticate: async () => 'x',
        renderFailure: () => ({ status: 500, contentType: 'text/plain', body: '' }),
        territory: [],
      }),
    ).toThrow('no operation "getBoxx"')
  })
})

describe('a request is refused in this order:', () => {
  const wrong = { headers: { 'x-key': 'wrong' } }

  test('405 with Allow before 401', async () => {
    const reply = await call({ method: 'DELETE', url: '/toys/boxes', ...wrong })
    expect(reply).toMatchObject({ status: 405, body: { allow: ['GET', 'HEAD', 'POST'] } })
  })

  test('405 also on a path that a less exact one would take, and for operations that are not built', async () => {
    expect(await call({ method: 'GET', url: '/toys/boxes/_all' })).toMatchObject({
      status: 405,
      body: { allow: ['DELETE'] },
    })
    expect(await call({ method: 'PUT', url: '/toys/boxes/a' })).toMatchObject({
      status: 405,
      body: { allow: ['GET', 'HEAD'] },
    })
  })

  test('405 on a path that is like no other, also when it is percent-encoded; the router need not know', async () => {
    for (const url of [
      '/toys/boxes',
      '/toys/%62oxes',
      '/toys/lids/1.yaml',
      '/toys/lids/%31.yaml',
    ]) {
      expect(await call({ method: 'DELETE', url }), url).toMatchObject({ status: 405 })
    }
    const server = await start()
    expect(server.hasRoute({ method: 'DELETE', url: '/toys/boxes' })).toBe(false)
    expect(server.hasRoute({ method: 'GET', url: '/toys/boxes/_all' })).toBe(true)
  })

  test('405 for methods that the router does not know', async () => {
    const server = await start()
    await server.listen({ port: 0, host: '127.0.0.1' })
    const reply = await exchange(
      server,
      'PROPFIND /toys/boxes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )
    expect(reply).toMatch(/^HTTP\/1.1 405 /)
  })

  test('401 before 405 where the surface wants it so', async () => {
    const beforeMethodNotAllowed = async () => {
      throw new DomainError('unauthenticated', 'No.')
    }
    expect(
      (await call({ method: 'DELETE', url: '/toys/boxes' }, { beforeMethodNotAllowed })).status,
    ).toBe(401)
  })

  test('401 before 404 and before 405 of methods that nobody knows, where the surface wants it so', async () => {
    const refused = async () => {
      throw new DomainError('unauthenticated', 'No.')
    }
    const server = await start({ beforeNotFound: refused, beforeMethodNotAllowed: refused })
    await server.listen({ port: 0, host: '127.0.0.1' })
    const ask = (line: string) =>
      exchange(server, `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(await ask('GET /toys/nothing')).toMatch(/^HTTP\/1.1 401 /)
    expect(await ask('PROPFIND /toys/boxes')).toMatch(/^HTTP\/1.1 401 /)
    expect(await ask(`GET /toys/boxes?${'a'.repeat(9000)}`)).toMatch(/^HTTP\/1.1 401 /)
    expect(await ask('GET /toys/boxes/%zz')).toMatch(/^HTTP\/1.1 401 /)
    expect(await ask(`GET /toys/boxes/${'a'.repeat(5000)}`)).toMatch(/^HTTP\/1.1 401 /)
    expect(await ask('GET /elsewhere')).toMatch(/^HTTP\/1.1 404 /)
  })

  test('401 before anything about path, size, type and body', async () => {
    expect((await call({ method: 'GET', url: '/toys/boxes/BAD', ...wrong })).status).toBe(401)
    expect(
      (await call({ method: 'POST', url: '/toys/boxes', payload: 'x'.repeat(5000), ...wrong }))
        .status,
    ).toBe(401)
  })

  test('404 for a path parameter that can name nothing', async () => {
    for (const id of ['BAD', 'a%00b', 'a%ff', '%zz']) {
      expect((await call({ method: 'GET', url: `/toys/boxes/${id}` })).status, id).toBe(404)
    }
    expect((await call({ method: 'GET', url: '/toys/lids/07.yaml' })).status).toBe(404)
  })

  test('the objects of the path before the body', async () => {
    const checkPath = async () => {
      throw new DomainError('tenant_not_found', 'No.')
    }
    const reply = await call(
      { method: 'POST', url: '/toys/boxes', payload: 'x', headers: json },
      { checkPath },
    )
    expect(reply.body).toEqual({ kind: 'domain' })
  })

  test('413 before 415, by Content-Length', async () => {
    const reply = await call({
      method: 'POST',
      url: '/toys/boxes',
      headers: { 'content-type': 'text/xml' },
      payload: 'x'.repeat(1001),
    })
    expect(reply).toMatchObject({ status: 413, body: { bytesMax: 1000 } })
  })

  test.each([
    ['text/xml', 415],
    ['application/jsonx', 415],
    ['application/json; charset=latin1', 415],
    ['application/json; charset=utf-16', 415],
    ['', 415],
    ['/', 415],
    ['Application/JSON; Charset="UTF-8"', 201],
    ['application/json;charset=utf-8', 201],
  ])('Content-Type "%s" is %i, whatever the body', async (contentType, status) => {
    const payload = status === 415 ? '{' : '{"name":"a"}'
    const reply = await call({
      method: 'POST',
      url: '/toys/boxes',
      headers: { 'content-type': contentType },
      payload,
    })
    expect(reply.status).toBe(status)
  })

  test.each([
    ['{"name":"a"', json, 'syntax'],
    ['{"name":"a","name":"b"}', json, 'duplicate_member'],
    ['', json, 'empty'],
    ['name=a&name=b', { 'content-type': 'application/x-www-form-urlencoded' }, 'duplicate_member'],
    ['name=%zz', { 'content-type': 'application/x-www-form-urlencoded' }, 'syntax'],
    ['name=%00', { 'content-type': 'application/x-www-form-urlencoded' }, 'forbidden_character'],
    ['__proto__=a', { 'content-type': 'application/x-www-form-urlencoded' }, 'forbidden_member'],
  ])('a malformed body (%s) before its members', async (payload, headers, reason) => {
    const reply = await call({ method: 'POST', url: '/toys/boxes?x=1', headers, payload })
    expect(reply).toMatchObject({ status: 400, body: { kind: 'malformed_body', reason } })
  })

  test('all faults of query, headers and body at once', async () => {
    const reply = await call(
      { method: 'GET', url: '/toys/boxes?limit=05&kind=green&x=1', headers: { 'x-trace': 'long' } },
      { unknownQuery: 'refuse' },
    )
    expect(
      reply.body.faults.map(({ pointer, code }: Record<string, string>) => `${pointer} ${code}`),
    ).toEqual([
      'query:limit wrong_type',
      'query:kind/0 out_of_range',
      'query:x unknown_member',
      'header:X-Trace out_of_range',
    ])
  })

  test('406 where Accept excludes every form, if the surface cares', async () => {
    const request = { method: 'GET', url: '/toys/boxes', headers: { accept: 'text/html' } } as const
    expect((await call(request, { checkAccept: true })).status).toBe(406)
    expect((await call(request)).status).toBe(200)
  })
})

describe('what nobody foresaw', () => {
  test('is internal, logged once, and tells the caller nothing', async () => {
    const fail: AnyHandler<object, string> = async () => {
      throw Object.assign(new Error('secret-1234'), { statusCode: 418, status: 418 })
    }
    const reply = await call(
      { method: 'GET', url: '/toys/boxes' },
      { operations: { listBoxes: fail } },
    )
    expect(reply).toMatchObject({ status: 500, body: { kind: 'internal' } })
    expect(logged).toHaveLength(1)
  })

  test('is also a status that the contract does not declare', async () => {
    const odd: AnyHandler<object, string> = async () => ({ status: 202, body: {} })
    expect(
      (await call({ method: 'GET', url: '/toys/boxes' }, { operations: { listBoxes: odd } }))
        .status,
    ).toBe(500)
  })

  test('is answered by the surface whose part of the server it is', async () => {
    expect((await call({ method: 'POST', url: '/toys/nowhere', payload: 'x' })).body).toEqual({
      kind: 'route_not_found',
    })
    expect((await call({ method: 'GET', url: '/toysother' })).body).toBe('404\n')
  })

  test('closes the connection after refusing a large body unread', async () => {
    const server = await start()
    await server.listen({ port: 0, host: '127.0.0.1' })
    const head = 'POST /toys/boxes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
    const reply = await exchange(server, `${head}Content-Length: 999999999\r\n\r\n`)
    expect(reply).toMatch(/^HTTP\/1.1 401 [\s\S]*connection: close/i)
  })

  test('is not even looked at when its headers are larger than 16 KiB', async () => {
    const server = await start()
    await server.listen({ port: 0, host: '127.0.0.1' })
    const head = `GET /toys/boxes HTTP/1.1\r\nHost: x\r\nX-Trace: ${'x'.repeat(17_000)}\r\n\r\n`
    expect(await exchange(server, head)).toMatch(/^HTTP\/1.1 431 /)
  })

  test('stops reading a body without Content-Length at the limit', async () => {
    const server = await start()
    await server.listen({ port: 0, host: '127.0.0.1' })
    const head =
      'POST /toys/boxes HTTP/1.1\r\nHost: x\r\nX-Key: right\r\nContent-Type: application/json\r\n'
    const chunk = `400\r\n${'x'.repeat(1024)}\r\n`
    const reply = await exchange(server, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`)
    expect(reply).toMatch(/^HTTP\/1.1 413 /)
  })
})

describe('Accept', () => {
  test.each<[string | undefined, boolean]>([
    [undefined, true],
    ['*/*', true],
    ['application/*', true],
    ['text/html, application/json;q=0.1', true],
    ['application/json;q=0, */*', false],
    ['text/html', false],
  ])('"%s" takes application/json: %s', (accept, expected) => {
    expect(isAcceptable(accept, ['application/json'])).toBe(expected)
  })
})

/** Sends bytes as they are and waits for the other side to answer and close. */
async function exchange(server: FastifyInstance, bytes: string): Promise<string> {
  const address = server.server.address()
  if (typeof address !== 'object' || address === null)
    throw new Error('The server does not listen.')
  const socket = connect(address.port, '127.0.0.1')
  socket.write(bytes)
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}
