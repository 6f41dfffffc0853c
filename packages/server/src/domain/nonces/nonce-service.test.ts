import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemRandomness } from '#custody/randomness.ts'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines, refusal, testCaller } from '#test/support/core.ts'
import { UserSchemeService } from '../users/user-scheme-service.ts'
import { composeNonces } from './compose-nonces.ts'
import { canonicalNonce, newNonce } from './nonce.ts'
import type { NonceDraft } from './nonce-service.ts'

const origin = 'https://portal.acme.example'
const login = {
  form: 'default',
  action: 'LOGIN_NONCE',
  portalSessionId: 'session',
  callbackUrl: `${origin}/callback`,
  tms: undefined,
} as const satisfies NonceDraft

describe('a nonce', () => {
  test('of the same moment says nothing of the next one', () => {
    const made = Array.from({ length: 200 }, () => newNonce('default', 0, systemRandomness))
    const randomParts = made.map((nonce) => nonce.slice(10))
    expect(new Set(randomParts.map((part) => part.slice(0, 8))).size).toBe(200)
    for (const nonce of made) expect(nonce).toMatch(/^0{10}[0-9A-HJKMNP-TV-Z]{16}$/)
  })

  test('has one spelling', () => {
    expect(canonicalNonce('7k3m9qxr')).toBe('7K3M9QXR')
    expect(canonicalNonce('iIlLoO0z')).toBe('1111000Z')
    for (const none of [
      '',
      '7K3M9QX',
      '7K3M9QXRA',
      '7K3M9QXU',
      '7K3M-9QXR',
      '７K3M9QXR',
      'ſK3M9QXR',
    ]) {
      expect(canonicalNonce(none)).toBeUndefined()
    }
  })
})

