import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Operation } from '#http/contract.ts'
import { type ContractChecker, createContractChecker } from '../support/contract-checker.ts'
import { contractOf } from '../support/contract-files.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { type Call, HttpClient, type Reply } from './client.ts'
import { createInstallation, type Installation, tenantPath, verifyPath } from './installation.ts'
import { RawConnection } from './raw-connection.ts'

const mebibyte = 1_048_576
const contracts = [contractOf('platform'), contractOf('dualshield'), contractOf('okm')]

let installation: Installation
let server: ServerProcess
let client: HttpClient
let checker: ContractChecker

beforeAll(async () => {
  checker = createContractChecker(contracts)
  installation = await createInstallation({ engine: 'sqlite' })
  server = await installation.start()
  client = new HttpClient(server.url)
}, 120_000)
afterAll(async () => {
  client?.[Symbol.dispose]()
  await installation?.[Symbol.asyncDispose]()
})

/** Calls as the tenant's administrator, and holds the answer against the contract; nothing may be a 5xx. */
async function call(request: Call): Promise<Reply> {
  const method = request.method ?? (request.body === undefined ? 'GET' : 'POST')
  const { admin: secret } = installation.seeds.secrets
  const reply = await client.call({ secret, ...request, method })
  const { status, headers, bytes: body } = reply
  expect(status, `${method} ${request.path}: ${reply.text}`).toBeLessThan(500)
  checker.check({ method, path: request.path, status, headers, body })
  return reply
}

/** An error of the platform API: RFC 9457, with the request's id. */
function expectProblem(reply: Reply, status: number, code: string): void {
  expect(reply.status, reply.text).toBe(status)
  expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(reply.json()).toMatchObject({
    type: `urn:countersign:problem:${code}`,
    status,
    code,
    instance: `urn:countersign:request:${reply.headers['x-request-id']}`,
  })
}

const right = { token: { serial: 'HOTP-1' }, code: '000000' }

describe('bodies', () => {
  const bytes = (...parts: (string | number[])[]): Buffer =>
    Buffer.concat(parts.map((part) => Buffer.from(part as string)))

  test.each<[string, string | Buffer]>([
    ['a member named twice', '{"code":"000000","code":"755224","token":{"serial":"HOTP-1"}}'],
    ['a member named twice, once escaped', '{"code":"000000","c\\u006fde":"755224"}'],
    ['a member named twice far inside', '{"context":{"application":"a","application":"b"}}'],
    ['33 levels', `{"token":${'['.repeat(32)}${']'.repeat(32)}}`],
    ['100,000 levels', '['.repeat(100_000)],
    ['invalid UTF-8', bytes('{"code":"', [0xff, 0xfe], '"}')],
    ['a surrogate half as bytes', bytes('{"code":"', [0xed, 0xa0, 0x80], '"}')],
    ['overlong UTF-8', bytes('{"code":"', [0xc0, 0xb1], '"}')],
    ['a byte order mark', bytes([0xef, 0xbb, 0xbf], JSON.stringify(right))],
    ['UTF-16', Buffer.from(JSON.stringify(right), 'utf16le')],
    ['a member __proto__', '{"__proto__":{"code":"000000"}}'],
    ['U+0000', '{"code":"\\u0000"}'],
    ['a lone surrogate', '{"code":"\\ud800"}'],
    ['a number beyond a double', '{"code":1e999}'],
    ['something behind the value', `${JSON.stringify(right)} x`],
    ['a comment', '{"code":"000000"/**/}'],
    ['nothing', ''],
  ])('400 malformed_body for %s', async (_name, body) => {
    expectProblem(await call({ path: verifyPath, body }), 400, 'malformed_body')
  })

  test('400 validation_failed naming every fault for JSON of another shape', async () => {
    const reply = await call({ path: verifyPath, body: { token: 1, code: [], more: true } })
    expectProblem(reply, 400, 'validation_failed')
    const { errors } = reply.json<{ errors: { pointer: string }[] }>()
    expect(errors.map(({ pointer }) => pointer)).toEqual(
      expect.arrayContaining(['/token', '/code', '/more']),
    )
    for (const body of ['null', '[]', '"text"', '1', 'true']) {
      expectProblem(await call({ path: verifyPath, body }), 400, 'validation_failed')
    }
  })

  test('413 for 1 MiB and one byte, told by its length or found on the way; 1 MiB is read', async () => {
    const largest = Buffer.alloc(mebibyte, 0x20)
    largest.write(JSON.stringify(right), 0)
    expect((await call({ path: verifyPath, body: largest })).status).toBe(200)
    const tooLarge = Buffer.concat([largest, Buffer.from(' ')])
    expectProblem(await call({ path: verifyPath, body: tooLarge }), 413, 'payload_too_large')
    const chunked = { 'transfer-encoding': 'chunked', 'content-length': [] }
    const reply = await call({ path: verifyPath, body: tooLarge, headers: chunked })
    expectProblem(reply, 413, 'payload_too_large')
  })

  test('415 for other media types and charsets', async () => {
    for (const type of [
      'text/plain',
      'application/xml',
      'application/json; charset=utf-16',
      'json',
    ]) {
      const reply = await call({
        path: verifyPath,
        body: JSON.stringify(right),
        headers: { 'content-type': type },
      })
      expectProblem(reply, 415, 'unsupported_media_type')
    }
  })
})

