import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Method } from '#http/contract.ts'
import {
  base,
  createOkmInstallation,
  type OkmInstallation,
  operationSamples,
} from './okm.fixture.ts'

const unauthorized = {
  error_code: 'INVALID_ACCESS_TOKEN',
  error_msg: 'The accessToken is invalid or has been revoked.',
}
const noScope = { error_code: 'UNAUTHORIZED_ACCESS', error_msg: 'Missing required scopes' }

const byToken = operationSamples.filter(({ schemes }) => schemes.includes('accessToken'))

let okm: OkmInstallation
beforeAll(async () => {
  okm = await createOkmInstallation()
})
afterAll(() => okm[Symbol.asyncDispose]())

describe('the bases', () => {
  test.each(['/okm/api/v1', '/okm/v1'])(
    '%s serves the same OKMs, with and without a slash',
    async (one) => {
      const id = one.replaceAll('/', '-')
      const made = await okm.call(
        'POST',
        '/okms/',
        { id, serial: id, customer: 'invu' },
        { base: one },
      )
      expect(made.status).toBe(201)
      for (const other of ['/okm/api/v1', '/okm/v1']) {
        const found = await okm.call('GET', `/okms/${id}/`, undefined, { base: other })
        expect([found.status, found.body.data]).toEqual([200, made.body.data])
      }
    },
  )

  test.each([
    '/okms',
    '/config/x',
    '/audit/x',
    '/okm/okms',
    '/okm/api/v2/okms',
    '/embeddedv1/okms',
    '/embeddedv1',
    '/okm',
  ])('404 for %s', async (path) => {
    const { statusCode } = await okm.app.inject({ method: 'GET', url: path })
    expect(statusCode).toBe(404)
  })

  test('404 in the words of this surface for what nobody serves', async () => {
    const { statusCode, body } = await okm.app.inject({ method: 'GET', url: `${base}/unknown` })
    expect([statusCode, JSON.parse(body)]).toEqual([
      404,
      { error_code: 'NOT_FOUND', error_msg: 'Not found' },
    ])
  })

  test.each<[Method, string, string]>([
    ['PUT', '/okms', 'GET, HEAD, POST'],
    ['POST', '/okms/X1', 'GET, HEAD, PUT, DELETE'],
    ['DELETE', '/config/X1', 'GET, HEAD'],
    ['GET', '/audit/X1', 'POST'],
    ['PATCH', '/acls', 'POST, GET, HEAD'],
  ])('405 for %s %s', async (method, path, allow) => {
    const { status, headers, body } = await okm.call(method, path, undefined, { token: '' })
    expect([status, body.error_code, body.error_msg]).toEqual([
      405,
      'METHOD_NOT_ALLOWED',
      `Cannot ${method}`,
    ])
    expect(String(headers.allow).split(', ').sort()).toEqual(allow.split(', ').sort())
  })
})

