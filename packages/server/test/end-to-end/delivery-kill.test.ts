import { setTimeout as sleep } from 'node:timers/promises'
import { describe, test } from 'vitest'
import { engines } from '../support/core.ts'
import { until } from '../support/delivery.ts'
import { startReceiver } from '../support/receiver.ts'
import { HttpClient, isUnanswered } from './client.ts'
import { createInstallation, tenantPath } from './installation.ts'

const kills = 3
const writers = 4
/** What a killed server had claimed is free after 30 seconds. */
const claimEndMs = 60_000

// Side by side: both mostly wait for claims to end.
describe.concurrent.each(engines)('kill -9 between effect and delivery on %s', (engine) => {
  test('every acknowledged effect is told, under one id however often', async ({ expect }) => {
    await using receiver = await startReceiver((_received, response) => {
      setTimeout(() => response.writeHead(204).end(), 20)
    })
    await using installation = await createInstallation({ engine })
    const env = { COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8' }
    let server = await installation.start(env)
    using client = new HttpClient(() => server.url)
    const secret = installation.seeds.secrets.admin
    const registered = await client.call({
      path: `${tenantPath}/webhook-endpoints`,
      secret,
      body: { url: receiver.url, eventTypes: ['user.created'] },
    })
    expect(registered.status).toBe(201)

    const acknowledged: string[] = []
    let number = 0
    for (let kill = 1; kill <= kills; kill++) {
      let isLoading = true
      const load = Array.from({ length: writers }, async () => {
        while (isLoading) {
          const id = `user-${++number}`
          const reply = await client
            .call({ path: `${tenantPath}/users`, secret, body: { id, loginName: id } })
            .catch(() => undefined)
          if (isUnanswered(reply)) await sleep(20)
          else if (reply?.status === 201) acknowledged.push(id)
        }
      })
      await sleep(200 + Math.random() * 800)
      await server.kill9()
      isLoading = false
      await Promise.all(load)
      server = await installation.start(env)
    }

    const told = new Map<string, Set<string>>()
    const read = (): void => {
      for (const { body, headers } of receiver.received) {
        const { data } = JSON.parse(body.toString())
        const ids = told.get(data.user.id) ?? new Set()
        told.set(data.user.id, ids.add(headers['webhook-id'] ?? ''))
      }
    }
    await until(() => {
      read()
      return acknowledged.every((id) => told.has(id))
    }, claimEndMs)
    expect(acknowledged.length).toBeGreaterThan(0)
    expect([...told.values()].filter(({ size }) => size !== 1)).toEqual([])
  }, 180_000)
})
