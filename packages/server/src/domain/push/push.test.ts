import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { pushEndpoints } from '#push/endpoints.ts'
import { openWays } from '#push/push.fixture.ts'
import { createPushSenders, type OpenPushSenders } from '#push/push-senders.ts'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines, platformAdmin, testCaller } from '#test/support/core.ts'
import { startDispatcher, until } from '#test/support/delivery.ts'
import type { Phone } from '#test/support/phone.ts'
import {
  type Answering,
  type Received,
  type Receiver,
  startReceiver,
} from '#test/support/receiver.ts'
import { createWebPushBrowser } from '#test/support/web-push-browser.ts'
import type { ApprovalPush } from '../approvals/approval.ts'
import type { AppDraft } from '../apps/app-service.ts'
import { serviceAccount, vapidMembers } from '../apps/apps.fixture.ts'
import type { DeliveryKind } from '../outbox/delivery-kind.ts'
import { pushDeliveryKinds } from './compose-push.ts'

describe.each(engines)('push on %s', (engine) => {
  let bench: ApprovalBench
  let google: Receiver
  let answering: Answering
  let senders: OpenPushSenders
  let ways: ReturnType<typeof openWays>
  let kinds: readonly DeliveryKind[]
  let appCount = 0

  beforeAll(async () => {
    bench = await createApprovalBench(engine)
    const { core, storage, clock } = bench
    google = await startReceiver((received, response, request) => {
      if (received.path === '/token') response.writeHead(200).end('{"access_token":"ya29"}')
      else if (typeof answering === 'number') response.writeHead(answering).end('{}')
      else answering(received, response, request)
    })
    const { origin } = new URL(google.url)
    ways = openWays(clock)
    const endpoints = { ...pushEndpoints, fcm: origin, 'fcm-token': `${origin}/token` }
    senders = createPushSenders({ ways, endpoints, clock })
    kinds = pushDeliveryKinds({
      storage,
      settings: core.settings,
      apps: core.apps,
      templateTexts: core.templateTexts,
      senders,
      clock,
      randomness: (length) => crypto.getRandomValues(new Uint8Array(length)),
    })
  })

  afterAll(async () => {
    senders.close()
    ways[Symbol.dispose]()
    await google[Symbol.asyncDispose]()
    await bench[Symbol.asyncDispose]()
  })

  beforeEach(() => {
    answering = 200
  })

  const ast = testCaller(tenantId, ['ast:write'], { surface: 'ast' })

  /** A phone whose app has credentials of Google's, unless said otherwise. */
  async function pushable(
    change: { app?: Partial<AppDraft> | null; token?: string | null; locales?: string[] } = {},
  ): Promise<{ phone: Phone; userId: string; appName: string; token: string }> {
    const number = ++appCount
    const appName = `app-${number}`
    const draft = { categories: ['tms'] as const, fcmServiceAccountJSON: serviceAccount() }
    if (change.app !== null) {
      await bench.core.apps.create(ast, tenantId, appName, { ...draft, ...change.app })
    }
    const userId = await bench.createUser()
    const phone = await bench.enrol(userId, { appName })
    const token = change.token === undefined ? `FCM:token-${number}` : change.token
    await setToken(phone, token, change.locales)
    return { phone, userId, appName, token: (token ?? '').replace(/^\w+:/, '') }
  }

  async function setToken(phone: Phone, pushToken: string | null, locales: string[] = []) {
    const session = await phone.session()
    await bench.core.ownDevice.update(session, { pushToken, locales })
  }

  const waiting = () => bench.storage.read.outbox.countWaiting()

  /** Sends all that waits. */
  async function deliver(): Promise<{ kind: string; outcome: string }[]> {
    await using running = startDispatcher(bench, kinds)
    await until(async () => (await waiting()) === 0)
    expect(running.failures).toEqual([])
    return [...running.settled]
  }

  /** What was sent to the devices with these tokens so far. */
  const sentTo = (...tokens: string[]) =>
    google.received
      .filter(({ path }) => path.endsWith('messages:send'))
      .map(({ body }) => JSON.parse(String(body)).message)
      .filter(({ token }) => tokens.includes(token))

  const pushed = async (push: ApprovalPush | undefined, locales: string[] = []) => {
    const { userId, token } = await pushable({ locales })
    await bench.ask(userId, push === undefined ? {} : { push })
    await deliver()
    return sentTo(token)[0]
  }

  test('who is asked is called: with ids, and the words of the settings; nothing else leaves', async () => {
    const { userId, token } = await pushable()
    const approval = await bench.ask(userId, {
      text: 'Pay 987.65 EUR to Max Muster',
      data: { amount: '987.65' },
      timeouts: { retrievalSeconds: 300 },
    })
    expect(await deliver()).toEqual([{ kind: 'push-fcm', outcome: 'delivered' }])
    const [message] = sentTo(token)
    expect(message).toMatchObject({
      data: { 'to.userId': userId, 'to.tenantId': tenantId, messageId: approval.id },
      notification: { title: 'Countersign', body: 'There is something to approve' },
      android: { ttl: '300s' },
    })
    expect(JSON.stringify(message)).not.toMatch(/987|Muster/)
  })

  test('messages and operations call as well, several devices each once', async () => {
    const { userId, token, appName } = await pushable()
    const second = await bench.enrol(userId, { appName, platform: 'iOS' })
    await setToken(second, `FCMF:${token}-second`)
    await bench.ask(userId, { kind: 'MESSAGE' })
    expect(await deliver()).toHaveLength(2)
    expect(sentTo(token, `${token}-second`)).toHaveLength(2)
    await bench.ask(userId, { devices: { platform: 'iOS' } })
    await deliver()
    expect(sentTo(token, `${token}-second`)).toHaveLength(3)
  })

  test('nobody is called who has no token, no app with credentials and the category, or is not asked', async () => {
    const nobody = [
      await pushable({ token: null }),
      await pushable({ app: null }),
      await pushable({ app: { categories: ['payment', 'chat'] } }),
      await pushable({ app: { fcmServiceAccountJSON: null } }),
      await pushable({ app: { fcmServiceAccountJSON: null, androidApiKey: 'AAAA:legacy' } }),
      await pushable({ token: 'APN:abcd' }),
    ]
    for (const { userId } of nobody) await bench.ask(userId)
    const skipped = await pushable()
    await bench.ask(skipped.userId, { push: { skip: true, title: 'x' } })
    const locked = await pushable()
    await bench.core.devices.lock(bench.admin, tenantId, { id: locked.phone.id, reason: 'lost' })
    await bench.ask(locked.userId)
    expect(await waiting()).toBe(0)
  })

  test('an app of the same name in another tenant calls nobody here', async () => {
    const other = `other-${engine}`
    await bench.core.tenants.create(platformAdmin, { id: other, name: 'Other' })
    const { userId, appName } = await pushable({ app: null })
    await bench.core.apps.create(testCaller(other, ['ast:write']), other, appName, {
      categories: ['tms'],
      fcmServiceAccountJSON: serviceAccount(),
    })
    await bench.ask(userId)
    expect(await waiting()).toBe(0)
  })

  test('words: a template in the language of the device, else the key, else the text; null is left out', async () => {
    await bench.core.templates.create(ast, tenantId, {
      key: `words-${engine}.title`,
      defaultContent: 'Please confirm',
      locales: [{ locale: 'de', content: 'Bitte bestätigen' }],
    })
    const title = `words-${engine}.title`
    expect((await pushed({ title, body: null }, ['fr', 'de-AT'])).notification).toEqual({
      title: 'Bitte bestätigen',
    })
    expect((await pushed({ title, body: 'Text.' }, ['fr'])).notification).toEqual({
      title: 'Please confirm',
      body: 'Text.',
    })
    const keyed = await pushed({ title: 'com.kobil.ast.tms.newTms.title', body: 'Hello' })
    expect(keyed.notification).toEqual({ body: 'Hello' })
    expect(keyed.android.notification).toMatchObject({
      title_loc_key: 'com.kobil.ast.tms.newTms.title',
    })
    const silent = await pushed({ title: null, body: null })
    expect(silent).not.toHaveProperty('notification')
  })

  test('a template with gaps is never filled with what is to be confirmed', async () => {
    const title = `gaps-${engine}.title`
    await bench.core.templates.create(ast, tenantId, {
      key: title,
      defaultContent: 'Pay {{amount}}',
    })
    const { userId, token } = await pushable()
    await bench.ask(userId, { push: { title }, data: { amount: '987.65' } })
    await deliver()
    expect(JSON.stringify(sentTo(token))).not.toContain('987')
    expect(sentTo(token)[0].android.notification.title_loc_key).toBe(title)
  })

  test('long words are cut between characters; a message is never too long for its provider', async () => {
    const { userId, token } = await pushable()
    await bench.ask(userId, { push: { title: '👩‍💻'.repeat(40), body: '\n"ß\u0000'.repeat(256) } })
    await deliver()
    const [message] = sentTo(token)
    expect(message.notification.title.isWellFormed()).toBe(true)
    expect(message.notification.title.endsWith('…')).toBe(true)
    expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(4_096)
  })

  test('what ended, was seen or may not be seen any more is not sent', async () => {
    const cases: ((one: Awaited<ReturnType<typeof pushable>>, id: string) => Promise<unknown>)[] = [
      (_, id) => bench.core.approvals.cancel(bench.admin, tenantId, id),
      ({ phone }, id) => phone.retrieve(id),
      ({ phone }) => bench.core.devices.lock(bench.admin, tenantId, { id: phone.id, reason: null }),
      ({ phone }) => bench.core.devices.delete(bench.admin, tenantId, phone.id),
      ({ userId }) =>
        bench.core.users.update(bench.admin, tenantId, userId, { status: 'DISABLED' }),
      ({ phone }) => setToken(phone, null),
      ({ phone }) => setToken(phone, `APN:${'ab'.repeat(32)}`),
      ({ appName }) => bench.core.apps.delete(ast, tenantId, appName),
      ({ appName }) => bench.core.apps.update(ast, tenantId, appName, { categories: ['chat'] }),
    ]
    const asked = await Promise.all(cases.map(() => pushable()))
    for (const [index, one] of asked.entries()) {
      const { id } = await bench.ask(one.userId)
      await cases[index]?.(one, id)
    }
    expect(await deliver()).toEqual(cases.map(() => ({ kind: 'push-fcm', outcome: 'dropped' })))
    expect(sentTo(...asked.map(({ token }) => token))).toEqual([])
  })

  test('new credentials of an app count for what waits, too', async () => {
    const { userId, appName, token } = await pushable()
    await bench.ask(userId)
    await deliver()
    await bench.ask(userId)
    await bench.core.apps.update(ast, tenantId, appName, {
      categories: ['tms'],
      fcmServiceAccountJSON: serviceAccount({ project_id: 'acme-moved' }),
    })
    await deliver()
    const paths = google.received.filter(({ body }) => String(body).includes(`"${token}"`))
    expect(paths.map(({ path }) => path)).toEqual([
      '/v1/projects/acme-bank/messages:send',
      '/v1/projects/acme-moved/messages:send',
    ])
  })

  test('what is broken off counts as unknown and is sent again, what takes too long as a failure', async () => {
    answering = () => {}
    const { userId } = await pushable()
    const { id: approvalId } = await bench.ask(userId)
    const [kind, queue] = [
      kinds.find(({ name }) => name === 'push-fcm'),
      (await bench.storage.read.outbox.listQueues('')).at(0)?.queue ?? '',
    ]
    const nowMs = bench.clock()
    const claimed = await bench.storage.transaction(({ outbox }) =>
      outbox.claimNext({ queue, nowMs, untilMs: nowMs + 30_000 }, 1),
    )
    expect(claimed.map(({ payload }) => JSON.parse(String(Buffer.from(payload))))).toMatchObject([
      { approvalId },
    ])
    const perform = async (signal: AbortSignal) => {
      const call = claimed[0] && (await kind?.prepare(claimed[0], nowMs))
      return typeof call === 'object' && 'perform' in call ? call.perform(signal) : undefined
    }
    expect(await perform(AbortSignal.timeout(100))).toMatchObject({
      verdict: 'again',
      isReceiverWell: false,
      attempt: { error: 'TIMEOUT' },
    })
    expect(await perform(AbortSignal.abort())).toBeUndefined()
    answering = 200
    bench.clock.advance(30_001)
    expect(await deliver()).toEqual([{ kind: 'push-fcm', outcome: 'delivered' }])
  })

  test('a tenant that is disabled calls nobody', async () => {
    const { userId, token } = await pushable()
    await bench.ask(userId)
    const set = (status: 'ACTIVE' | 'DISABLED') =>
      bench.core.tenants.update(platformAdmin, tenantId, { status })
    await set('DISABLED')
    await deliver()
    await set('ACTIVE')
    expect(sentTo(token)).toEqual([])
  })

  test('the switch of the tenant holds at once, also for what waits', async () => {
    const { userId, token } = await pushable()
    await bench.ask(userId)
    const set = (enabled: boolean) =>
      bench.core.settings.update(bench.admin, tenantId, { patch: { push: { enabled } } })
    await set(false)
    await deliver()
    await set(true)
    expect(sentTo(token)).toEqual([])
  })

  test('what nobody could be told in time is given up, no call fails by it, and nothing is told late', async () => {
    answering = (_received, _response, request) => void request.socket.destroy()
    const { userId, token } = await pushable()
    const approval = await bench.ask(userId, { timeouts: { retrievalSeconds: 20 } })
    expect(approval.status).toBe('PENDING')
    await using running = startDispatcher(bench, kinds)
    await until(async () => {
      bench.clock.advance(1_000)
      return (await waiting()) === 0
    })
    expect(running.settled.at(0)).toEqual({ kind: 'push-fcm', outcome: 'retried' })
    expect(['failed', 'dropped']).toContain(running.settled.at(-1)?.outcome)
    const count = sentTo(token).length
    expect(count).toBeGreaterThan(1)
    answering = 200
    bench.clock.advance(120_000)
    await sleep(100)
    expect(sentTo(token)).toHaveLength(count)
  })

  test('a provider that asks for a pause gets it', async () => {
    answering = (_received, response) => void response.writeHead(429, { 'retry-after': '9' }).end()
    const { userId, token } = await pushable()
    await bench.ask(userId)
    await using running = startDispatcher(bench, kinds)
    await until(() => running.settled.length === 1)
    answering = 200
    bench.clock.advance(8_900)
    await sleep(150)
    expect(sentTo(token)).toHaveLength(1)
    bench.clock.advance(1_200)
    await until(async () => (await waiting()) === 0)
    expect(sentTo(token)).toHaveLength(2)
  })

  const unregistered: Answering = (_received: Received, response) => {
    const details = [{ errorCode: 'UNREGISTERED' }]
    response.writeHead(404).end(JSON.stringify({ error: { status: 'NOT_FOUND', details } }))
  }

  const tokenOf = async ({ id }: Phone) =>
    (await bench.storage.read.devices.find(tenantId, id))?.pushToken

  test('a token that leads nowhere is taken from its device, once, with a record that does not tell it', async () => {
    answering = unregistered
    const { phone, userId, token } = await pushable()
    await bench.ask(userId)
    await bench.ask(userId)
    expect((await deliver()).map(({ outcome }) => outcome)).toContain('failed')
    expect(await tokenOf(phone)).toBeNull()
    const records = (await bench.records()).filter(
      ({ action, target }) =>
        action === 'device.push-token-dropped' && JSON.stringify(target).includes(phone.id),
    )
    expect(records).toHaveLength(1)
    expect(JSON.stringify(records)).toContain('UNREGISTERED')
    expect(JSON.stringify(records)).not.toContain(token)
    const before = sentTo(token).length
    await bench.ask(userId)
    expect(await waiting()).toBe(0)
    expect(sentTo(token)).toHaveLength(before)
  })

  test('a token that the device replaced meanwhile stays', async () => {
    const { phone, userId, token } = await pushable()
    answering = (received, response, request) => {
      void setToken(phone, `FCM:${token}-new`).then(() => unregistered(received, response, request))
    }
    await bench.ask(userId)
    await deliver()
    expect(await tokenOf(phone)).toBe(`FCM:${token}-new`)
  })

  test('a dead token does not slow down the others of its app', async () => {
    const { userId, appName } = await pushable()
    const phones = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const phone = await bench.enrol(userId, { appName })
        await setToken(phone, `FCM:${appName}-${index}`)
        return phone
      }),
    )
    answering = (received, response, request) => {
      if (String(received.body).includes(`${appName}-7`)) response.writeHead(200).end()
      else unregistered(received, response, request)
    }
    const startedAt = performance.now()
    await bench.ask(userId)
    await deliver()
    expect(sentTo(`${appName}-7`)).toHaveLength(1)
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    expect(phones).toHaveLength(8)
  })

  test('what waits names nobody’s token, text or secret', async () => {
    const { userId, token } = await pushable()
    await bench.ask(userId, { push: { title: 'A private title' } })
    const { outbox } = bench.storage.read
    const [queue] = await outbox.listQueues('')
    const part = await outbox.listLog(
      { tenantId, target: decodeURIComponent(queue?.queue.split('/')[2] ?? '') },
      {},
      { beforeId: 'Z', limit: 10 },
    )
    const rows = JSON.stringify(
      part.messages.map((one) => ({ ...one, payload: String(one.payload) })),
    )
    const text = Buffer.concat(part.messages.map(({ payload }) => Buffer.from(payload))).toString()
    expect(part.messages).toHaveLength(1)
    expect(rows + text).not.toMatch(new RegExp(`${token}\\b|private title|PRIVATE KEY`))
    await deliver()
  })

  test('a browser gets it encrypted, signed with the key of its app; not at an address that is not allowed', async () => {
    const browser = createWebPushBrowser()
    const service = await startReceiver(201)
    const members = vapidMembers()
    const subscription = (endpoint: string) => {
      const keys = {
        p256dh: browser.keys.p256dh.toString('base64url'),
        auth: browser.keys.auth.toString('base64url'),
      }
      const json = JSON.stringify({ endpoint, expirationTime: null, keys })
      return `WEB:${Buffer.from(json).toString('base64url')}`
    }
    const token = subscription(service.url)
    const { userId } = await pushable({ app: members, token })
    const approval = await bench.ask(userId)
    expect(await deliver()).toEqual([{ kind: 'push-web', outcome: 'delivered' }])
    const [got] = service.received
    expect(JSON.parse(browser.open(got?.body ?? Buffer.of()).toString())).toEqual({
      to: { userId, tenantId },
      messageId: approval.id,
      title: 'Countersign',
      body: 'There is something to approve',
    })
    const [, jwt = '', key] = /^vapid t=(.+), k=(.+)$/.exec(got?.headers.authorization ?? '') ?? []
    expect(key).toBe(members.webPushPublicKey)
    const claims = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toEqual({
      aud: new URL(service.url).origin,
      exp: Math.floor(bench.clock() / 1000) + 12 * 3600,
      sub: 'mailto:push@acme.example',
    })
    const inside = await pushable({ app: members, token: subscription('https://10.0.0.1/x') })
    await bench.ask(inside.userId)
    expect(await deliver()).toEqual([{ kind: 'push-web', outcome: 'failed' }])
    await service[Symbol.asyncDispose]()
  })

  test('a token that several devices bring at once stays with one of them, and nobody fails', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => pushable({ app: null })))
    const token = `FCM:shared-${engine}`
    await Promise.all(all.map(({ phone }) => setToken(phone, token)))
    const tokens = await Promise.all(all.map(({ phone }) => tokenOf(phone)))
    expect(tokens.filter((one) => one === token)).toHaveLength(1)
  })

  test('a subscription that cannot be sent to is refused when a device tells it', async () => {
    const { phone } = await pushable({ token: null })
    const good = createWebPushBrowser().keys
    const keys = {
      p256dh: good.p256dh.toString('base64url'),
      auth: good.auth.toString('base64url'),
    }
    const bad: unknown[] = [
      {},
      [],
      null,
      { endpoint: 'https://push.example/x' },
      { endpoint: 'https://push.example/x', keys: { ...keys, auth: 'AA' } },
      { endpoint: 'https://push.example/x', keys: { ...keys, p256dh: `${keys.p256dh}A` } },
      { endpoint: 'https://push.example/x', keys: { ...keys, p256dh: 'BA'.padEnd(87, 'A') } },
      { endpoint: 'ftp://push.example/x', keys },
      { endpoint: 'https://u:p@push.example/x', keys },
      { endpoint: `https://push.example/${'x'.repeat(2_048)}`, keys },
      { endpoint: 7, keys },
    ]
    for (const subscription of bad) {
      const token = `WEB:${Buffer.from(JSON.stringify(subscription)).toString('base64url')}`
      await expect(setToken(phone, token)).rejects.toMatchObject({
        code: 'invalid_request',
        faults: [{ pointer: '/pushToken' }],
      })
    }
    await expect(setToken(phone, 'WEB:AA=')).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await tokenOf(phone)).toBeNull()
  })
})
