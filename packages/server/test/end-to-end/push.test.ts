import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serviceAccount, vapidMembers } from '#domain/apps/apps.fixture.ts'
import { until } from '#test/support/delivery.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import {
  type ApnsServer,
  issueSigningKey,
  openJwt,
  startApnsServer,
  trustTestProviders,
} from '#test/support/push-providers.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'
import { TestDevice } from '#test/support/test-device.ts'
import { createWebPushBrowser } from '#test/support/web-push-browser.ts'

const signingKey = issueSigningKey()
const browser = createWebPushBrowser()
const clientSecret = 'the-secret-of-the-huawei-app'
let api: PlatformApi
let apple: ApnsServer
let others: Receiver
let backend: string

beforeAll(async () => {
  trustTestProviders()
  apple = await startApnsServer()
  others = await startReceiver(({ path }, response) => {
    if (path.startsWith('/token'))
      response.writeHead(200).end('{"access_token":"bearer-of-a-test"}')
    else if (path === '/v1/h1/messages:send') response.writeHead(200).end('{"code":"80000000"}')
    else response.writeHead(path.startsWith('/v1/') ? 200 : 201).end('{}')
  })
  const { origin } = new URL(others.url)
  const endpoints = {
    fcm: origin,
    'fcm-token': `${origin}/token`,
    apns: apple.origin,
    hms: origin,
    'hms-token': `${origin}/token`,
  }
  api = await createTenant({
    COUNTERSIGN_PUSH_ENDPOINTS: Object.entries(endpoints)
      .map(([name, url]) => `${name}=${url}`)
      .join(','),
    COUNTERSIGN_PUSH_ALLOW: '127.0.0.1',
  })
  backend = await api.createAccount('acme', ['ast:write', 'tenant:write'])
})

afterAll(async () => {
  await api[Symbol.asyncDispose]()
  await apple[Symbol.asyncDispose]()
  await others[Symbol.asyncDispose]()
})

async function createTenant(env: Readonly<Record<string, string>>): Promise<PlatformApi> {
  const made = await createPlatformApi(env)
  await made.createTenant('acme')
  return made
}

async function ast(method: string, path: string, body?: object): Promise<Response> {
  return astOf({ api, backend }, method, path, body)
}

