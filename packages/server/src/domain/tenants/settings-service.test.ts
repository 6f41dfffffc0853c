import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { statement } from '#storage/statement.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { writtenRecords } from '#test/support/journal.ts'
import { AddressRange } from '../address-range.ts'
import { defaultSettings } from './settings.ts'

const admin = testCaller('acme', ['tenant:write'])
const secret = `whsec_${Buffer.alloc(32, 9).toString('base64')}`

describe.each(engines)('settings on %s', (engine) => {
  let core: TestCore
  let reads = 0
  beforeAll(async () => {
    const range = AddressRange.parse('127.0.0.0/8')
    core = await createReadyTestCore({
      engine,
      outboundAllow: { hosts: [], ranges: range === undefined ? [] : [range] },
      observer: {
        observeDatabase: () => {},
        statementRun: (sql) => {
          if (/^select .*"settings_version"/.test(sql)) reads++
        },
      },
    })
    for (const id of ['acme', 'other']) {
      await core.tenants.create(platformAdmin, { id, name: id })
    }
  })
  afterAll(() => core[Symbol.asyncDispose]())

  test('a new tenant has the defaults', async () => {
    const view = await core.settings.get(testCaller('other', ['tenant:read']), 'other')
    expect(view).toEqual({ settings: defaultSettings, updatedAtMs: core.clock() })
  })

  test('a change is merged, dated and journalled without texts', async () => {
    core.clock.advance(5000)
    const view = await core.settings.update(admin, 'acme', {
      patch: { lockout: { tokenMaxFailures: 5 }, push: { title: 'For your eyes only' } },
    })
    expect(view.updatedAtMs).toBe(core.clock())
    expect(view.settings.lockout).toEqual({ ...defaultSettings.lockout, tokenMaxFailures: 5 })
    expect(await core.settings.get(admin, 'acme')).toEqual(view)

    const record = (await writtenRecords(core.test.database, 'acme')).at(-1)
    expect(record).toMatchObject({
      action: 'settings.updated',
      detail: {
        members: ['lockout.tokenMaxFailures', 'push.title'],
        values: { 'lockout.tokenMaxFailures': 5 },
      },
    })
    expect(JSON.stringify(record)).not.toContain('eyes only')
  })

  test('of many changes at once none is lost', async () => {
    await Promise.all([
      core.settings.update(admin, 'acme', { patch: { totp: { acceptSteps: 2 } } }),
      core.settings.update(admin, 'acme', { patch: { hotp: { acceptCounters: 20 } } }),
      core.settings.update(admin, 'acme', { patch: { keyless: { jwtLifetimeSeconds: 60 } } }),
      core.settings.update(admin, 'acme', { patch: { enrolment: { maxDevicesPerUser: 3 } } }),
    ])
    const { settings } = await core.settings.get(admin, 'acme')
    expect(settings.totp.acceptSteps).toBe(2)
    expect(settings.hotp.acceptCounters).toBe(20)
    expect(settings.keyless.jwtLifetimeSeconds).toBe(60)
    expect(settings.enrolment.maxDevicesPerUser).toBe(3)
  })

  test('a caller whose authentication read the version needs no further read', async () => {
    const stored = await core.storage.read.tenants.findSettings('acme')
    const caller = testCaller('acme', ['verify'], { settingsVersion: stored?.version })
    await core.settings.settingsFor(caller, 'acme')
    reads = 0
    const settings = await core.settings.settingsFor(caller, 'acme')
    expect(reads).toBe(0)
    expect(settings).toBe(await core.settings.settingsFor(caller, 'acme'))
  })

  test('a change holds from the next request on', async () => {
    await core.settings.update(admin, 'acme', { patch: { totp: { acceptSteps: 4 } } })
    const stored = await core.storage.read.tenants.findSettings('acme')
    const caller = testCaller('acme', ['verify'], { settingsVersion: stored?.version })
    expect((await core.settings.settingsFor(caller, 'acme')).totp.acceptSteps).toBe(4)
    expect((await core.settings.settingsFor(platformAdmin, 'acme')).totp.acceptSteps).toBe(4)
    expect((await core.settings.settingsOf('other')).totp.acceptSteps).toBe(1)
  })

  test('another version or another tenant is read again', async () => {
    const stale = testCaller('acme', ['verify'], { settingsVersion: 1 })
    reads = 0
    expect((await core.settings.settingsFor(stale, 'acme')).totp.acceptSteps).toBe(4)
    expect(reads).toBe(1)
    await expect(core.settings.settingsFor(platformAdmin, 'missing')).rejects.toThrow(
      refusal('tenant_not_found'),
    )
  })

  test('the callback secret is random until set, sealed, and never in the settings', async () => {
    const first = await core.settings.callbackSecretOf('acme')
    expect(first).not.toBe(await core.settings.callbackSecretOf('other'))
    const view = await core.settings.update(admin, 'acme', { patch: {}, callbackSecret: secret })
    expect(await core.settings.callbackSecretOf('acme')).toBe(secret)
    expect(JSON.stringify(view)).not.toContain('whsec')
    const values = statement((db, p: { tenantId: string }) =>
      db.selectFrom('platform_value').selectAll().where('tenant_id', '=', p.tenantId),
    )
    const rows = await core.test.database.reader.all(values, { tenantId: 'acme' })
    expect(rows).toHaveLength(1)
    expect(Buffer.from(rows[0]?.value ?? '', 'base64').includes('whsec')).toBe(false)
  })

  test.each([
    ['okm', { okm: { auditDestinationUrl: 'https://10.0.0.8/audit' } }, '/okm/auditDestinationUrl'],
    ['okm', { okm: { auditDestinationUrl: 'http://a.example/audit' } }, '/okm/auditDestinationUrl'],
    ['ast', { ast: { defaultCallbackUrl: 'https://a.example/cb' } }, '/ast/defaultCallbackUrl'],
  ])(
    'an address of %s that may not be called is refused and changes nothing',
    async (_n, patch, pointer) => {
      const before = await core.settings.get(admin, 'other').catch(() => undefined)
      expect(before).toBeUndefined()
      const theirs = testCaller('other', ['tenant:write'])
      const unchanged = await core.settings.get(theirs, 'other')
      await expect(core.settings.update(theirs, 'other', { patch })).rejects.toMatchObject({
        code: 'url_not_allowed',
        faults: [{ pointer }],
      })
      expect(await core.settings.get(theirs, 'other')).toEqual(unchanged)
    },
  )

  test('addresses that may be called are kept', async () => {
    const theirs = testCaller('other', ['tenant:write'])
    const { settings } = await core.settings.update(theirs, 'other', {
      patch: {
        callbacks: { allowedOrigins: ['https://a.example', 'http://127.0.0.1:9'] },
        ast: { defaultCallbackUrl: 'https://a.example/cb' },
        okm: { auditDestinationUrl: 'http://127.0.0.1:9/audit' },
      },
    })
    expect(settings.ast.defaultCallbackUrl).toBe('https://a.example/cb')
    await expect(
      core.settings.update(theirs, 'other', {
        patch: { okm: { auditDestinationUrl: 'https://b.example/' } },
      }),
    ).rejects.toThrow(refusal('url_not_allowed'))
  })

  test('another tenant does not see or change them', async () => {
    await expect(core.settings.get(admin, 'other')).rejects.toThrow(refusal('tenant_not_found'))
    await expect(core.settings.update(admin, 'other', { patch: {} })).rejects.toThrow(
      refusal('tenant_not_found'),
    )
    const reader = testCaller('acme', ['tenant:read'])
    await expect(core.settings.update(reader, 'acme', { patch: {} })).rejects.toThrow(
      refusal('forbidden'),
    )
    await expect(
      core.settings.update(platformAdmin, 'missing', { patch: {}, callbackSecret: secret }),
    ).rejects.toThrow(refusal('tenant_not_found'))
  })
})
