import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, platformAdmin } from '#test/support/core.ts'
import { lockDigest, TestCabinet, userDigest } from './cabinet.fixture.ts'
import { createOkmInstallation, type OkmInstallation } from './okm.fixture.ts'

/** okm.md, section 5: the test vector. */
const locks = ['0000051a00000005', '0000051a00000007', '0000051a0000000b']
const quiet = { sounder: false, sounder_delay: 0, sounder_duration: 0, sounder_volume: 0 }
const loud = { sounder: true, sounder_delay: 30, sounder_duration: 60, sounder_volume: 2 }
const users = [
  { user_id: 1001, pin_hash: 'a1b2c3d4', auth_time: 8, ...quiet, permissions: [1, 0, 17] },
  { user_id: 1002, pin_hash: '9f8e7d6c', auth_time: 12, ...loud, permissions: [1, 1, 1] },
]
const invalid = { error_code: 'VALIDATION_FAILED', error_msg: 'Validation failed for the request' }

test('the digests of this cabinet are those of the published vector', () => {
  expect(lockDigest(locks)).toBe('0dd2a7516a692b99c53c22ea75cc8996d585887064ad6a26918d64901c98e1f7')
  expect(userDigest(users)).toBe('b623601feda4c7f978d4bff9065455df4d1c95981ffcc10858c86ca1ece80703')
})

