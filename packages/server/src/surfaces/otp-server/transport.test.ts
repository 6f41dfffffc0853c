import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { platformAdmin } from '#test/support/core.ts'
import { basic, createPlatformApi } from '#test/support/platform-api.ts'
import { RawConnection } from '../../../test/end-to-end/raw-connection.ts'
import { createInstallation, type Installation, requireValid } from './otp-server.fixture.ts'

let at: Installation

beforeAll(async () => {
  at = await createInstallation()
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

const unknownId = 'f000d9d5-d97d-4347-b4ff-e2edb72b35fd'
/** Every path of the API with a method that it has. */
const doors = [
  'POST /otp.1/otp-list',
  'POST /otp.1/otp-list/_batch',
  'GET /otp.1/otp-list/_query',
  `GET /otp.1/otp-list/${unknownId}`,
  `PUT /otp.1/otp-list/${unknownId}`,
  `DELETE /otp.1/otp-list/${unknownId}`,
  'GET /otp.1/user-info/_query',
  'POST /otp.1/user-info/_verify',
] as const

describe('credentials', () => {
  test.each(doors)(
    '401 with a Basic challenge at %s, before anything else is looked at',
    async (door) => {
      const nonsense = door.replace('otp.1', 'otp.notfound') as 'GET /'
      for (const target of [door, nonsense]) {
        const answer = await at.call(target, {
          as: null,
          query: 'max-age=x&%zz',
          headers: { 'content-type': 'text/plain' },
        })
        expect(answer).toMatchObject({ status: 401, reason: 'unauthorized' })
        expect(answer.headers['www-authenticate']).toBe('Basic realm="OTP Server", charset="UTF-8"')
        expect(answer.text).toBe(
          '<?xml version="1.0" encoding="UTF-8"?>\n<error status="401">Unauthorized</error>\n',
        )
      }
    },
  )

  test('401 at paths and for methods that do not exist', async () => {
    for (const target of [
      'GET /',
      'GET /otp.1',
      'GET /otp.1/nothing',
      'PATCH /otp.1/otp-list',
      'OPTIONS /otp.1/otp-list/_batch',
      'GET /otp.1/user-info/_all',
      'DELETE /otp.1/otp-list/_all',
    ] as const) {
      expect((await at.call(target, { as: null })).status, target).toBe(401)
    }
  })

  test('401 for everything that is not Basic with id and secret', async () => {
    const { id, secret } = at.admin
    const pair = Buffer.from(`${id}:${secret}`)
    const wrong = [
      `Bearer ${secret}`,
      'Basic',
      'Basic ',
      `Basic ${pair.toString('base64')}=`,
      `Basic ${pair.toString('base64').replace(/=+$/, '')}A`,
      `Basic ${pair.toString('base64')} x`,
      `Basic ${pair.toString('hex')}`,
      'Basic ????',
      `Basic ${Buffer.from(id).toString('base64')}`,
      `Basic ${Buffer.from(`${id}:`).toString('base64')}`,
      `Basic ${Buffer.from(`:${secret}`).toString('base64')}`,
      `Basic ${Buffer.from(`${id}:${secret} `).toString('base64')}`,
      `Basic ${Buffer.from(`${id}:${'x'.repeat(2000)}`).toString('base64')}`,
      `Basic ${Buffer.from(`user1:${secret}`).toString('base64')}`,
      `Digest username="${id}"`,
      pair.toString('base64'),
    ]
    for (const authorization of wrong) {
      const answer = await at.call('GET /otp.1/otp-list/_query', {
        as: null,
        headers: { authorization },
      })
      expect(answer.status, authorization).toBe(401)
    }
    const ways = [`basic ${pair.toString('base64')}`, `BASIC   ${pair.toString('base64')}`]
    for (const authorization of ways) {
      const headers = { authorization }
      expect((await at.call('GET /otp.1/otp-list/_query', { as: null, headers })).status).toBe(200)
    }
  })

  test('401 with a secret in other places, though it is the right one', async () => {
    for (const headers of [{ 'x-api-key': at.admin.secret }, { 'client-cert': ':AAAA:' }]) {
      expect((await at.call('GET /otp.1/otp-list/_query', { as: null, headers })).status).toBe(401)
    }
  })

  test('401 with two Authorization headers, be they the same', async () => {
    const { authorization } = basic(at.admin.id, at.admin.secret)
    using connection = await RawConnection.open(at.api.origin)
    connection.send(
      `GET /otp-server/otp.1/otp-list/_query HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n` +
        `Authorization: ${authorization}\r\nConnection: close\r\n\r\n`,
    )
    expect(await connection.answers(1)).toEqual([401])
  })

  test('401 once the account is disabled', async () => {
    const account = await at.addAccount('acme', ['otp-server:admin'])
    const ask = async () => (await at.call('GET /otp.1/otp-list/_query', { as: account })).status
    expect(await ask()).toBe(200)
    await at.core.serviceAccounts.update(platformAdmin, account.id, { enabled: false })
    expect(await ask()).toBe(401)
  })

  test('403 without the scope: the verifier reaches the user and no list', async () => {
    const native = await at.addAccount('acme', ['tenant:write', 'verify'])
    const platform = await at.addAccount(null, ['platform:admin', 'otp-server:admin'])
    for (const door of doors) {
      const asked = async (as: typeof native) => {
        const { status, reason } = await at.call(door, { as })
        return [status, reason]
      }
      expect(await asked(native), door).toEqual([403, 'not-an-admin'])
      expect(await asked(platform), door).toEqual([403, 'not-an-admin'])
      const isUser = door.includes('user-info')
      expect((await asked(at.verifier))[0] === 403, door).toBe(!isUser)
    }
    for (const target of [
      'GET /otp.1/otp-list',
      'PUT /otp.1/x',
      'GET /otp.1/otp-list/_x',
    ] as const) {
      expect((await at.call(target, { as: at.verifier })).status, target).toBe(403)
    }
    expect((await at.call('PUT /otp.1/user-info/_verify', { as: at.verifier })).status).toBe(405)
  })

  test('429 with the time to wait for an address that failed too often', async () => {
    await using other = await createInstallation({
      env: { COUNTERSIGN_AUTH_FAILURES_PER_MINUTE: '3' },
    })
    const as = { id: other.admin.id, secret: 'wrong' }
    const statuses: number[] = []
    for (let attempt = 0; attempt < 4; attempt++) {
      statuses.push((await other.call('GET /otp.1/otp-list/_query', { as })).status)
    }
    expect(statuses).toEqual([401, 401, 401, 429])
    const answer = await other.call('GET /otp.1/otp-list/_query')
    expect(answer).toMatchObject({ status: 429, reason: 'too-many-requests' })
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  }, 60_000)
})

describe('the surface', () => {
  test('404 everywhere, in the words of the platform, when it is switched off', async () => {
    await using off = await createPlatformApi({ COUNTERSIGN_SURFACES: 'dualshield' })
    const reply = await off.app.http.inject({ method: 'POST', url: '/otp-server/otp.1/otp-list' })
    expect(reply.statusCode).toBe(404)
    expect(reply.headers['content-type']).toMatch(/^application\/problem\+json/)
  })
})

describe('the order of checks', () => {
  test.each([...doors, 'PATCH /otp.1/otp-list', 'GET /otp.1/nothing'] as const)(
    '404 for the name of the method before anything else of %s',
    async (door) => {
      const answer = await at.call(door.replace('otp.1', 'otp.notfound') as 'GET /', {
        query: 'max-age=x&max-age=y&page-size=0',
        headers: { 'content-type': 'text/plain' },
      })
      expect(answer).toMatchObject({ status: 404, reason: 'unknown-method' })
    },
  )

  test.each<[string, string]>([
    ['/otp.1/otp-list', 'POST'],
    ['/otp.1/otp-list/_batch', 'POST'],
    ['/otp.1/otp-list/_query', 'GET, HEAD'],
    [`/otp.1/otp-list/${unknownId}`, 'GET, HEAD, PUT, DELETE'],
    ['/otp.1/otp-list/no-uuid', 'GET, HEAD, PUT, DELETE'],
    ['/otp.1/user-info/_query', 'GET, HEAD'],
    ['/otp.1/user-info/_verify', 'POST'],
  ])(
    '405 with Allow for every other method at %s, known method name or not: 404',
    async (path, allow) => {
      const allowed = allow.split(', ')
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        if (allowed.includes(method)) continue
        const answer = await at.call(`${method} ${path}` as 'GET /', {
          headers: { 'content-type': 'text/plain' },
        })
        expect(answer.status, method).toBe(405)
        expect(answer.headers.allow).toBe(allow)
        expect(answer.reason).toBe('method-not-allowed')
        const unknown = path.replace('otp.1', 'otp.notfound')
        expect((await at.call(`${method} ${unknown}` as 'GET /')).status).toBe(404)
      }
    },
  )

  test('404 for reserved identifiers without a meaning, whatever the HTTP method', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      for (const path of [
        '/otp.1/otp-list/_all',
        '/otp.1/otp-list/_verify',
        '/otp.1/otp-list/%5fall',
        '/otp.1/user-info/_all',
        '/otp.1/user-info/_batch',
      ]) {
        const answer = await at.call(`${method} ${path}` as 'GET /')
        expect(answer, `${method} ${path}`).toMatchObject({
          status: 404,
          reason: 'unknown-identifier',
        })
      }
    }
  })

  test('404 for what is no path of the API', async () => {
    for (const path of [
      '',
      '/',
      '/otp.1',
      '/otp.1/',
      '/otp.1/otp-lists',
      '/otp.1/otp-list/_batch/x',
      '/otp.1/user-info',
      '/otp.1/user-info/user1',
      '/otp%2E1%2Fotp-list',
      '/otp.1/otp-list%2F_batch',
      '//otp.1/otp-list',
      '/otp.1/OTP-LIST',
    ]) {
      const { status } = await at.send({
        method: 'POST',
        url: `/otp-server${path}`,
        headers: basic(at.admin.id, at.admin.secret),
      })
      expect(status, path).toBe(404)
    }
  })
})

