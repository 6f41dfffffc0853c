import { Device } from '@countersign/device-sdk/device.ts'
import type { DeviceError } from '@countersign/device-sdk/device-error.ts'
import { MemoryStorage } from '@countersign/device-sdk/storage/memory-storage.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testCaller, testPublicUrl } from '../support/core.ts'
import { createPlatformApi, type Json, type PlatformApi } from '../support/platform-api.ts'

const app = { name: 'acme-bank', platform: 'Node', architecture: 'any', versionStr: '1.0.0' }
const pin = { type: 'pin', pin: '1234' } as const
const caller = testCaller('acme', ['tenant:write'])

let api: PlatformApi
let count = 0
/** What stands between the device and the server changes the answers to a path. */
let tampering: { readonly path: RegExp; readonly change: (answer: Json) => Answer } | undefined

interface Answer {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

beforeAll(async () => {
  api = await createPlatformApi()
  for (const id of ['acme', 'other']) await api.createTenant(id)
})
afterAll(() => api[Symbol.asyncDispose]())

async function network(url: string, init: RequestInit): Promise<Response> {
  count++
  const response = await fetch(url.replace(testPublicUrl, api.origin), init)
  if (tampering?.path.test(`${init.method} ${new URL(url).pathname}`) !== true) return response
  const answer = (await response.json()) as Json
  const { status = response.status, body = answer, headers = {} } = tampering.change(answer)
  const sent = Object.entries({ 'content-type': 'application/json', ...headers })
  return new Response(JSON.stringify(body), { status, headers: sent })
}

async function enrol(payload?: string, storage = new MemoryStorage()): Promise<Device> {
  const { secret } = await api.app.core.enrolmentCodes.create(caller, 'acme', {})
  return Device.enrol({
    payload: payload ?? secret.qrPayload,
    storage,
    app,
    pin: '1234',
    fetch: network,
    clock: api.clock,
  })
}

async function under(path: RegExp, change: (answer: Json) => Answer, work: () => Promise<unknown>) {
  tampering = { path, change }
  count = 0
  try {
    await work()
    return 'no error'
  } catch (error) {
    return (error as DeviceError).code
  } finally {
    tampering = undefined
  }
}

/** An anchor and a certificate that another tenant's server made. */
async function foreign(): Promise<{ anchor: string; certificate: string; chain: string[] }> {
  const outsider = testCaller('other', ['tenant:write'])
  const { secret } = await api.app.core.enrolmentCodes.create(outsider, 'other', {})
  const storage = new MemoryStorage()
  const fetching = { fetch: network, clock: api.clock }
  const device = await Device.enrol({
    payload: secret.qrPayload,
    storage,
    app,
    pin: '1234',
    ...fetching,
  })
  const { certificate, chain } = await certify(device)
  return { anchor: chain.at(-1) ?? '', certificate, chain: [...chain] }
}

async function certify(device: Device) {
  await device.login({ factor: pin })
  const issuing = setInterval(() => void api.app.core.pki.issuance.issueDue(), 50)
  return device.certificates.ensure('AST_DEVICE').finally(() => clearInterval(issuing))
}

async function ask({ userId }: Device): Promise<string> {
  const draft = { user: { id: userId }, text: '500,00 EUR' }
  return (await api.app.core.approvals.create(caller, 'acme', draft)).id
}

describe('R5: what a hostile server answers is refused', () => {
  test('an anchor that is not the one of the code', async () => {
    const { anchor } = await foreign()
    const storage = new MemoryStorage()
    const code = await under(
      /enrolments/,
      (body) => ({ body: { ...body, trust: { ...body.trust, anchors: [anchor] } } }),
      () => enrol(undefined, storage),
    )
    expect(code).toBe('anchor_mismatch')
    expect((await storage.readState())?.enrolled).toBeUndefined()
  })

  test('an anchor beside the right one is not trusted: its certificate is refused', async () => {
    const { anchor, certificate, chain } = await foreign()
    tampering = {
      path: /enrolments/,
      change: (body) => ({
        body: { ...body, trust: { ...body.trust, anchors: [anchor, ...body.trust.anchors] } },
      }),
    }
    const device = await enrol()
    tampering = undefined
    const code = await under(
      /GET .*certificates\//,
      (body) => ({ body: { ...body, status: 'ISSUED', certificate, chain } }),
      () => certify(device),
    )
    expect(code).toBe('certificate_wrong')
  })

  test('a certificate for another key, another device, or under a broken chain; nothing is kept', async () => {
    const [device, other] = [await enrol(), await enrol()]
    const theirs = await certify(other)
    const changes: ((body: Json) => Answer)[] = [
      (body) => ({ body: { ...body, status: 'ISSUED', ...theirs } }),
      (body) => ({ body: body.certificate ? { ...body, chain: body.chain.slice(1) } : body }),
      (body) => ({ body: body.certificate ? { ...body, chain: body.chain.toReversed() } : body }),
      (body) => ({ body: body.certificate ? { ...body, certificate: 'AAAA' } : body }),
    ]
    for (const change of changes) {
      const code = await under(/GET .*certificates\//, change, () => certify(device))
      expect(code).toBe('certificate_wrong')
      expect(device.certificates.find('AST_DEVICE')).toBeUndefined()
    }
  })

  test('content under another hash, of another approval, or changed since it was shown', async () => {
    const device = await enrol()
    const [one, two] = [await ask(device), await ask(device)]
    const shown = await device.approvals.retrieve(one)
    const bytes = Buffer.from(`{"id":"${one}","text":"1,00 EUR"}`)
    const sha256 = Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('base64url')
    const changed = { bytes: bytes.toString('base64'), sha256 }
    const changes: ((body: Json) => Answer)[] = [
      (body) => ({ body: { ...body, content: { ...body.content, bytes: changed.bytes } } }),
      (body) => ({ body: { ...body, content: { ...body.content, ...changed } } }),
      (body) => ({ body: { ...body, approvalId: two } }),
      (body) => ({ body: { ...body, userId: 'mallory' } }),
    ]
    for (const change of changes) {
      const code = await under(/GET .*approvals\//, change, () => device.approvals.retrieve(one))
      expect(code).toBe('content_wrong')
    }
    expect((await device.approvals.accept(shown, { factor: pin })).status).toBe('APPROVED')
  })

  test('a nonce or a clock that is never right: repeated once, then told', async () => {
    const device = await enrol()
    const problem = (code: string, more: object = {}) => ({
      status: 401,
      body: { code, title: code, status: 401, ...more },
      headers: { 'dpop-nonce': 'n'.repeat(43) },
    })
    const nonce = () => problem('use_dpop_nonce')
    expect(await under(/token/, nonce, () => device.login())).toBe('use_dpop_nonce')
    expect(count).toBe(2)
    const clock = () => problem('clock_skew', { serverTime: '2026-05-21T10:31:00.000Z' })
    expect(await under(/token/, clock, () => device.login())).toBe('clock_skew')
    expect(count).toBe(2)
    let turn = 0
    const both = () => (turn++ % 2 === 0 ? nonce() : clock())
    expect(await under(/token/, both, () => device.login())).toBe('use_dpop_nonce')
    expect(count).toBe(3)
  })

  test('a token that never counts: one more login, then told', async () => {
    const device = await enrol()
    const refuse = () => ({ status: 401, body: { code: 'token_invalid', status: 401 } })
    const work = () => device.approvals.list()
    expect(await under(/approvals/, refuse, work)).toBe('token_invalid')
    expect(count).toBeLessThanOrEqual(5)
  })

  test('another issuer, another tenant, another user', async () => {
    const issuer = (body: Json) => ({ body: { ...body, issuer: 'https://evil.test/device/v1' } })
    expect(await under(/configuration/, issuer, () => enrol())).toBe('issuer_mismatch')
    const tenant = (body: Json) => ({ body: { ...body, tenantId: 'other' } })
    expect(await under(/enrolments/, tenant, () => enrol())).toBe('answer_invalid')
    const device = await enrol()
    const user = (body: Json) => ({ body: { ...body, user_id: 'mallory' } })
    expect(await under(/token/, user, () => device.login())).toBe('answer_invalid')
  })

  test('answers that are none, or without end', async () => {
    const device = await enrol()
    const list = (body: unknown) =>
      under(
        /approvals/,
        () => ({ body }),
        () => device.approvals.list(),
      )
    expect(await list({})).toBe('answer_invalid')
    expect(await list([null])).toBe('answer_invalid')
    expect(await list([{ approvalId: '../../x' }])).toBe('answer_invalid')
    expect(await list(['x'.repeat(2_000_000)])).toBe('answer_invalid')
  })

  test('keys are not used up by a server that refuses: the next code gets new ones', async () => {
    const storage = new MemoryStorage()
    const refuse = () => ({ status: 401, body: { code: 'code_invalid', status: 401 } })
    expect(await under(/enrolments/, refuse, () => enrol(undefined, storage))).toBe('code_invalid')
    const first = await storage.findKey('device')
    await enrol(undefined, storage)
    expect((await storage.findKey('device'))?.thumbprint).not.toBe(first?.thumbprint)
  })
})