describe.each(engines)('the calls of cabinets on %s', (engine) => {
  let okm: OkmInstallation
  let other: { readonly token: string }

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
    other = { token: okm.tokens.acme }
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  const register = (id: string, more: object = {}, customer: 'invu' | 'acme' = 'invu') =>
    okm.call(
      'POST',
      '/okms',
      { id, serial: `serial-${id}`, customer, ...more },
      { token: okm.tokens[customer] },
    )
  const give = async (id: string, acl: object, customer: 'invu' | 'acme' = 'invu') => {
    const token = { token: okm.tokens[customer] }
    const list = { id: `acl-${id}`, customer, users, locks, ...acl }
    await okm.call('POST', '/acls', list, token)
    await okm.call('POST', '/acl-okms', { customer, acl_id: list.id, okm_id: id }, token)
  }

  describe('pollOkmConfig', () => {
    test('204 for a device that nobody knows; it is in no list until it is registered, and keeps what it told', async () => {
      const query = '?kasFirmware=01932023020111483&installCode=1234'
      const poll = () => okm.device('GET', `/config/serial-early${query}`)
      expect(await poll()).toMatchObject({ status: 204, text: '' })
      expect((await poll()).status).toBe(204)
      expect((await okm.call('GET', '/okms')).body.pagination.total_results).toBe('0')
      const { status, body } = await register('early')
      expect(status).toBe(201)
      expect(body.data.okm).toMatchObject({
        last_sync_time: '2026-11-21T10:00:00.000Z',
        fw_version: '01932023020111483',
      })
    })

    test('a registered one goes through its settings, one at a time, in order, then has nothing to do', async () => {
      await register('walk', {
        config: {
          contact_type: 0,
          checkout_window: 30,
          cache_mode: true,
          pin_mode: true,
          audit_enabled: false,
          polling_interval: 350,
        },
      })
      await give('walk', {})
      const cabinet = new TestCabinet(okm, 'serial-walk')
      Object.assign(cabinet.settings, { cacheMode: 0, retailCfg: 1 })
      const taken = await cabinet.settle()
      expect([...taken].sort((a, b) => a.localeCompare(b))).toEqual(
        [
          'assetList',
          'auditEnabled',
          'auditUrl',
          'cacheMode',
          'configUrl',
          'keyCheckoutWindowContact',
          'keyCheckoutWindowTime',
          'pinMode',
          'pollingInterval',
          'retailCfg',
          'usersAssets',
        ].sort((a, b) => a.localeCompare(b)),
      )
      expect(cabinet.settings).toMatchObject({
        keyCheckoutWindowContact: 0,
        keyCheckoutWindowTime: 30,
        cacheMode: true,
        retailCfg: 2,
        pollingInterval: 350,
      })
      expect([cabinet.configPath, cabinet.auditPath]).toEqual([
        '/okm/api/v1/config',
        '/okm/api/v1/audit',
      ])
      expect([cabinet.locks, cabinet.users]).toEqual([locks, users])
    })

    test('200 with exactly one member, named after the parameter', async () => {
      await register('single', { config: { polling_interval: 60, checkout_window: 9 } })
      const path = '/config/serial-single?pollingInterval=150&keyCheckoutWindowTime=0'
      const { status, headers, text } = await okm.device('GET', path)
      expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
      expect(text).toBe('{"keyCheckoutWindowTime":9}')
      expect((await okm.device('GET', path)).text).toBe('{"pollingInterval":60}')
    })

    test('200 with the time when the clock of the device is more than a minute off, in any form', async () => {
      await register('clock')
      const poll = (text: string) =>
        okm.device('GET', `/config/serial-clock?kasDateTime=${encodeURIComponent(text)}`)
      for (const off of ['2026-11-21T09:58:59Z', '1795255261', '2026-11-21 15:31:01+05:30']) {
        expect((await poll(off)).body, off).toEqual({ kasDateTime: '2026-11-21T10:00:00.000Z' })
      }
      for (const right of ['2026-11-21T10:00:59.999Z', '1795255140', '2026-11-21 10:00:00']) {
        expect((await poll(right)).status, right).toBe(204)
      }
      const unencoded = '/config/serial-clock?kasDateTime=2026-11-21T15:30:00+05:30'
      expect((await okm.device('GET', unencoded)).status).toBe(204)
      for (const bad of ['noon', '', '2026-02-30T10:00:00Z', '2026-11-21T25:00:00Z']) {
        const { status, body } = await poll(bad)
        expect([status, body.errors[0].field]).toEqual([400, 'kasDateTime'])
      }
    })

    test.each([
      ['retailCfg=x', 'retailCfg', 'must be an integer'],
      ['pollingInterval=1.5', 'pollingInterval', 'must be an integer'],
      ['cacheMode=yes', 'cacheMode', 'must be 0, 1, true or false'],
      [`kasFirmware=${'1'.repeat(65)}`, 'kasFirmware', 'must have at most 64 characters'],
      ['assetList=a&assetList=b', 'assetList', 'must not be given twice'],
    ])('400 with %s', async (query, field, reason) => {
      const { status, body } = await okm.device('GET', `/config/serial-clock?${query}`)
      expect([status, body]).toEqual([400, { ...invalid, errors: [{ field, reason }] }])
    })

    test('400 for what is no serial', async () => {
      const { status, body } = await okm.device('GET', '/config/a%20b')
      expect([status, body.errors]).toEqual([
        400,
        [{ field: 'serialNumber', reason: 'does not have the right form' }],
      ])
    })

    test('the time of the last call, the firmware and nothing else changes; the serial is found in any case', async () => {
      const { body } = await register('seen')
      okm.clock.advance(5000)
      await okm.device('GET', '/config/SERIAL-SEEN?kasFirmware=7')
      const seen = await okm.call('GET', '/okms/seen')
      expect(seen.body.data.okm).toEqual({
        ...body.data.okm,
        last_sync_time: new Date(okm.clock()).toISOString(),
        fw_version: '7',
      })
    })

    test('204 when the digests fit, in any case of their letters; the whole lists when they do not', async () => {
      await register('lists')
      await give('lists', {})
      const digests = `assetList=${lockDigest(locks).toUpperCase()}&usersAssets=${userDigest(users)}`
      expect((await okm.device('GET', `/config/serial-lists?${digests}`)).status).toBe(204)
      const wrong = await okm.device('GET', '/config/serial-lists?assetList=&usersAssets=x')
      expect(wrong.body).toEqual({ assetList: locks })
      const next = await okm.device('GET', '/config/serial-lists?assetList=&usersAssets=x')
      expect(next.body).toEqual({ usersAssets: users })
    })

    test('a list that shrank reaches a cabinet that applies nothing else at its next poll', async () => {
      await register('stubborn', { config: { polling_interval: 60 } })
      await give('stubborn', {})
      const cabinet = new TestCabinet(okm, 'serial-stubborn')
      await cabinet.settle()
      const stuck = `pollingInterval=150&keyCheckoutWindowTime=7&usersAssets=${userDigest(users)}`
      const poll = () => okm.device('GET', `/config/serial-stubborn?${stuck}`)
      for (let round = 0; round < 3; round++) await poll()
      const [, second] = users
      await okm.call('PUT', '/acls/acl-stubborn', { customer: 'invu', users: [second], locks })
      expect((await poll()).body).toEqual({ usersAssets: [second] })
    })

    test('lists of several ACLs are merged: dual authorization prevails, the shorter time too', async () => {
      await register('merged')
      await give('merged', {})
      const more = {
        id: 'acl-more',
        customer: 'invu',
        locks: ['0000051a00000004', '0000051a00000007'],
        users: [{ ...users[0], pin_hash: 'ffff', auth_time: 4, ...loud, permissions: [1, 17] }],
      }
      okm.clock.advance(1000)
      await okm.call('POST', '/acls', more)
      await okm.call('POST', '/acl-okms', {
        customer: 'invu',
        acl_id: 'acl-more',
        okm_id: 'merged',
      })
      const cabinet = new TestCabinet(okm, 'serial-merged')
      await cabinet.settle()
      expect(cabinet.locks).toEqual(['0000051a00000004', ...locks])
      expect(cabinet.users).toEqual([
        { ...users[0], pin_hash: 'ffff', auth_time: 4, ...loud, permissions: [1, 1, 17, 17] },
        { ...users[1], permissions: [0, 1, 1, 1] },
      ])
    })

    test('unlinking, deleting the ACL, and deleting the OKM take the rights away', async () => {
      await register('taken')
      await give('taken', {})
      const cabinet = new TestCabinet(okm, 'serial-taken')
      await cabinet.settle()
      await okm.call('DELETE', '/acls/acl-taken')
      expect(await cabinet.settle()).toEqual(['assetList', 'usersAssets'])
      expect([cabinet.locks, cabinet.users]).toEqual([[], []])
      await okm.call('DELETE', '/okms/taken')
      expect((await cabinet.heartbeat()).status).toBe(204)
    })

    test('firmware is offered to what is older, never the other way, and not in the place of rights', async () => {
      const platform = { token: await okm.addAccount(null, ['firmware:write']) }
      const url = 'https://storage.example.com/okm.bin'
      for (const version of ['01932023020111483', '01932023020111490']) {
        await okm.call('POST', '/firmware', { type: 'OKM', version, url }, platform)
      }
      await register('fresh')
      const cabinet = new TestCabinet(okm, 'serial-fresh')
      const offer = await okm.device('GET', '/config/serial-fresh?kasFirmware=01932023020111482')
      expect(offer.body).toEqual({ kasFirmware: { version: '01932023020111490', url } })
      for (const newer of ['01932023020111490', '01932023020111491', '101932023020111400']) {
        const { status } = await okm.device('GET', `/config/serial-fresh?kasFirmware=${newer}`)
        expect(status, newer).toBe(204)
      }
      await cabinet.settle()
      expect(cabinet.settings.kasFirmware).toBe('01932023020111490')
    })

    test('two customers with equal ids: each cabinet gets its own', async () => {
      const [first, second] = users
      await register('twin')
      await okm.call(
        'POST',
        '/okms',
        { id: 'twin', serial: 'serial-twin-acme', customer: 'acme' },
        other,
      )
      for (const [customer, user] of [
        ['invu', first],
        ['acme', second],
      ] as const) {
        await give('twin', { users: [user] }, customer)
      }
      const cabinets = [
        new TestCabinet(okm, 'serial-twin'),
        new TestCabinet(okm, 'serial-twin-acme'),
      ]
      await Promise.all(cabinets.map((cabinet) => cabinet.settle()))
      expect(cabinets.map((cabinet) => cabinet.users)).toEqual([[first], [second]])
      await okm.call('DELETE', '/acls/acl-twin', undefined, other)
      expect(await cabinets[0]?.settle()).toEqual([])
      expect(await cabinets[1]?.settle()).toEqual(['assetList', 'usersAssets'])
    })

    test('403 while the customer is disabled', async () => {
      await register('paused', {}, 'acme')
      const { core } = okm
      await core.tenants.update(platformAdmin, 'acme', { status: 'DISABLED' })
      const { status, body } = await okm.device('GET', '/config/serial-paused')
      await core.tenants.update(platformAdmin, 'acme', { status: 'ACTIVE' })
      expect([status, body.error_msg]).toEqual([403, 'Device not allowed'])
    })

    test('500 users change while ten cabinets poll: in the end all hold the last list, and never a mixture', {
      timeout: 60_000,
    }, async () => {
      const many = (mark: number) =>
        Array.from({ length: 500 }, (_, index) => ({
          ...users[0],
          user_id: index,
          pin_hash: `mark${mark}`,
          permissions: [1, 0, mark % 2],
        }))
      const list = (mark: number) => ({
        id: 'acl-many',
        customer: 'invu',
        locks,
        users: many(mark),
      })
      await okm.call('POST', '/acls', list(0))
      const cabinets = await Promise.all(
        Array.from({ length: 10 }, async (_, index) => {
          await register(`many${index}`)
          await okm.call('POST', '/acl-okms', {
            customer: 'invu',
            acl_id: 'acl-many',
            okm_id: `many${index}`,
          })
          return new TestCabinet(okm, `serial-many${index}`)
        }),
      )
      let isChanging = true
      const marks = new Set<number>()
      const polling = cabinets.map(async (cabinet) => {
        while (isChanging) {
          await cabinet.poll()
          marks.add(new Set(cabinet.users.map(({ pin_hash }) => pin_hash)).size)
        }
      })
      for (let mark = 1; mark <= 8; mark++) await okm.call('PUT', '/acls/acl-many', list(mark))
      isChanging = false
      await Promise.all(polling)
      await Promise.all(cabinets.map((cabinet) => cabinet.settle()))
      for (const cabinet of cabinets) expect(cabinet.users).toEqual(many(8))
      expect([...marks].filter((size) => size > 1)).toEqual([])
    })
  })

  describe('pollOkmConfigLegacy', () => {
    test('200 with the configured address, also when none is reported', async () => {
      await register('burnt')
      const path = '/embeddedv1/kas/config/serial-burnt'
      const { body } = await okm.device('GET', path, undefined, { base: '' })
      expect(body).toEqual({ configUrl: '/okm/api/v1/config' })
      const known = `${path}?configUrl=%2Fokm%2Fapi%2Fv1%2Fconfig`
      expect((await okm.device('GET', known, undefined, { base: '' })).status).toBe(204)
    })

    test('204 for a device that nobody knows, under every base', async () => {
      for (const base of ['', '/okm/api/v1', '/okm/v1']) {
        const path = '/embeddedv1/kas/config/never-seen'
        expect((await okm.device('GET', path, undefined, { base })).status).toBe(204)
      }
    })
  })

  describe('fetchOkmUserAssets', () => {
    const path = (id: string) => `/config/serial-${id}/user-assets`

    test('200 with the merged rights of one user; the time of the last call stays', async () => {
      await register('live', { config: { cache_mode: false } })
      await give('live', {})
      okm.clock.advance(1000)
      const { status, body } = await okm.device('POST', path('live'), { user_id: 1001 })
      expect([status, body]).toEqual([200, { assetList: locks, user: users[0] }])
      expect((await okm.call('GET', '/okms/live')).body.data.okm.last_sync_time).toBeNull()
      // Its lists are not sent to a cabinet that asks for each user.
      const poll = await okm.device('GET', '/config/serial-live?usersAssets=x&cacheMode=0')
      expect(poll.status).toBe(204)
    })

    test('404 for a user, and a device, that nobody knows', async () => {
      const user = await okm.device('POST', path('live'), { user_id: 7 })
      expect([user.status, user.body]).toEqual([
        404,
        { error_code: 'NOT_FOUND', error_msg: 'User not found' },
      ])
      await okm.device('GET', '/config/serial-unclaimed')
      for (const id of ['nowhere', 'unclaimed']) {
        const { status, body } = await okm.device('POST', path(id), { user_id: 1001 })
        expect([status, body.error_msg]).toEqual([404, `OKM with serial serial-${id} not found`])
      }
    })

    test('by the PIN alone only in PIN mode, and only if it is that of one user', async () => {
      const { status, body } = await okm.device('POST', path('live'), { pin_hash: 'a1b2c3d4' })
      expect([status, body.errors]).toEqual([
        400,
        [{ field: 'user_id', reason: 'required when pin_mode is off' }],
      ])
      await register('pins', { config: { cache_mode: false, pin_mode: true } })
      const twice = [...users, { ...users[1], user_id: 1003 }]
      await give('pins', { users: twice })
      const alone = await okm.device('POST', path('pins'), { pin_hash: 'a1b2c3d4' })
      expect([alone.status, alone.body.user]).toEqual([200, users[0]])
      expect((await okm.device('POST', path('pins'), { pin_hash: '9f8e7d6c' })).status).toBe(404)
      expect((await okm.device('POST', path('pins'), { pin_hash: 'A1B2C3D4' })).status).toBe(404)
    })

    test('400 with both, neither, or more', async () => {
      for (const body of [
        {},
        { user_id: 1, pin_hash: 'a' },
        { user_id: '1' },
        { user_id: -1 },
        { pin_hash: '' },
      ]) {
        expect((await okm.device('POST', path('live'), body)).status).toBe(400)
      }
    })

    test('what was asked is in the journal, without the hash of a PIN', async () => {
      const records = await okm.journal('invu')
      const fetched = records.filter(({ action }) => action === 'cabinet.user-fetched')
      expect(fetched.length).toBeGreaterThan(3)
      expect(fetched.map(({ text }) => text).join()).not.toMatch(/a1b2c3d4|9f8e7d6c/i)
    })
  })
})