describe('paths, queries, methods', () => {
  test.each([
    '%00',
    'a%00b',
    '%2F',
    '..%2F..%2Fadmin',
    '%2e%2e',
    '%C0%AF',
    '%ff',
    '%zz',
    '%',
    '%u0041',
    'a'.repeat(5000),
    encodeURIComponent('\u202e'),
    encodeURIComponent('\ud83d\ude00'),
    "'%20OR%201=1--",
  ])('404 for a user called %s', async (name) => {
    const reply = await call({ path: `${tenantPath}/users/${name}` })
    expectProblem(reply, 404, 'not_found')
  })

  test('404 for paths that nobody serves, however they are written', async () => {
    for (const path of [
      '//',
      '/api/v1',
      '/api/v1/',
      `${tenantPath}/users/`,
      '/API/V1/tenants',
      '/./api',
      '/docs/../x',
    ]) {
      expectProblem(await call({ path }), 404, 'not_found')
    }
    expectProblem(await call({ path: `/${'a'.repeat(8_200)}` }), 404, 'not_found')
  })

  test('400 for query parameters that are unknown, repeated or broken', async () => {
    for (const query of [
      'unknown=1',
      'limit=1&limit=2',
      'limit=%zz',
      'limit=0',
      'limit=1e3',
      'cursor=',
      '__proto__=1',
    ]) {
      const reply = await call({ path: `${tenantPath}/users?${query}` })
      expect(reply.status, query).toBe(400)
      expect(reply.json().code, query).toMatch(/^(validation_failed|cursor_invalid)$/)
    }
  })

  test('405 with Allow for methods that the path does not know', async () => {
    for (const method of [
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
      'SEARCH',
      'GET',
      'HEAD',
    ]) {
      const reply = await call({ method, path: verifyPath })
      expect(reply.status, method).toBe(405)
      expect(reply.headers.allow, method).toBe('POST')
    }
  })

  test('HEAD answers as GET without a body', async () => {
    for (const path of ['/health/live', '/docs', `${tenantPath}/users`]) {
      const get = await call({ path })
      const head = await call({ method: 'HEAD', path })
      expect(head.status).toBe(get.status)
      expect(head.headers['content-type']).toBe(get.headers['content-type'])
      expect(head.bytes).toHaveLength(0)
    }
  })
})

