import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  certificateHeader,
  createInstallation,
  type Installation,
  restPath,
} from './dualshield.fixture.ts'

let at: Installation

beforeAll(async () => {
  at = await createInstallation()
}, 60_000)
afterAll(() => at[Symbol.asyncDispose]())

const management = ['dualshield:management'] as const
const authentication = ['dualshield:authentication'] as const
const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('oauthToken', () => {
  async function ask(payload: string, headers: Record<string, string> = {}) {
    const url = `${restPath}/oauth/token`
    const reply = await at.app.inject({
      method: 'POST',
      url,
      headers: { ...form, ...headers },
      payload,
    })
    await at.send({ method: 'POST', url, headers: { ...form, ...headers }, payload })
    return { status: reply.statusCode, headers: reply.headers, body: reply.json() }
  }

  test('200 with the form or with HTTP Basic, told not to be kept', async () => {
    const { id, secret } = await at.addAgent({
      tenantId: 'acme',
      scopes: [...management, ...authentication],
    })
    const given = `client_id=${id}&client_secret=${secret}`
    const first = await ask(`grant_type=client_credentials&${given}`)
    expect(first.body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      scope: 'management authentication',
    })
    expect(first.body.expires_in).toBeGreaterThanOrEqual(120)
    expect(first.headers['cache-control']).toBe('no-store')
    const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
    const second = await ask('grant_type=client_credentials&scope=authentication', {
      authorization,
    })
    expect(second.body.scope).toBe('authentication')
    const agent = second.body.access_token
    expect((await at.call('token/search', {}, { agent })).error).toBe(1008)
    expect((await at.call('auth/listTokens', { user: 'x' }, { agent })).error).toBe(101)
  })

  test('400 and 401 with the codes of RFC 6749', async () => {
    const { id, secret } = await at.addAgent({ tenantId: 'acme', scopes: management })
    const given = `client_id=${id}&client_secret=${secret}`
    const grant = 'grant_type=client_credentials'
    const authorization = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
    const cases: [number, string, Promise<{ status: number; body: unknown }>][] = [
      [400, 'unsupported_grant_type', ask(`grant_type=password&${given}`)],
      [400, 'invalid_request', ask(given)],
      [400, 'invalid_request', ask(`${grant}&${given}&${given}`)],
      [400, 'invalid_request', ask(`${grant}&${given}`, { authorization })],
      [400, 'invalid_request', ask('{}', { 'content-type': 'application/json' })],
      [400, 'invalid_scope', ask(`${grant}&${given}&scope=authentication`)],
      [400, 'invalid_scope', ask(`${grant}&${given}&scope=everything`)],
      [401, 'invalid_client', ask(`${grant}&client_id=${id}&client_secret=wrong`)],
      [401, 'invalid_client', ask(`${grant}&client_id=nobody&client_secret=${secret}`)],
      [401, 'invalid_client', ask(grant)],
      [401, 'invalid_client', ask(grant, { authorization: 'Basic ???' })],
    ]
    for (const [status, error, reply] of cases) {
      expect(await reply).toMatchObject({ status, body: { error } })
    }
  })

  test('400 unauthorized_client for accounts without tenant or without a scope of this surface', async () => {
    const platform = await at.addAgent({ tenantId: null, scopes: management })
    const native = await at.addAgent({ tenantId: 'acme', scopes: ['verify'] })
    for (const { id, secret } of [platform, native]) {
      const reply = await ask(
        `grant_type=client_credentials&client_id=${id}&client_secret=${secret}`,
      )
      expect(reply).toMatchObject({ status: 400, body: { error: 'unauthorized_client' } })
    }
  })
})

