import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi

beforeAll(async () => {
  api = await createPlatformApi()
})
afterAll(() => api[Symbol.asyncDispose]())

describe('getLiveness', () => {
  test('200 ok without credentials', async () => {
    const { status, body, headers } = await api.call('GET /health/live', { as: null })
    expect(status).toBe(200)
    expect(body).toEqual({ status: 'ok', version: api.app.version })
    expect(headers['x-request-id']).toMatch(/^[0-9A-Z]{26}$/)
  })
})

describe('getReadiness', () => {
  test('200 with one entry for each thing it cannot do without', async () => {
    const { status, body } = await api.call('GET /health/ready', { as: null })
    expect(status).toBe(200)
    expect(body.checks).toEqual({ database: 'ok', custody: 'ok' })
  })
})

describe('getMetrics', () => {
  test('200 open while no token is set, without any name of a user or serial', async () => {
    const text = await (await fetch(`${api.origin}/metrics`)).text()
    expect(text).toContain('countersign_http_requests_total{surface="platform",outcome="ok"}')
    expect(text).toMatch(/countersign_queue_depth\{queue="journal"\} \d+/)
    expect(text).toContain('countersign_database_duration_seconds_count{operation="commit"}')
  })

  test('401 without the token that is set, 200 with it', async () => {
    await using guarded = await createPlatformApi({ COUNTERSIGN_METRICS_TOKEN: 'scrape-me-please' })
    expect(await guarded.call('GET /metrics', { as: null })).toMatchObject({
      status: 401,
      body: { code: 'unauthenticated' },
    })
    expect((await guarded.call('GET /metrics', { as: guarded.adminSecret })).status).toBe(401)
    const headers = { authorization: 'Bearer scrape-me-please' }
    expect((await fetch(`${guarded.origin}/metrics`, { headers })).status).toBe(200)
  })
})

describe('getDocs', () => {
  test('200 a page that may load nothing from elsewhere', async () => {
    const reply = await fetch(`${api.origin}/docs`)
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(await reply.text()).not.toMatch(/(src|href)="https?:/)
  })
})

describe('getContract', () => {
  test.each(['platform', 'device', 'ast', 'dualshield', 'otp-server', 'keyless', 'okm'])(
    '200 the contract %s',
    async (name) => {
      const reply = await fetch(`${api.origin}/openapi/${name}.yaml`)
      expect(reply.status).toBe(200)
      expect(reply.headers.get('content-type')).toContain('application/yaml')
      expect(await reply.text()).toMatch(/^(#.*\n)*openapi: /)
    },
  )

  test('404 for any other name', async () => {
    expect(await api.call('GET /openapi/secret.yaml', { as: null })).toMatchObject({ status: 404 })
  })
})
