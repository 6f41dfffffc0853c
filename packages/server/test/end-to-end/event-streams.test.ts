import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { App } from '../../src/app.ts'
import { engines, testPublicUrl } from '../support/core.ts'
import { openTestStream } from '../support/event-stream.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { TestDevice } from '../support/test-device.ts'
import { createInstallation, type Installation, seeder, tenantId } from './installation.ts'

const env = { COUNTERSIGN_PUBLIC_URL: testPublicUrl }

/** A device that speaks to a server process. */
function deviceAt(server: ServerProcess): TestDevice {
  const inject = async (sent: {
    method: string
    url: string
    headers: Record<string, string>
    payload?: string
  }) => {
    const { method, url, headers, payload } = sent
    const body = payload === undefined ? {} : { body: payload }
    const response = await fetch(server.url + url, { method, headers, ...body })
    return {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      rawPayload: Buffer.from(await response.arrayBuffer()),
    }
  }
  return new TestDevice({ app: { http: { inject } } as unknown as App, clock: Date.now })
}

/** An installation with a code for a new user. */
async function install(
  engine: (typeof engines)[number],
): Promise<{ installation: Installation; code: string }> {
  let code = ''
  const installation = await createInstallation({
    engine,
    async fill({ core }) {
      const backend = seeder(tenantId, ['tenant:write'])
      const made = await core.enrolmentCodes.create(backend, tenantId, {})
      code = made.secret.code
    },
  })
  return { installation, code }
}

async function ask(
  server: ServerProcess,
  { seeds }: Installation,
  userId: string,
): Promise<string> {
  const response = await fetch(`${server.url}/api/v1/tenants/${tenantId}/approvals`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${seeds.secrets.admin}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ user: { id: userId }, text: '500,00 EUR to Max Muster' }),
  })
  expect(response.status).toBe(201)
  return ((await response.json()) as { id: string }).id
}

test('on PostgreSQL what one process is asked reaches the device at another', async () => {
  const { installation, code } = await install('postgres')
  await using _ = installation
  const [asked, holder] = await Promise.all([installation.start(env), installation.start(env)])
  const device = deviceAt(holder)
  expect((await device.enrol(code, { pin: '1234' })).status).toBe(201)
  await device.login({ pin: '1234' })
  using stream = await openTestStream(holder.url, device)
  await stream.until(({ text }) => text.startsWith('retry'))
  // Whatever was lost while the processes found each other comes at a heartbeat: the second one is told at once.
  const first = await ask(asked, installation, device.userId)
  const second = await ask(asked, installation, device.userId)
  await stream.until(({ ids }) => ids.includes(first) && ids.includes(second))

  const elsewhere = deviceAt(asked)
  Object.assign(elsewhere, { id: device.id, userId: device.userId, deviceKey: device.deviceKey })
  await elsewhere.login({ pin: '1234' })
  expect((await elsewhere.call(`DELETE /links/${device.userId}`)).status).toBe(204)
  await stream.ended()
  expect(stream.events.at(-1)?.data).toMatchObject({
    type: 'client.disconnect',
    data: { reason: 'unlinked' },
  })
}, 60_000)

describe.each(engines)('a server on %s that stops', (engine) => {
  test('ends its streams and held polls at once; after the restart nothing is lost', async () => {
    const { installation, code } = await install(engine)
    await using _ = installation
    const server = await installation.start(env)
    const device = deviceAt(server)
    await device.enrol(code, { pin: '1234' })
    await device.login({ pin: '1234' })
    using stream = await openTestStream(server.url, device)
    const waiting = await ask(server, installation, device.userId)
    await stream.until(({ ids }) => ids.includes(waiting))
    const held = device.call(`GET /events/poll?after=${waiting}&waitSeconds=25`)
    // Until it is held.
    await sleep(1_000)
    const stoppedAt = Date.now()
    const end = await server.stop('SIGTERM')
    expect(end).toEqual({ code: 0, signal: null })
    expect(Date.now() - stoppedAt).toBeLessThan(15_000)
    await stream.ended()
    expect((await held).body.events).toMatchObject([{ id: waiting }])

    const next = await installation.start(env)
    const cancelled = await fetch(
      `${next.url}/api/v1/tenants/${tenantId}/approvals/${waiting}/cancel`,
      { method: 'POST', headers: { authorization: `Bearer ${installation.seeds.secrets.admin}` } },
    )
    expect(cancelled.status).toBe(200)
    const missed = await ask(next, installation, device.userId)
    using again = await openTestStream(next.url, device, { lastEventId: waiting })
    await again.until(({ events }) => events.length === 2)
    expect(new Set(again.types)).toEqual(new Set(['approval.available', 'approval.cancelled']))
    expect(again.ids).toContain(missed)
  }, 60_000)
})