describe.each(engines)('nonces on %s', (engine) => {
  let bench: ApprovalBench
  beforeAll(async () => {
    bench = await createApprovalBench(engine)
    const patch = { callbacks: { allowedOrigins: [origin, 'https://*.shop.example'] } }
    await bench.core.settings.update(bench.admin, tenantId, { patch })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const create = (changes: Partial<NonceDraft> = {}, caller = bench.ast) =>
    bench.core.nonces.create(caller, tenantId, { ...login, ...changes })

  test('are stored as a keyed hash of tenant and nonce, and are in no record', async () => {
    const { shown, nonce } = await create({ form: 'short' })
    expect(nonce.hash).toMatch(/^[0-9a-f]{64}$/)
    const stored = await bench.storage.read.nonces.rows.find(tenantId, nonce.hash)
    expect(stored).toEqual(nonce)
    expect(JSON.stringify(stored)).not.toContain(shown)
    const record = (await bench.records()).at(-1)
    expect(record).toMatchObject({
      action: 'nonce.created',
      target: { type: 'nonce', id: nonce.id },
      detail: { action: 'LOGIN_NONCE', form: 'short', portal: origin },
    })
    expect(JSON.stringify(await bench.records())).not.toContain(shown)
  })

  test('a refused redemption is recorded with its reason, and the device is told none', async () => {
    const phone = await bench.enrol(await bench.createUser())
    const session = await phone.session({ factor: 'pin', verifiedAtMs: bench.clock() })
    const { shown } = await create()
    const redeem = (nonce: string, action: 'LOGIN_NONCE' | 'TMS_NONCE') =>
      bench.core.nonceRedemptions.redeem(session, { nonce, action })
    const refused = expect.objectContaining({ name: 'DeviceRefusal', code: 'not_found' })
    await expect(redeem(shown, 'TMS_NONCE')).rejects.toThrow(refused)
    await expect(redeem('ZZZZZZZZ', 'LOGIN_NONCE')).rejects.toThrow(refused)
    await redeem(shown, 'LOGIN_NONCE')
    await expect(redeem(shown, 'LOGIN_NONCE')).rejects.toThrow(refused)
    const late = await create({ form: 'short' })
    bench.clock.advance(120_000)
    await expect(redeem(late.shown, 'LOGIN_NONCE')).rejects.toThrow(refused)
    const records = (await bench.records()).filter(({ action }) => action === 'nonce.redeemed')
    expect(records.map(({ outcome, detail }) => detail.reason ?? outcome)).toEqual([
      'OTHER_ACTION',
      'UNKNOWN',
      'SUCCESS',
      'USED',
      'EXPIRED',
    ])
    for (const { actor, userId } of records) {
      expect(actor).toMatchObject({ type: 'DEVICE', id: phone.id })
      expect(userId).toBe(phone.userId)
    }
  })

  test('one that is here already is not made a second time, not even when it has expired', async () => {
    const { nonce } = await create({ form: 'short' })
    const { rows } = bench.storage.read.nonces
    const again = {
      ...nonce,
      id: '01KS51D0WG000000000000N0NC',
      callbackUrl: 'https://other.example',
    }
    const insert = (one: typeof nonce) =>
      bench.storage.transaction(({ nonces }) => nonces.rows.insert(one))
    expect(await insert(again)).toBe(false)
    bench.clock.advance(130_000)
    expect(await insert(again)).toBe(false)
    expect((await rows.find(tenantId, nonce.hash))?.callbackUrl).toBe(nonce.callbackUrl)
    expect(await insert({ ...again, tenantId: 'shop' })).toBe(true)
  })

  test('a second draw of the same characters is drawn anew; a source that only repeats itself gives none', async () => {
    const composed = bench.composed.core
    const draws = [7, 7, 9]
    const nonces = (randomness: (length: number) => Uint8Array) =>
      composeNonces({
        storage: bench.storage,
        vault: bench.composed.vault,
        clock: bench.clock,
        nextId: bench.composed.nextId,
        randomness,
        settings: composed.settings,
        userSchemes: new UserSchemeService({
          storage: bench.storage,
          settings: composed.settings,
          clock: bench.clock,
        }),
        outbound: bench.composed.outbound,
        wakeups: bench.composed.wakeups,
        pki: composed.pki,
        tms: composed.tms,
      }).nonces
    const drawing = nonces((length) => new Uint8Array(length).fill(draws.shift() ?? 1))
    const short = { ...login, form: 'short' } as const
    expect((await drawing.create(bench.ast, tenantId, short)).shown).toBe('77777777')
    expect((await drawing.create(bench.ast, tenantId, short)).shown).toBe('99999999')
    const stuck = nonces((length) => new Uint8Array(length).fill(7))
    await expect(stuck.create(bench.ast, tenantId, short)).rejects.toThrow(refusal('unavailable'))
  })

  test.each([
    ['outside the list', 'https://evil.example/callback'],
    ['a host that only ends like one', 'https://portal.acme.example.evil.example/'],
    ['another port', 'https://portal.acme.example:8443/'],
    ['plain http', 'http://portal.acme.example/callback'],
    ['a name in front of it', 'https://portal.acme.example@evil.example/'],
    ['with a password', 'https://user:secret@portal.acme.example/'],
    ['a private address', 'https://10.0.0.1/'],
    ['what is no address', 'portal'],
    ['another scheme', 'javascript:alert(1)'],
    ['a host longer than names are', `https://${'a.'.repeat(130)}shop.example/`],
  ])('no callback goes to %s', async (_what, callbackUrl) => {
    await expect(create({ callbackUrl })).rejects.toThrow(refusal('url_not_allowed'))
  })

  test('without an address the tenant’s default counts; without that there is none', async () => {
    await expect(create({ callbackUrl: undefined })).rejects.toThrow(refusal('url_not_allowed'))
    const defaultCallbackUrl = `${origin}/default`
    const update = (url: string | null) =>
      bench.core.settings.update(bench.admin, tenantId, {
        patch: { ast: { defaultCallbackUrl: url } },
      })
    await update(defaultCallbackUrl)
    expect((await create({ callbackUrl: undefined })).nonce.callbackUrl).toBe(defaultCallbackUrl)
    await update(null)
  })

  test('are made by whoever may write here, and by nobody else', async () => {
    const reader = testCaller(tenantId, ['ast:read'], { surface: 'ast' })
    const stranger = testCaller('shop', ['ast:write'], { surface: 'ast' })
    await expect(create({}, reader)).rejects.toThrow(refusal('forbidden'))
    await expect(create({}, stranger)).rejects.toThrow(refusal('tenant_not_found'))
  })

  test('a transaction that could not be started is refused when the nonce is made', async () => {
    const tms = {
      message: { text: 'Pay {{amount}}', isTemplate: false, data: {} },
      retrievalSeconds: 300,
      decisionSeconds: 600,
      isExplicit: false,
      maxAgeSeconds: null,
      auditMessage: undefined,
    }
    const asked = create({ action: 'TMS_NONCE', tms })
    await expect(asked).rejects.toThrow(refusal('invalid_request'))
    const empty = { ...tms, message: { ...tms.message, text: ' ' } }
    await expect(create({ action: 'TMS_NONCE', tms: empty })).rejects.toThrow(
      refusal('invalid_request'),
    )
    // Of no other action anybody asks for one.
    expect((await create({ tms: empty })).nonce.tms).toBeNull()
  })

  test('a transaction of a template is shown in the device’s language; without the template it starts no more, and the nonce stays', async () => {
    const { core, storage, ast } = bench
    const key = 'com.acme.login'
    const template = {
      key,
      defaultContent: 'Log in at {{host}}',
      locales: [{ locale: 'de', content: 'Anmelden: {{host}}' }],
    }
    await core.templates.create(ast, tenantId, template)
    const tms = {
      message: { text: key, isTemplate: true, data: { host: 'host-7' } },
      retrievalSeconds: 300,
      decisionSeconds: 600,
      isExplicit: false,
      maxAgeSeconds: null,
      auditMessage: undefined,
    }
    const phone = await bench.enrol(await bench.createUser())
    await storage.transaction(({ devices }) =>
      devices.update(tenantId, phone.id, { locales: ['de-AT'], nowMs: bench.clock() }),
    )
    const session = await phone.session({ factor: 'pin', verifiedAtMs: bench.clock() })
    const redeem = (nonce: string) =>
      core.nonceRedemptions.redeem(session, { nonce, action: 'TMS_NONCE' })
    const [first, second] = [
      await create({ action: 'TMS_NONCE', tms }),
      await create({ action: 'TMS_NONCE', tms }),
    ]
    const { approvalId = '' } = await redeem(first.shown)
    const { delivery } = await phone.retrieve(approvalId)
    expect(Buffer.from(delivery?.bytes ?? []).toString()).toContain('Anmelden: host-7')
    await core.templates.delete(ast, tenantId, key)
    await expect(redeem(second.shown)).rejects.toThrow(
      expect.objectContaining({ name: 'DeviceRefusal', code: 'not_found' }),
    )
    expect((await bench.records()).at(-1)).toMatchObject({
      action: 'nonce.redeemed',
      outcome: 'FAILURE',
      detail: { reason: 'NO_TRANSACTION' },
    })
    await core.templates.create(ast, tenantId, template)
    expect((await redeem(second.shown)).approvalId).toBeDefined()
  })
})