describe('credentials', () => {
  test('401 for repeated, mixed, empty, endless and unreadable ones', async () => {
    const { admin, verifier } = installation.seeds.secrets
    const several: Readonly<Record<string, string | string[]>>[] = [
      { authorization: [`Bearer ${admin}`, `Bearer ${admin}`] },
      { authorization: [`Bearer ${admin}`, 'Bearer other'] },
      { authorization: `Bearer ${admin}`, 'x-api-key': verifier },
      { authorization: 'Bearer' },
      { authorization: '' },
      { authorization: `Bearer ${admin} ${admin}` },
      { authorization: `Bearer ${'a'.repeat(10_000)}` },
      { authorization: `Basic ${Buffer.from('no colon').toString('base64')}` },
      { authorization: 'Basic ====' },
      { authorization: 'Digest username="admin"' },
      { 'x-api-key': [admin, admin] },
    ]
    for (const headers of several) {
      const reply = await client.call({ path: `${tenantPath}/users`, headers: headers })
      expect(reply.status, JSON.stringify(headers).slice(0, 80)).toBe(401)
      expect(reply.headers['www-authenticate']).toContain('Bearer')
      expect(reply.text).not.toContain(admin)
    }
  })

  test('401 for repeated ones on the surfaces of vendors too, whichever of them is good', async () => {
    const { admin } = installation.seeds.secrets
    const paths = [
      { path: '/okm/api/v1/okms' },
      { path: '/okm/api/v1/acls' },
      { path: '/dualshield/das5/rest/token/search', body: {} },
    ]
    for (const call of paths) {
      const single = await client.call({ ...call, headers: { authorization: `Bearer ${admin}` } })
      expect(single.status, call.path).toBe(200)
      for (const authorization of [
        [`Bearer ${admin}`, 'Bearer other'],
        ['Bearer other', `Bearer ${admin}`],
        [`Bearer ${admin}`, `Bearer ${admin}`],
      ]) {
        expect((await client.call({ ...call, headers: { authorization } })).status).toBe(401)
      }
    }
    const basic = `Basic ${Buffer.from(`acme-admin:${admin}`).toString('base64')}`
    const reply = await client.call({
      path: '/dualshield/das5/rest/oauth/token',
      body: 'grant_type=client_credentials',
      headers: {
        authorization: [basic, basic],
        'content-type': 'application/x-www-form-urlencoded',
      },
    })
    expect(reply.status).toBe(401)
  })

  test('they come before everything that the body could be told for', async () => {
    const reply = await client.call({ path: verifyPath, body: '{', secret: 'csk_wrong' })
    expectProblem(reply, 401, 'unauthenticated')
  })
})

