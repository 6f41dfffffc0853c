import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ContractChecker, createContractChecker } from '../support/contract-checker.ts'
import { contractOf, surfaceNames, surfacesFolder } from '../support/contract-files.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { type Call, HttpClient, type Reply } from './client.ts'
import { createInstallation, type Installation, verifyPath } from './installation.ts'

const metricsToken = 'metrics-token-of-the-test'

let installation: Installation
let server: ServerProcess
let client: HttpClient
let checker: ContractChecker

beforeAll(async () => {
  checker = createContractChecker([contractOf('platform')])
  installation = await createInstallation({ engine: 'sqlite' })
  server = await installation.start()
  client = new HttpClient(server.url)
}, 120_000)
afterAll(async () => {
  client?.[Symbol.dispose]()
  await installation?.[Symbol.asyncDispose]()
})

/** Calls without credentials; the reply is held against the contract where the contract has the path. */
async function open(path: string, more: Partial<Call> = {}): Promise<Reply> {
  const method = more.method ?? (more.body === undefined ? 'GET' : 'POST')
  const reply = await client.call({ path, method, ...more })
  if (!path.startsWith('/docs/')) {
    const { status, headers, bytes: body } = reply
    checker.check({ method, path, status, headers, body })
  }
  return reply
}

test('health is open and says the version and what works', async () => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string }
  expect((await open('/health/live')).json()).toEqual({ status: 'ok', version })
  expect((await open('/health/ready')).json()).toEqual({
    status: 'ok',
    version,
    checks: { database: 'ok', custody: 'ok' },
  })
})

test('every answer has an X-Request-Id of its own, whatever the request', async () => {
  const replies = [
    await open('/health/live'),
    await open('/nowhere'),
    await open('/health/live', { method: 'DELETE' }),
    await open('/health/%zz'),
    await open(verifyPath, { body: '{', secret: installation.seeds.secrets.verifier }),
    await open(verifyPath, { body: {} }),
    await open('/docs'),
    await open('/docs/nothing'),
    await open(`/${'a'.repeat(9000)}`),
  ]
  const ids = replies.map(({ headers }) => String(headers['x-request-id']))
  for (const id of ids) expect(id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  expect(new Set(ids).size).toBe(ids.length)
})

describe('/openapi/{name}.yaml', () => {
  test.each(surfaceNames)('%s: the very bytes of the contract', async (name) => {
    const reply = await open(`/openapi/${name}.yaml`)
    expect(reply.status).toBe(200)
    expect(reply.headers['content-type']).toContain('yaml')
    const file = readFileSync(new URL(`${name}/contract.openapi.yaml`, surfacesFolder))
    expect(reply.bytes.equals(file)).toBe(true)
  })

  test('404 for a contract that is none', async () => {
    expect((await open('/openapi/nothing.yaml')).status).toBe(404)
    expect((await open('/openapi/..%2Fplatform.yaml')).status).toBe(404)
  })
})

describe('/docs', () => {
  test('every page loads from here alone, under a policy that allows nothing else', async () => {
    const pages = ['/docs', ...surfaceNames.map((name) => `/docs/${name}`)]
    const loaded = new Set<string>()
    for (const path of pages) {
      const { status, headers, text } = await open(path)
      expect(status, path).toBe(200)
      const policy = String(headers['content-security-policy'])
      expect(policy).toContain("default-src 'none'")
      expect(policy).not.toMatch(/unsafe|https?:|\*/)
      expect(text, path).not.toMatch(
        /<style|<script(?![^>]*\ssrc=)[^>]*>\s*\S|\sstyle=|\son[a-z]+=/i,
      )
      for (const [, url = ''] of text.matchAll(
        /<(?:link|script|img|iframe)[^>]*\s(?:href|src)="([^"]*)"/gi,
      )) {
        expect(url, path).toMatch(/^\/(?!\/)/)
        loaded.add(url)
      }
    }
    expect(loaded.size).toBeGreaterThan(0)
    for (const url of loaded) {
      const { status, text } = await open(url)
      expect(status, url).toBe(200)
      expect(text, url).not.toMatch(/https?:\/\/|@import|url\(/)
    }
  })
})

describe('/metrics', () => {
  test('is open without a token; no label tells who, which token or which code', async () => {
    const [token] = installation.seeds.hotp
    const code = token?.code(0) ?? ''
    for (const given of [code, '000000']) {
      await client.call({
        path: verifyPath,
        secret: installation.seeds.secrets.verifier,
        body: { user: { id: token?.userId }, code: given },
      })
    }
    const { status, text, headers } = await open('/metrics')
    expect(status).toBe(200)
    expect(headers['content-type']).toContain('text/plain')
    expect(text).toContain('countersign_verifications_total{result="ACCEPTED"} 1')
    expect(text).toContain('countersign_http_requests_total{surface="platform",outcome="ok"}')
    expect(text).toContain('countersign_queue_depth{queue="journal"}')
    expect(text).toContain('countersign_database_duration_seconds_count{operation="commit"}')
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds')
    for (const secret of [token?.userId, token?.serial, token?.id, code, 'acme']) {
      expect(text).not.toContain(String(secret))
    }
  })

  test('401 without the token where one is set', async () => {
    await using guarded = await createInstallation({ engine: 'sqlite', hotpCount: 0 })
    const node = await guarded.start({ COUNTERSIGN_METRICS_TOKEN: metricsToken })
    using guardedClient = new HttpClient(node.url)
    const status = async (authorization?: string) =>
      (
        await guardedClient.call({
          path: '/metrics',
          ...(authorization === undefined ? {} : { headers: { authorization } }),
        })
      ).status
    expect(await status()).toBe(401)
    expect(await status(`Bearer ${metricsToken}x`)).toBe(401)
    expect(await status(`Basic ${metricsToken}`)).toBe(401)
    expect(await status(`Bearer ${metricsToken}`)).toBe(200)
  }, 60_000)
})
