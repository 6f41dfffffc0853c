import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Device } from '@countersign/device-sdk/device.ts'
import type { DeviceError } from '@countersign/device-sdk/device-error.ts'
import type { DeviceStorage } from '@countersign/device-sdk/storage/device-storage.ts'
import { FileStorage } from '@countersign/device-sdk/storage/file-storage.ts'
import { MemoryStorage } from '@countersign/device-sdk/storage/memory-storage.ts'
import { toPem } from '@countersign/protocol/certificate/pem.ts'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { parseSignedData } from '@countersign/protocol/message/signed-data.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApprovalDraft } from '#domain/approvals/approval-draft.ts'
import { testCaller, testPublicUrl } from '../support/core.ts'
import { createPlatformApi, type PlatformApi } from '../support/platform-api.ts'

const app = { name: 'acme-bank', platform: 'Node', architecture: 'any', versionStr: '1.0.0' }
const rights = ['tenant:write', 'verify', 'ast:write'] as const

let api: PlatformApi
/** Every request, as `GET /path`. */
let calls: string[] = []
/** The last body that was sent. */
let sentBody: unknown

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
})
afterAll(() => api[Symbol.asyncDispose]())

/** The public URL leads to the server under test. */
async function network(url: string, init: RequestInit): Promise<Response> {
  calls.push(`${init.method} ${new URL(url).pathname}`)
  sentBody = init.body
  return fetch(url.replace(testPublicUrl, api.origin), init)
}

async function payloadOf(userId?: string): Promise<string> {
  const { secret } = await api.app.core.enrolmentCodes.create(
    testCaller('acme', rights),
    'acme',
    userId === undefined ? {} : { user: { id: userId } },
  )
  return secret.qrPayload
}

interface Options {
  readonly storage?: DeviceStorage
  readonly clock?: () => number
  readonly biometric?: boolean
  readonly userId?: string
}

async function enrol({ userId, ...options }: Options = {}): Promise<Device> {
  calls = []
  return Device.enrol({
    payload: await payloadOf(userId),
    storage: new MemoryStorage(),
    app,
    pin: '1234',
    fetch: network,
    clock: api.clock,
    ...options,
  })
}

async function ask(
  { userId }: Device,
  draft: Partial<ApprovalDraft> = {},
  surface: 'native' | 'ast' = 'native',
): Promise<string> {
  const caller = testCaller('acme', rights, { surface })
  const { id } = await api.app.core.approvals.create(caller, 'acme', {
    user: { id: userId },
    text: '500,00 EUR an Max Müller',
    ...draft,
  })
  return id
}

async function certify(device: Device): Promise<void> {
  await device.login({ factor: { type: 'pin', pin: '1234' } })
  const issuing = setInterval(() => void api.app.core.pki.issuance.issueDue(), 50)
  await device.certificates.ensure('AST_DEVICE').finally(() => clearInterval(issuing))
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason as DeviceError,
  )
  return error?.code ?? 'no error'
}

const pin = { type: 'pin', pin: '1234' } as const