describe('a hostile request', () => {
  async function raw(line: string, headers: readonly string[] = [], body = '') {
    using connection = await RawConnection.open(at.api.origin)
    const { authorization } = basic(at.admin.id, at.admin.secret)
    const lines = [
      line,
      'Host: x',
      `Authorization: ${authorization}`,
      'Connection: close',
      ...headers,
    ]
    connection.send(`${lines.join('\r\n')}\r\n\r\n${body}`)
    const [status] = await connection.answers(1)
    await connection.closed
    const document = connection.received.split('\r\n\r\n')[1] ?? ''
    return { status, head: connection.received.split('\r\n\r\n')[0] ?? '', document }
  }

  test.each<[string, number]>([
    ['TRACE /otp-server/otp.1/otp-list HTTP/1.1', 405],
    ['PROPFIND /otp-server/otp.1/otp-list HTTP/1.1', 405],
    ['PROPFIND /otp-server/otp.notfound/otp-list HTTP/1.1', 404],
    ['TRACE /otp-server/otp.1/otp-list/_all HTTP/1.1', 404],
    ['GET /otp-server/%zz/otp-list HTTP/1.1', 404],
    ['GET /otp-server/otp.1/otp-list?max-age=%zz HTTP/1.1', 405],
    ['GET /otp-server/otp.1/otp-list/%ff HTTP/1.1', 404],
    ['GET /otp-server/otp.1/otp-list/..%2f..%2fadmin HTTP/1.1', 404],
    ['GET /otp-server/otp.1/otp-list/a%0d%0aX-Injected:1 HTTP/1.1', 404],
    [`GET /otp-server/${'a'.repeat(65)}/otp-list/_query HTTP/1.1`, 404],
    [`GET /otp-server/otp.1/otp-list/${'a'.repeat(5000)} HTTP/1.1`, 400],
    [`GET /otp-server/otp.1/otp-list/_query?${'a'.repeat(9000)} HTTP/1.1`, 400],
    [`GET /otp-server/otp.1/otp-list/_query?${'a&'.repeat(300)} HTTP/1.1`, 400],
    ['GET /otp-server/otp.1/otp-list/_query?status=%00 HTTP/1.1', 400],
    ['GET /otp-server/otp.1/otp-list/_query?__proto__=1&constructor=2 HTTP/1.1', 200],
    ['GET /otp-server/__proto__/otp-list/_query HTTP/1.1', 404],
    ['GET /otp-server/otp.1/otp-list/_query?page-token=__proto__ HTTP/1.1', 400],
  ])('%s is %i, in XML', async (line, status) => {
    const reply = await raw(line)
    expect(reply.status).toBe(status)
    expect(reply.head).toMatch(/content-type: application\/xml;charset=UTF-8/i)
    expect(reply.head).not.toMatch(/injected/i)
    await requireValid(new Map([[reply.document, line]]))
  })

  test('with a huge body for PUT and DELETE is refused with 413, not read', async () => {
    for (const method of ['PUT', 'DELETE']) {
      const line = `${method} /otp-server/otp.1/otp-list/${unknownId} HTTP/1.1`
      const reply = await raw(line, ['Content-Type: text/plain', 'Content-Length: 99999999'], 'x')
      // The list is unknown, which is said first where nothing was read yet.
      expect([404, 413]).toContain(reply.status)
    }
  })

  test('with any bytes as a query or a form is answered, never with a 5xx', async () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
    const names = ['max-age', 'expires', 'batch-size', 'uniqueID', 'page-token', 'status', 'otp']
    const value = fc.oneof(
      fc.string(),
      bytes.map((one) => one.toString('latin1')),
    )
    const query = fc
      .array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 4 })
      .map((pairs) =>
        pairs.map(([name, text]) => `${name}=${encodeURIComponent(text.toWellFormed())}`).join('&'),
      )
    const door = fc.constantFrom(...doors)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    await fc.assert(
      fc.asyncProperty(door, query, bytes, async (target, search, payload) => {
        const { status } = await at.call(target, { query: search, payload, headers: form })
        expect(status).toBeLessThan(500)
      }),
      { numRuns: 300 },
    )
  }, 60_000)

  test('of the same account is told nothing in a header that it has sent', async () => {
    const id = createHash('sha256').update('x').digest('hex')
    const answer = await at.call(`GET /otp.1/otp-list/${id}`, { query: `x=${id}` })
    expect(JSON.stringify(answer.headers)).not.toContain(id)
  })
})