describe('raw connections', () => {
  const head = `POST ${verifyPath} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`

  /** Everything that one connection got as answers, until it was closed. */
  async function say(text: string): Promise<RawConnection> {
    const connection = await RawConnection.open(server.url)
    connection.send(text)
    await connection.end(15_000)
    return connection
  }

  test.each([
    ['both lengths', `${head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['two lengths', `${head}Content-Length: 4\r\nContent-Length: 5\r\n\r\n{}  `],
    ['a negative length', `${head}Content-Length: -1\r\n\r\n`],
    ['a signed length', `${head}Content-Length: +2\r\n\r\n{}`],
    ['an unknown coding', `${head}Transfer-Encoding: gzip, chunked, identity\r\n\r\n0\r\n\r\n`],
    ['a hidden coding', `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['a broken chunk size', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    ['a space before the colon', `${head}Content-Length : 2\r\n\r\n{}`],
    ['a folded header', `${head}X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}`],
    ['a bare line feed', `GET / HTTP/1.1\nHost: localhost\n\n`],
    ['an unknown method', 'BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['an unknown version', 'GET / HTTP/7.7\r\nHost: localhost\r\n\r\n'],
    ['no host', 'GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['17 KiB of headers', `${head}X-Long: ${'a'.repeat(17_000)}\r\n\r\n`],
    ['3000 headers', `${head}${'X: y\r\n'.repeat(3_000)}\r\n`],
  ])('%s: one refusal, and the connection is closed', async (_name, text) => {
    using connection = await say(text)
    expect(connection.statuses).toHaveLength(1)
    expect(connection.statuses[0]).toBeGreaterThanOrEqual(400)
    expect(connection.statuses[0]).toBeLessThan(500)
  })

  test('a request hidden behind another is never answered', async () => {
    const hidden = 'GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Hidden: yes\r\n\r\n'
    const text = `${head}Content-Length: ${hidden.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`
    using connection = await say(text)
    expect(connection.statuses).toHaveLength(1)
    expect(connection.received).not.toContain('"status":"ok"')
  })

  test('a body that is shorter than it says is no request', async () => {
    using connection = await RawConnection.open(server.url)
    connection.send(`${head}Authorization: Bearer ${installation.seeds.secrets.admin}\r\n`)
    connection.send('Content-Length: 100\r\n\r\n{"code":"000000"')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(connection.statuses).toEqual([])
  })

  test('a client that sends its headers one by one for ever is closed, and others are served meanwhile', async () => {
    const slow = await Promise.all(Array.from({ length: 50 }, () => RawConnection.open(server.url)))
    for (const connection of slow)
      connection.send('GET /health/live HTTP/1.1\r\nHost: localhost\r\n')
    const drip = setInterval(() => {
      for (const connection of slow) connection.send('X: y\r\n')
    }, 2_000)
    try {
      expect((await call({ path: '/health/ready' })).status).toBe(200)
      // Node looks every 30 seconds for requests that are late; the limit itself is 60.
      await Promise.all(slow.map((connection) => connection.end(110_000)))
      for (const { statuses } of slow) expect(statuses).toEqual([408])
      expect((await call({ path: '/health/ready' })).status).toBe(200)
    } finally {
      clearInterval(drip)
      for (const connection of slow) connection[Symbol.dispose]()
    }
  }, 150_000)
})

describe('random bodies', () => {
  /** PROOF_BODIES: how many in all; they go to the operations in turn. */
  const bodyCount = Number(process.env.PROOF_BODIES ?? 2_000)
  const atOnce = 20

  const targets = contracts.flatMap((contract) =>
    contract.operations
      .filter(({ requestBody }) => requestBody !== undefined)
      .map((operation) => ({ operation, path: pathOf(operation) })),
  )
  const valid = Buffer.from(JSON.stringify({ ...right, context: { application: 'vpn' } }))
  const bodies = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 400 }),
    fc.json().map((text) => Buffer.from(text)),
    // A good body with some bytes changed.
    fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .map((changes) => {
        const changed = Buffer.from(valid)
        for (const [index, byte] of changes) changed[index] = byte
        return changed
      }),
    fc.nat(valid.length).map((length) => valid.subarray(0, length)),
  )

  function pathOf({ basePaths, path }: Operation): string {
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) =>
      name === 'tenantId' ? 'acme' : '01M7YRRT808A9NYTDXX0X5X0P4',
    )
    return `${basePaths[0] ?? ''}${filled}`
  }

  test(`${bodyCount} of them over all ${targets.length} operations with a body: never a 5xx, always as the contract says`, async () => {
    let next = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(bodies, { minLength: atOnce, maxLength: atOnce }),
        async (batch) => {
          await Promise.all(
            batch.map((body) => {
              const target = targets[next++ % targets.length]
              if (target === undefined) throw new Error('There is no operation.')
              const { operation, path } = target
              const [type = ''] = (operation.requestBody?.contents ?? []).map(
                (one) => one.mediaType,
              )
              const headers = { 'content-type': type }
              return call({ method: operation.method, path, body: Buffer.from(body), headers })
            }),
          )
        },
      ),
      { numRuns: bodyCount / atOnce, endOnFailure: true },
    )
    expect((await call({ path: '/health/ready' })).status).toBe(200)
    const failures = server.logs.filter(({ level }) => level === 'error' || level === 'fatal')
    // Clients that went away in the middle of a body are none of the server's faults.
    expect(failures).toEqual([])
  }, 3_600_000)
})