describe('the SDK against the server', () => {
  test('enrols, sees what waits, accepts with the PIN; the device cannot decide twice', async () => {
    const device = await enrol()
    const approvalId = await ask(device)
    expect(await device.approvals.list()).toMatchObject([{ approvalId, status: 'PENDING' }])
    const approval = await device.approvals.retrieve(approvalId)
    expect(approval.content?.shown).toEqual({ form: 'text', text: '500,00 EUR an Max Müller' })
    expect(await device.approvals.accept(approval, { factor: pin })).toMatchObject({
      status: 'APPROVED',
    })
    const again = device.approvals.reject(approval)
    await expect(again).rejects.toMatchObject({
      code: 'approval_final',
      advice: 'close',
      facts: { approvalStatus: 'APPROVED', decidedByThisDevice: true },
    })
  })

  test('a wrong PIN is told with the attempts that are left', async () => {
    const device = await enrol()
    const approval = await device.approvals.retrieve(await ask(device))
    const wrong = device.approvals.accept(approval, { factor: { type: 'pin', pin: '9999' } })
    await expect(wrong).rejects.toMatchObject({
      code: 'factor_rejected',
      advice: 'tell_factor',
      facts: { attemptsLeft: 4 },
    })
    expect(await device.approvals.accept(approval, { factor: pin })).toMatchObject({
      status: 'APPROVED',
    })
  })

  test('the biometric key logs in and accepts', async () => {
    const device = await enrol({ biometric: true })
    expect(device.hasBioKey).toBe(true)
    const session = await device.login({ factor: { type: 'bio' } })
    expect(session.amr).toBe('bio')
    const approval = await device.approvals.retrieve(await ask(device))
    const done = await device.approvals.accept(approval, { factor: { type: 'bio' } })
    expect(done.status).toBe('APPROVED')
  })

  test('rejects, and the refusal is signed', async () => {
    const device = await enrol()
    const approvalId = await ask(device)
    const approval = await device.approvals.retrieve(approvalId)
    expect(await device.approvals.reject(approval, { reason: 'suspicious' })).toMatchObject({
      status: 'REJECTED',
    })
    const other = await device.approvals.retrieve(await ask(device))
    expect(await device.approvals.timeOut(other)).toMatchObject({ status: 'EXPIRED' })
  })

  test('a certificate is asked for, checked and kept; a transaction is accepted by CMS over the bytes as they came', async () => {
    const device = await enrol()
    expect(await codeOf(device.certificates.ensure('AST_DEVICE'))).toBe('verification_required')
    await certify(device)
    expect(device.certificates.find('AST_DEVICE')).toMatchObject({ profile: 'AST_DEVICE' })
    const approval = await device.approvals.retrieve(await ask(device, {}, 'ast'))
    expect(approval.requirements.evidence).toBe('CMS')
    expect((await device.approvals.accept(approval)).status).toBe('APPROVED')
    const { signedData } = JSON.parse(String(sentBody)) as { signedData: string }
    const der = decodeBase64(signedData)
    const signed = parseSignedData(der ?? new Uint8Array())
    expect(signed.content).toEqual(approval.content?.bytes)
    expect(signed.certificates).toHaveLength(3)
  })

  test('OpenSSL verifies what the SDK signs', async () => {
    const device = await enrol()
    await certify(device)
    const approval = await device.approvals.retrieve(await ask(device, {}, 'ast'))
    await device.approvals.accept(approval)
    const { signedData } = JSON.parse(String(sentBody)) as { signedData: string }
    const anchor = device.certificates.find('AST_DEVICE')?.chain.at(-1) ?? ''
    const folder = mkdtempSync(join(tmpdir(), 'countersign-cms-'))
    try {
      writeFileSync(join(folder, 'cms.der'), Buffer.from(signedData, 'base64'))
      writeFileSync(join(folder, 'root.pem'), toPem('CERTIFICATE', Buffer.from(anchor, 'base64')))
      const args = ['cms', '-verify', '-inform', 'DER', '-in', 'cms.der', '-CAfile', 'root.pem']
      // The server's clock of this test stands still, so the certificates are of that time.
      const at = ['-attime', String(Math.floor(api.clock() / 1000)), '-binary']
      const { stdout, stderr } = spawnSync('openssl', [...args, ...at], { cwd: folder })
      expect(stderr.toString()).toContain('successful')
      expect(Uint8Array.from(stdout)).toEqual(approval.content?.bytes)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('a scope and freshness that an approval asks for are brought by a login with the factor', async () => {
    const device = await enrol()
    await certify(device)
    const approvalId = await ask(
      device,
      { authentication: { explicit: true, maxAgeSeconds: 30 } },
      'ast',
    )
    const approval = await device.approvals.retrieve(approvalId)
    expect(approval.requirements.scope).toBe('tms')
    expect(await codeOf(device.approvals.accept(approval))).toBe('no_factor')
    const done = await device.approvals.accept(approval, { factor: pin })
    expect(done.status).toBe('APPROVED')
  })

  test.each([-5, 7])('a clock that is %i hours off is set right by itself', async (hours) => {
    let offsetMs = hours * 3_600_000
    const clock = () => api.clock() + offsetMs
    const device = await enrol({ clock })
    // And when it is changed while the app runs: clock_skew, once.
    offsetMs = 0
    calls = []
    const approval = await device.approvals.retrieve(await ask(device))
    expect(await device.approvals.accept(approval, { factor: pin })).toMatchObject({
      status: 'APPROVED',
    })
    expect(calls.filter((call) => call === 'POST /device/v1/token')).toHaveLength(2)
  })

  test('a lost answer to the enrolment: the same code gives the same device', async () => {
    const storage = new MemoryStorage()
    const payload = await payloadOf()
    const lossy = async (url: string, init: RequestInit) => {
      const response = await network(url, init)
      if (url.endsWith('/enrolments')) throw new TypeError('lost')
      return response
    }
    const request = { payload, storage, app, pin: '1234', clock: api.clock }
    const first = Device.enrol({ ...request, fetch: lossy })
    expect(await codeOf(first)).toBe('unreachable')
    const device = await Device.enrol({ ...request, fetch: network })
    await device.login({ factor: pin })
    expect(await codeOf(Device.enrol({ ...request, fetch: network }))).toBe('already_enrolled')
  })

  test('keys in a file: for the owner alone, told as a risk, found again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-phone-'))
    try {
      const path = join(folder, 'phone.json')
      const device = await enrol({ storage: new FileStorage(path), biometric: true })
      expect(statSync(path).mode & 0o777).toBe(0o600)
      await certify(device)
      const same = await Device.open({
        storage: new FileStorage(path),
        app,
        fetch: network,
        clock: api.clock,
      })
      expect(same?.deviceId).toBe(device.deviceId)
      await same?.login({ factor: { type: 'bio' } })
      expect(same?.certificates.find('AST_DEVICE')).toBeDefined()
      expect(await same?.describe()).toMatchObject({ app: { risks: 'keys-in-file' } })
      await same?.delete()
      expect(() => readFileSync(path)).toThrow('ENOENT')
      expect(await codeOf(device.login())).toBe('client_invalid')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('events come, each once, whichever way the server offers', async () => {
    const device = await enrol()
    const approvalId = await ask(device)
    const stop = new AbortController()
    const seen: string[] = []
    for await (const event of device.events.listen({ signal: stop.signal })) {
      seen.push(`${event.type} ${event.approvalId}`)
      stop.abort()
    }
    expect(seen).toEqual([`approval.available ${approvalId}`])
  })

  test.each(['stream', 'poll', 'list'] as const)(
    'by %s: what comes while it listens is told, and each event once',
    async (mode) => {
      const device = await enrol()
      const first = await ask(device)
      const stop = new AbortController()
      const seen: (string | undefined)[] = []
      const faults: unknown[] = []
      const onRetry = (error: unknown) => faults.push(error)
      for await (const event of device.events.listen({ signal: stop.signal, mode, onRetry })) {
        seen.push(event.approvalId)
        if (seen.length === 1) void ask(device).then((id) => seen.push(`asked ${id}`))
        else stop.abort()
      }
      const [one, asked = '', two] = seen
      expect(one).toBe(first)
      expect(asked).toBe(`asked ${two}`)
      expect(faults).toEqual([])
      const path = { stream: '/events', poll: '/events/poll', list: '/approvals' }[mode]
      expect(calls).toContain(`GET /device/v1${path}`)
    },
  )

  test('a user is authenticated without an approval', async () => {
    const device = await enrol()
    const operation = { reference: 'login-1', payload: 'Log in to acme' }
    expect(await device.authenticateUser({ factor: pin, operation })).toMatchObject({
      factor: 'pin',
    })
  })

  test('a further user is linked, and unlinked', async () => {
    const device = await enrol()
    const second = await device.linkUser(await payloadOf(), { pin: '4321' })
    expect(device.userIds).toEqual([device.userId, second.userId])
    await second.login({ factor: { type: 'pin', pin: '4321' } })
    await second.unlink()
    expect(device.userIds).toEqual([device.userId])
    await device.login({ factor: pin })
  })

  test('PIN and biometric key are changed', async () => {
    const device = await enrol()
    await device.login({ factor: pin })
    await device.setPin('8520')
    await device.login({ factor: { type: 'pin', pin: '8520' } })
    await device.setBioKey()
    await device.login({ factor: { type: 'bio' } })
    await device.deleteBioKey()
    expect(device.hasBioKey).toBe(false)
    expect(await codeOf(device.login({ factor: { type: 'bio' } }))).toBe('no_factor')
    await device.refreshTrust()
  })
})