async function astOf(
  { api, backend }: { api: PlatformApi; backend: string },
  method: string,
  path: string,
  body?: object,
): Promise<Response> {
  return fetch(`${api.origin}/ast/v1/tenants/acme${path}`, {
    method,
    headers: { authorization: `Bearer ${backend}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

async function enrol(pushToken: string, userId?: string, at = api): Promise<TestDevice> {
  const { body } = await at.call('POST /api/v1/tenants/acme/enrolment-codes', {
    body: userId === undefined ? {} : { user: { id: userId } },
  })
  const device = new TestDevice(at)
  const { status } = await device.enrol(body.secret.code, { body: { pushToken, locales: ['de'] } })
  expect(status).toBe(201)
  return device
}

const subscription = (endpoint: string) => {
  const keys = {
    p256dh: browser.keys.p256dh.toString('base64url'),
    auth: browser.keys.auth.toString('base64url'),
  }
  return `WEB:${Buffer.from(JSON.stringify({ endpoint, keys })).toString('base64url')}`
}

describe('a transaction of AST', () => {
  test('calls every device of the user by its own provider, and only the devices know more', async () => {
    const { body: app } = { body: { ...vapidMembers(), categories: ['tms', 'chat'] } }
    const saved = await ast('POST', '/apps/acme-bank', {
      ...app,
      fcmServiceAccountJSON: serviceAccount(),
      iosApnsKeyId: 'KEY1234567',
      iosApnsTeamId: 'TEAM123456',
      iosApnsPrivateKey: signingKey.pem,
      iosBundleId: 'com.acme.bank',
      iosIsDevelopment: false,
      hpkClientId: 'h1',
      hpkClientSecret: clientSecret,
    })
    expect(saved.status).toBe(201)
    await ast('POST', '/templates', {
      key: 'com.kobil.ast.tms.newTms.title',
      defaultContent: 'Please confirm',
      locales: [{ locale: 'de', content: 'Bitte bestätigen' }],
    })
    const first = await enrol('FCM:google-token')
    const tokens = [`APN:${'cd'.repeat(32)}`, 'HPK:huawei-token', subscription(`${others.url}/sub`)]
    for (const token of tokens) await enrol(token, first.userId)
    const { body: identifiers } = await api.call(`GET /api/v1/tenants/acme/users/${first.userId}`)
    const started = await ast('POST', '/tms', {
      userId: identifiers.loginName,
      tmsData: { text: 'Überweisung: 987,65 EUR' },
    })
    expect(started.status).toBe(202)
    const { id } = (await started.json()) as { id: string }

    const called = () => others.received.filter(({ path }) => !path.startsWith('/token'))
    await until(() => called().length === 3 && apple.received.length === 1)
    const ids = { to: { userId: first.userId, tenantId: 'acme' }, messageId: id }
    const [alert] = apple.received
    expect(alert?.payload).toMatchObject({
      ...ids,
      aps: { alert: { title: 'Bitte bestätigen', 'loc-key': 'com.kobil.ast.tms.newTms.body' } },
    })
    const jwt = String(alert?.headers.authorization).replace('bearer ', '')
    expect(openJwt(jwt, signingKey.publicKey)).toMatchObject({
      header: { kid: 'KEY1234567' },
      claims: { iss: 'TEAM123456' },
    })
    const sentTo = (path: RegExp) =>
      called().find((one) => path.test(one.path))?.body ?? Buffer.of()
    expect(JSON.parse(String(sentTo(/projects/))).message).toMatchObject({
      token: 'google-token',
      data: { 'to.userId': first.userId, 'to.tenantId': 'acme', messageId: id },
      notification: { title: 'Bitte bestätigen' },
    })
    const { message } = JSON.parse(String(sentTo(/h1/)))
    expect(message.token).toEqual(['huawei-token'])
    expect(JSON.parse(message.data)).toEqual(ids)
    expect(JSON.parse(browser.open(sentTo(/sub/)).toString())).toEqual({
      ...ids,
      title: 'Bitte bestätigen',
      body: 'com.kobil.ast.tms.newTms.body',
    })
    const everything = [...called().map(({ body }) => String(body)), JSON.stringify(alert?.payload)]
    expect(everything.join()).not.toContain('987,65')
    await until(async () => {
      const metrics = await (await fetch(`${api.origin}/metrics`)).text()
      return ['fcm', 'apns', 'hms', 'web'].every((name) =>
        metrics.includes(`countersign_deliveries_total{kind="push-${name}",outcome="delivered"} 1`),
      )
    })
  })
})

describe('a browser', () => {
  test('is not called where webhooks may go inside', async () => {
    await using service = await startReceiver(201)
    await using open = await createTenant({ COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.1' })
    const caller = {
      api: open,
      backend: await open.createAccount('acme', ['ast:write', 'tenant:write']),
    }
    const hook = { url: service.url, eventTypes: ['device.enrolled'] }
    const hooked = await open.call('POST /api/v1/tenants/acme/webhook-endpoints', { body: hook })
    expect(hooked.status).toBe(201)
    const app = { ...vapidMembers(), categories: ['tms'] }
    expect((await astOf(caller, 'POST', '/apps/acme-bank', app)).status).toBe(201)
    const device = await enrol(subscription(`${service.url}/sub`), undefined, open)
    const { body: user } = await open.call(`GET /api/v1/tenants/acme/users/${device.userId}`)
    const tms = { userId: user.loginName, tmsData: { text: 'Transfer' } }
    expect((await astOf(caller, 'POST', '/tms', tms)).status).toBe(202)
    await until(async () => {
      const metrics = await (await fetch(`${open.origin}/metrics`)).text()
      return metrics.includes('{kind="push-web",outcome="failed"} 1')
    })
    await until(() => service.received.length > 0)
    expect(service.received.map(({ path }) => path)).toEqual(['/hook'])
  })

  test('200 with a subscription, which callers see as WEB; 400 with one that cannot be sent to', async () => {
    const device = await enrol(subscription('https://push.example/1'))
    await device.login({ bio: true })
    const shown = await api.call(`GET /api/v1/tenants/acme/devices/${device.id}`)
    expect(shown.body.pushProvider).toBe('WEB')
    const bad = `WEB:${Buffer.from('{"endpoint":"https://push.example/1"}').toString('base64url')}`
    const refused = await device.call('PATCH /device', { body: { pushToken: bad } })
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } })
    expect(JSON.stringify(refused.body)).not.toContain('push.example')
    for (const pushToken of ['WEB:', 'WEB:a b', 'WEB:a=', 'GCM:x']) {
      expect((await device.call('PATCH /device', { body: { pushToken } })).status).toBe(400)
    }
    expect((await device.call('GET /device')).body.pushRegistered).toBe(true)
    const { body } = await api.call('POST /api/v1/tenants/acme/enrolment-codes', { body: {} })
    const other = new TestDevice(api)
    const enrolled = await other.enrol(body.secret.code, { body: { pushToken: bad } })
    expect(enrolled.status).toBe(400)
    // The code is not spent by it.
    expect((await other.enrol(body.secret.code)).status).toBe(201)
  })
})