describe('tokens', () => {
  test.each(byToken)('401 without a good one: $operation.id', async ({ method, path }) => {
    const nobody = { token: '' }
    for (const options of [
      nobody,
      { token: 'wrong' },
      { token: '00000000000000aa.00000000000000bb.00000000000000cc' },
      { ...nobody, headers: { authorization: okm.tokens.invu } },
      { ...nobody, headers: { authorization: `Basic ${okm.tokens.invu}` } },
      { ...nobody, headers: { 'api-key': okm.tokens.invu } },
      { ...nobody, headers: { 'x-api-key': okm.tokens.invu } },
    ]) {
      const { status, headers, body } = await okm.call(method, path, undefined, options)
      expect([status, headers['www-authenticate'], body]).toEqual([401, 'Bearer', unauthorized])
    }
  })

  test.each(byToken)(
    '403 without the scope, before anything else: $operation.id',
    async ({ method, path, operation }) => {
      // Everything but what the operation wants.
      const [wanted = ''] = operation.security.flatMap(({ accessToken }) => accessToken ?? [])
      const kind = wanted.split(':')[0]
      const scopes = (
        ['okms:write', 'acls:write', 'acl-okms:write', 'firmware:read'] as const
      ).filter((scope) => scope.split(':')[0] !== kind)
      const token = await okm.addAccount('invu', [...scopes, 'audit:subscribe'])
      const { status, body } = await okm.call(method, `${path}?page=x&customer=acme`, undefined, {
        token,
      })
      expect([status, body]).toEqual([403, noScope])
    },
  )

  test.each(byToken.filter(({ operation }) => !['Firmware', 'Tokens'].includes(operation.tag)))(
    '403 for accounts of the platform: $operation.id',
    async ({ method, path }) => {
      const token = await okm.addAccount(null, ['okms:write', 'acls:write', 'acl-okms:write'])
      expect((await okm.call(method, path, undefined, { token })).body).toEqual(noScope)
    },
  )

  test('403 with the read scope for what writes', async () => {
    const token = await okm.addAccount('invu', ['okms:read'])
    expect((await okm.call('GET', '/okms', undefined, { token })).status).toBe(200)
    const body = { id: 'R', serial: 'r', customer: 'invu' }
    expect((await okm.call('POST', '/okms', body, { token })).body).toEqual(noScope)
  })

  test('200 with the scheme in any case', async () => {
    const headers = { authorization: `bearer  ${okm.tokens.invu}` }
    expect((await okm.call('GET', '/okms', undefined, { token: '', headers })).status).toBe(200)
  })

  test('429 for an address that fails too often', async () => {
    await using limited = await createOkmInstallation({ authFailuresPerMinute: 3 })
    for (let count = 0; count < 3; count++) {
      expect((await limited.call('GET', '/okms', undefined, { token: 'x' })).status).toBe(401)
    }
    const { status, headers, body } = await limited.call('GET', '/okms')
    expect([status, body.error_code]).toEqual([429, 'TOO_MANY_REQUESTS'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('hostile bodies', () => {
  const good = '{"id":"H","serial":"h","customer":"invu"}'
  const nested = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`

  test.each([
    ['', 'The body is empty.'],
    ['{', 'The body does not follow the syntax of its media type.'],
    [`${good} x`, 'The body does not follow the syntax of its media type.'],
    ['{"id":"H","serial":"h","serial":"i","customer":"invu"}', 'The body names a member twice.'],
    [good.replace('}', ',"user_data":{"a":1,"a":2}}'), 'The body names a member twice.'],
    [
      good.replace('}', ',"__proto__":{"admin":true}}'),
      'The body has a member with a name that is not allowed.',
    ],
    [good.replace('}', `,"user_data":${nested}}`), 'The body is nested too deeply.'],
    [good.replace('"h"', '"h\\u0000"'), 'The body holds U+0000 or half of a surrogate pair.'],
    [good.replace('"H"', '"\\ud800"'), 'The body holds U+0000 or half of a surrogate pair.'],
    [good.replace('}', ',"user_data":{"n":1e999}}'), 'The body holds a number that is too large.'],
  ])('400 and nothing changed: %j', async (text, reason) => {
    const { status, body } = await okm.call('POST', '/okms', text)
    expect(status).toBe(400)
    expect(body).toEqual({
      error_code: 'VALIDATION_FAILED',
      error_msg: 'Validation failed for the request',
      errors: [{ field: 'body', reason }],
    })
    expect((await okm.call('GET', '/okms/H')).status).toBe(404)
  })

  test.each(['[]', 'null', '1', '"text"', '[{"id":"H"}]'])('400 for %s', async (text) => {
    const { status, body } = await okm.call('POST', '/okms', text)
    expect([status, body.errors]).toEqual([400, [{ field: 'body', reason: 'must be an object' }]])
  })

  test('413 beyond 1 MiB, 415 for what is no JSON', async () => {
    const large = good.replace('}', `,"user_data":{"x":"${'x'.repeat(1_048_576)}"}}`)
    const refused = await okm.call('POST', '/okms', large)
    expect([refused.status, refused.body]).toEqual([
      413,
      { error_code: 'PAYLOAD_TOO_LARGE', error_msg: 'Payload too large' },
    ])
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=latin1',
    ]) {
      const headers = { 'content-type': type }
      const { status, body } = await okm.call('POST', '/okms', good, { headers })
      expect([status, body.error_code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
    }
  })

  test('400 for a query that cannot be read', async () => {
    for (const query of ['customer=%ff', 'customer=%', 'page=%00']) {
      expect((await okm.call('GET', `/okms?${query}`)).status).toBe(400)
    }
  })
})

test('one refusal in the order of the contract: method, token, scope, shape, customer, id, object', async () => {
  const reader = { token: await okm.addAccount('invu', ['okms:read']) }
  const foreign = { id: 'A', serial: 'a', customer: 'acme' }
  const own = { ...foreign, customer: 'invu' }
  const statuses = [
    await okm.call('PATCH', '/okms/B', '{', { token: 'wrong' }),
    await okm.call('PUT', '/okms/B?customer=acme', '{', { token: 'wrong' }),
    await okm.call('PUT', '/okms/B?customer=acme', '{', reader),
    await okm.call('PUT', '/okms/B?customer=acme', { ...foreign, serial: '' }),
    await okm.call('PUT', '/okms/B?customer=acme', foreign),
    await okm.call('PUT', '/okms/B', own),
    await okm.call('PUT', '/okms/A', own),
  ].map(({ status, body }) => [status, body.error_code])
  expect(statuses).toEqual([
    [405, 'METHOD_NOT_ALLOWED'],
    [401, 'INVALID_ACCESS_TOKEN'],
    [403, 'UNAUTHORIZED_ACCESS'],
    [400, 'VALIDATION_FAILED'],
    [403, 'UNAUTHORIZED_ACCESS'],
    [400, 'ID_MISMATCH'],
    [404, 'NOT_FOUND'],
  ])
})
