import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ServerProcess } from '../support/server-process.ts'
import { HttpClient, type Reply } from './client.ts'
import {
  createInstallation,
  type Installation,
  type SeededToken,
  tenantPath,
  verifyPath,
} from './installation.ts'

const racersPerCode = 30
const codeCount = 20
const stepMs = 30_000

interface Place {
  readonly name: string
  readonly engine: 'sqlite' | 'postgres'
  readonly nodeCount: number
}

const places: readonly Place[] = [
  { name: 'two processes on one PostgreSQL database', engine: 'postgres', nodeCount: 2 },
  { name: 'one process on SQLite', engine: 'sqlite', nodeCount: 1 },
]

describe.each(places)('R4: $name', ({ engine, nodeCount }) => {
  let installation: Installation
  let nodes: ServerProcess[] = []
  let clients: HttpClient[] = []

  beforeAll(async () => {
    installation = await createInstallation({ engine, hotpCount: 1, totpCount: codeCount })
    nodes = await Promise.all(Array.from({ length: nodeCount }, () => installation.start()))
    clients = nodes.map(({ url }) => new HttpClient(url, racersPerCode))
  }, 120_000)
  afterAll(async () => {
    for (const client of clients) client[Symbol.dispose]()
    await installation?.[Symbol.asyncDispose]()
  })

  /** The same code at once over all connections of all nodes. */
  async function race(body: object): Promise<Reply[]> {
    const call = { path: verifyPath, secret: installation.seeds.secrets.admin, body }
    return Promise.all(
      Array.from({ length: racersPerCode }, (_, number) => {
        const client = clients[number % clients.length]
        if (client === undefined) throw new Error('There is no node.')
        return client.call(call)
      }),
    )
  }

  function expectOneWinner(replies: readonly Reply[]): void {
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200))
    const decisions = replies.map((reply) => reply.json<{ result: string; reason?: string }>())
    const winners = decisions.filter(({ result }) => result === 'ACCEPTED')
    expect(winners).toHaveLength(1)
    for (const { result, reason } of decisions) {
      if (result !== 'ACCEPTED')
        expect(['REJECTED REPLAYED', 'LOCKED CREDENTIAL_LOCKED']).toContain(`${result} ${reason}`)
    }
  }

  test('of 30 requests with one HOTP code exactly one is ACCEPTED, 20 codes in turn', async () => {
    const [token] = installation.seeds.hotp
    if (token === undefined) throw new Error('There is no token.')
    for (let counter = 0; counter < codeCount; counter++) {
      expectOneWinner(await race({ token: { serial: token.serial }, code: token.code(counter) }))
      await unlock(token)
    }
  }, 120_000)

  test('of 30 requests with one TOTP code exactly one is ACCEPTED, 20 tokens in turn', async () => {
    for (const token of installation.seeds.totp) {
      const code = token.code(Math.floor(Date.now() / stepMs))
      expectOneWinner(await race({ token: { serial: token.serial }, code }))
    }
  }, 120_000)

  test('of 30 requests with one code of a printed list exactly one is ACCEPTED, 20 codes in turn', async () => {
    const [holder] = installation.seeds.hotp
    if (holder === undefined) throw new Error('There is nobody.')
    const { codes } = await printList(holder.userId)
    for (const { otp } of codes) {
      const body = { user: { id: holder.userId }, code: otp, methods: ['list'] }
      expectOneWinner(await race(body))
      await unlock(holder)
    }
    const texts = await Promise.all(
      nodes.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
    )
    const begun = texts.map((text) => /otp_lists_total\{change="activated"\} (\d+)/.exec(text)?.[1])
    expect(begun.reduce((sum, count) => sum + Number(count ?? 0), 0)).toBe(1)
  }, 120_000)

  async function printList(userId: string): Promise<{ codes: { otp: string }[] }> {
    const secret = installation.seeds.secrets.admin
    const post = async (path: string, body: object) => {
      const reply = await clients[0]?.call({
        method: 'POST',
        path: `${tenantPath}${path}`,
        secret,
        body,
      })
      expect(reply?.status).toBe(201)
      return reply
    }
    await post('/otp-list-methods', { name: 'race', listSize: codeCount, maxFailures: 100 })
    const reply = await post('/otp-lists', { method: 'race', user: { id: userId } })
    const made = reply?.json<{ items: { codes: { otp: string }[] }[] }>().items[0]
    if (made === undefined) throw new Error('No list was made.')
    return made
  }

  /** Losers that come late count as failures. */
  async function unlock({ userId }: SeededToken): Promise<void> {
    const [client] = clients
    const path = `/api/v1/tenants/acme/users/${userId}/unlock`
    const reply = await client?.call({
      method: 'POST',
      path,
      secret: installation.seeds.secrets.admin,
    })
    expect(reply?.status).toBe(200)
  }
})