describe('an agent', () => {
  test('401 error 1007 without credentials, before anything else is looked at', async () => {
    for (const authorization of [undefined, 'Bearer nonsense', 'Basic eDp5', 'Bearer']) {
      const answer = await at.send({
        method: 'POST',
        url: `${restPath}/token/get`,
        headers: authorization === undefined ? {} : { authorization },
        payload: 'not JSON',
      })
      expect(answer).toMatchObject({ status: 401, error: 1007 })
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="countersign"')
    }
  })

  test('200 error 1008 without the scope of the method', async () => {
    const scopes = ['dualshield:authentication', 'tenant:write', 'verify'] as const
    const agent = await at.signIn(await at.addAgent({ tenantId: 'acme', scopes }))
    expect((await at.call('token/search', 'not JSON', { agent })).error).toBe(1008)
    const manager = await at.signIn(await at.addAgent({ tenantId: 'acme', scopes: management }))
    expect((await at.call('auth/verify', {}, { agent: manager })).error).toBe(1008)
  })

  test('200 error 1008 without a tenant', async () => {
    const { secret } = await at.addAgent({ tenantId: null, scopes: management })
    expect((await at.call('token/search', {}, { agent: secret })).error).toBe(1008)
  })

  test('is known by its client certificate, from trusted proxies only', async () => {
    const der = Buffer.from('any bytes will do: the proxy has checked them')
    const thumbprint = createHash('sha256').update(der).digest('hex')
    await at.addAgent({ tenantId: 'acme', scopes: management, thumbprints: [thumbprint] })
    const ask = (value: string, remoteAddress = '127.0.0.1') =>
      at.send({
        method: 'POST',
        url: `${restPath}/token/search`,
        headers: { [certificateHeader]: value, 'content-type': 'application/json' },
        remoteAddress,
        payload: '{}',
      })
    const good = `:${der.toString('base64')}:`
    expect(await ask(good)).toMatchObject({ status: 200, error: 0 })
    expect(await ask(good, '192.0.2.1')).toMatchObject({ status: 401, error: 1007 })
    for (const bad of [
      der.toString('base64'),
      `:${der.toString('hex')}:`,
      '::',
      `${good}, ${good}`,
    ]) {
      expect(await ask(bad)).toMatchObject({ status: 401, error: 1007 })
    }
  })

  test('401 error 1007 from an address that is not allowed', async () => {
    const account = { tenantId: 'acme', scopes: management, addresses: ['192.0.2.0/24'] }
    const { secret } = await at.addAgent(account)
    expect(await at.call('token/search', {}, { agent: secret })).toMatchObject({
      status: 401,
      error: 1007,
    })
  })
})

describe('a body', () => {
  test.each<[number, number, string, string]>([
    [400, 1001, 'a member twice', '{"id":"a","id":"b"}'],
    [400, 1001, 'a comment', '{"id":"a"} // x'],
    [400, 1001, 'an unquoted word', '{"pin":tokenpin}'],
    [400, 1001, 'nothing', ''],
    [400, 1001, 'half of it', '{"id":'],
    [400, 1001, '33 levels', `${'['.repeat(33)}${']'.repeat(33)}`],
    [400, 1001, '__proto__', '{"__proto__":{}}'],
    [413, 1009, 'more than 1 MiB', JSON.stringify({ id: 'x'.repeat(1_048_577) })],
    [200, 1004, 'an array', '[]'],
    [200, 1004, 'a text', '"x"'],
    [200, 1003, 'no member that is needed', '{"unknown":1}'],
  ])('%i error %i for %s', async (status, error, _what, body) => {
    expect(await at.call('token/delete', body)).toMatchObject({ status, error })
  })

  test('415 error 1010 for another media type or charset; UTF-8 is tolerated', async () => {
    const agent = await at.signIn(await at.addAgent({ tenantId: 'acme', scopes: management }))
    const send = (contentType: string) =>
      at.send({
        method: 'POST',
        url: `${restPath}/token/search`,
        headers: { authorization: `Bearer ${agent}`, 'content-type': contentType },
        payload: '{}',
      })
    expect(await send('text/plain')).toMatchObject({ status: 415, error: 1010 })
    expect(await send('application/json; charset=utf-16')).toMatchObject({ status: 415 })
    expect(await send('application/json;charset=UTF-8')).toMatchObject({ status: 200, error: 0 })
  })

  test('404 error 1002 for methods that do not exist, 405 error 1011 for another HTTP method', async () => {
    expect(await at.call('token/verifyResponse')).toMatchObject({ status: 404, error: 1002 })
    const agent = await at.signIn(await at.addAgent({ tenantId: 'acme', scopes: management }))
    const headers = { authorization: `Bearer ${agent}` }
    const url = `${restPath}/token/get`
    const answer = await at.send({ method: 'GET', url, headers })
    expect(answer).toMatchObject({ status: 405, error: 1011, message: 'Use POST' })
    expect(answer.headers.allow).toBe('POST')
    expect(await at.send({ method: 'PUT', url })).toMatchObject({ status: 401, error: 1007 })
  })
})
