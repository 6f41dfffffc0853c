import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '#test/support/core.ts'
import { createOkmInstallation, type OkmInstallation, statusesOf } from './okm.fixture.ts'

/** The request of the vendor's page, "Create an OKM", as it stands there. */
const published = `{
"id":"OKM3",
"serial": "0203cc1fc4123456",
"customer": "invu",
"config": {
"contact_type": 1,
"checkout_window": 0,
"cache_mode": true,
"pin_mode": false,
"card_reader": {},
"audit_enabled": true,
"retail_config": 2,
"polling_interval": 150
},
"active": true,
"online": true,
"last_sync_time": "2024-05-14T15:29:23.638Z",
"subscribe_urls": {},
"fw_version": "01932023020111483",
"user_data": {}
}`

/** The OKM of the vendor's response, with the customer of the request. */
const okm3 = {
  id: 'OKM3',
  serial: '0203cc1fc4123456',
  customer: 'invu',
  active: true,
  online: true,
  user_data: {},
  config: {
    contact_type: 1,
    checkout_window: 0,
    cache_mode: true,
    pin_mode: false,
    card_reader: {},
    audit_enabled: true,
    retail_config: 2,
    polling_interval: 150,
  },
  last_sync_time: '2024-05-14T15:29:23.638Z',
  subscribe_urls: {},
  fw_version: '01932023020111483',
}

const minimal = (id: string, serial: string, customer = 'invu') => ({ id, serial, customer })
const exists = { error_code: 'ALREADY_EXISTS', error_msg: 'OKM already exists' }
const notFound = (id: string) => ({
  error_code: 'NOT_FOUND',
  error_msg: `OKM with id ${id} not found`,
})
const otherCustomer = {
  error_code: 'UNAUTHORIZED_ACCESS',
  error_msg: 'Customer not allowed for this token',
}

describe.each(engines)('OKMs on %s', (engine) => {
  let okm: OkmInstallation
  let other: { readonly token: string }

  beforeAll(async () => {
    okm = await createOkmInstallation({ engine })
    other = { token: okm.tokens.acme }
  })
  afterAll(() => okm[Symbol.asyncDispose]())

  describe('createOkm', () => {
    test("201 with the vendor's own request: the vendor's response, members in its order", async () => {
      const { status, headers, text } = await okm.call('POST', '/okms', published)
      expect(status).toBe(201)
      expect(headers['content-type']).toBe('application/json; charset=utf-8')
      expect(text).toBe(
        JSON.stringify({
          status: 201,
          msg: 'Okm registered successfully',
          data: { okm: okm3 },
        }),
      )
    })

    test('400 OKM already exists for an id of the customer, and for a serial in any case', async () => {
      for (const body of [
        minimal('OKM3', '0203cc1fc4129999'),
        minimal('OKM99', '0203cc1fc4123456'),
        minimal('OKM99', '0203CC1FC4123456'),
      ]) {
        expect(await okm.call('POST', '/okms', body)).toMatchObject({ status: 400, body: exists })
      }
      expect((await okm.call('GET', '/okms/OKM99')).status).toBe(404)
    })

    test('201 with the same id for another customer, 400 with its serial', async () => {
      const taken = minimal('OKM3', '0203cc1fc4123456', 'acme')
      expect(await okm.call('POST', '/okms', taken, other)).toMatchObject({
        status: 400,
        body: exists,
      })
      const own = minimal('OKM3', 'acme-serial-3', 'acme')
      const { status, body } = await okm.call('POST', '/okms', own, other)
      expect(status).toBe(201)
      expect(body.data.okm.customer).toBe('acme')
      expect((await okm.call('GET', '/okms/OKM3')).body.data.okm).toEqual(okm3)
    })

    test('201 with the defaults of everything that is left out', async () => {
      const { body } = await okm.call('POST', '/okms', minimal('OKM5', 'serial-5'))
      expect(body.data.okm).toEqual({
        ...okm3,
        id: 'OKM5',
        serial: 'serial-5',
        online: false,
        last_sync_time: null,
        fw_version: null,
      })
    })

    test('201 with a time of another offset, told in UTC with milliseconds', async () => {
      const { body } = await okm.call('POST', '/okms', {
        ...minimal('OKM6', 'serial-6'),
        last_sync_time: '2024-05-14T17:29:23+02:00',
      })
      expect(body.data.okm.last_sync_time).toBe('2024-05-14T15:29:23.000Z')
    })

    test('201 with data and URLs of the implementer, given back unchanged', async () => {
      const mine = {
        user_data: { store: '0042', nested: { list: [1, null, 'ü'], deep: { er: true } } },
        subscribe_urls: {
          status: ['https://hooks.example.com/status'],
          audit: ['https://hooks.example.com/audit?x=1'],
          theirs: { anything: 1 },
        },
        config: { card_reader: { type: 'prox', bits: [26, 34] } },
      }
      await okm.call('POST', '/okms', { ...minimal('OKM7', 'serial-7'), ...mine })
      const { body } = await okm.call('GET', '/okms/OKM7')
      expect(body.data.okm).toMatchObject(mine)
    })

    test('201 with members that nobody knows: they are ignored', async () => {
      const sent = { ...minimal('OKM8', 'serial-8'), colour: 'red', last_ip: '1.2.3.4' }
      const { status, body } = await okm.call('POST', '/okms', sent)
      expect([status, body.data.okm.colour, body.data.okm.last_ip]).toEqual([
        201,
        undefined,
        undefined,
      ])
    })

    test.each<[string, object, string, string]>([
      [
        'interval below',
        { config: { polling_interval: 4 } },
        'config.polling_interval',
        'must be between 5 and 3600',
      ],
      [
        'interval above',
        { config: { polling_interval: 3601 } },
        'config.polling_interval',
        'must be between 5 and 3600',
      ],
      [
        'interval as text',
        { config: { polling_interval: '150' } },
        'config.polling_interval',
        'must be an integer',
      ],
      [
        'window above',
        { config: { checkout_window: 255 } },
        'config.checkout_window',
        'must be between 0 and 254',
      ],
      ['contact type', { config: { contact_type: 2 } }, 'config.contact_type', 'must be 0 or 1'],
      ['retail config', { config: { retail_config: 1 } }, 'config.retail_config', 'must be 2'],
      ['cache mode', { config: { cache_mode: 1 } }, 'config.cache_mode', 'must be true or false'],
      ['config', { config: [] }, 'config', 'must be an object'],
      ['flag', { active: null }, 'active', 'must be true or false'],
      [
        'time',
        { last_sync_time: 'yesterday' },
        'last_sync_time',
        'must be a date and time as in RFC 3339',
      ],
      ['user data', { user_data: 'x' }, 'user_data', 'must be an object'],
      [
        'URL',
        { subscribe_urls: { status: ['ftp://x'] } },
        'subscribe_urls.status[0]',
        'does not have the right form',
      ],
      [
        'private URL',
        { subscribe_urls: { status: ['https://10.0.0.1/'] } },
        'subscribe_urls.status[0]',
        'is outside the allow-list',
      ],
      ['version', { fw_version: 1 }, 'fw_version', 'must be a string or null'],
    ])(
      '400 with a %s that does not fit, and nothing is registered',
      async (_, change, field, reason) => {
        const sent = { ...minimal('BAD', 'serial-bad'), ...change }
        const { status, body } = await okm.call('POST', '/okms', sent)
        expect(status).toBe(400)
        expect(body).toEqual({
          error_code: 'VALIDATION_FAILED',
          error_msg: 'Validation failed for the request',
          errors: [{ field, reason }],
        })
        expect((await okm.call('GET', '/okms/BAD')).status).toBe(404)
      },
    )

    test('400 naming every member that is missing', async () => {
      const { status, body } = await okm.call('POST', '/okms', {})
      expect(status).toBe(400)
      expect(body.errors).toEqual([
        { field: 'id', reason: 'required' },
        { field: 'serial', reason: 'required' },
        { field: 'customer', reason: 'required' },
      ])
    })

    test('403 for another customer, also when nothing else fits; 400 first for what is no OKM', async () => {
      const foreign = minimal('OKM3', '0203cc1fc4123456', 'acme')
      expect(await okm.call('POST', '/okms', foreign)).toMatchObject({
        status: 403,
        body: otherCustomer,
      })
      const broken = { ...foreign, serial: 'a b' }
      expect((await okm.call('POST', '/okms', broken)).status).toBe(400)
    })

    test('R4: 201 once when one serial comes from two customers twenty times at once', async () => {
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          const customer = index % 2 === 0 ? 'invu' : 'acme'
          const body = minimal(
            `RACE${index}`,
            index % 4 < 2 ? 'race-serial' : 'RACE-SERIAL',
            customer,
          )
          return okm.call('POST', '/okms', body, { token: okm.tokens[customer] })
        }),
      )
      expect(replies.filter(({ status }) => status === 201)).toHaveLength(1)
      const losers = replies.filter(({ status }) => status !== 201)
      expect(losers.map(({ body }) => body)).toEqual(losers.map(() => exists))
    })

    test('R4: 201 once when one id comes with several serials at once', async () => {
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          okm.call('POST', '/okms', minimal('RACE-ID', `race-id-${index}`)),
        ),
      )
      expect(statusesOf(replies)).toEqual([201, ...Array(9).fill(400)])
    })
  })

  describe('listOkms', () => {
    let list: OkmInstallation
    beforeAll(async () => {
      list = await createOkmInstallation({ engine })
    })
    afterAll(() => list[Symbol.asyncDispose]())

    test("200 with nothing, in the vendor's text", async () => {
      const { status, text } = await list.call('GET', '/okms?customer=invu')
      expect(status).toBe(200)
      expect(text).toBe(
        JSON.stringify({
          status: 200,
          msg: 'OKM fetched successfully',
          data: [],
          pagination: { page: 1, results_per_page: 30, total_results: '0' },
        }),
      )
    })

    test('200 in order of ids, byte by byte; numbers by default, texts as sent, the total always a text', async () => {
      for (const [index, id] of ['okm1', 'OKM10', 'OKM2', 'ÖKM', 'OKM1'].entries()) {
        await list.call('POST', '/okms', minimal(id, `list-${index}`))
      }
      await list.call('POST', '/okms', minimal('OKM0', 'list-acme', 'acme'), {
        token: list.tokens.acme,
      })
      const all = await list.call('GET', '/okms?customer=invu')
      expect(all.body.data.map(({ id }: { id: string }) => id)).toEqual([
        'OKM1',
        'OKM10',
        'OKM2',
        'okm1',
        'ÖKM',
      ])
      expect(all.body.pagination).toEqual({ page: 1, results_per_page: 30, total_results: '5' })
      const { body } = await list.call('GET', '/okms?customer=invu&page=2&results_per_page=2')
      expect(body.data.map(({ id }: { id: string }) => id)).toEqual(['OKM2', 'okm1'])
      expect(body.pagination).toEqual({ page: '2', results_per_page: '2', total_results: '5' })
      const half = await list.call('GET', '/okms?results_per_page=4')
      expect(half.body.pagination).toEqual({ page: 1, results_per_page: '4', total_results: '5' })
      expect(half.body.data).toHaveLength(4)
    })

    test('200 and empty past the end, however far', async () => {
      for (const page of ['4', '9007199254740991']) {
        const path = `/okms?page=${page}&results_per_page=1000`
        const { status, body } = await list.call('GET', path)
        expect([status, body.data, body.pagination.page]).toEqual([200, [], page])
      }
    })

    test('400 for a page that is too large for one answer; a smaller one has it', {
      timeout: 60_000,
    }, async () => {
      const large = 'x'.repeat(65_000)
      const more = {
        user_data: { large },
        config: { card_reader: { large } },
        subscribe_urls: { large },
      }
      for (let index = 0; index < 105; index++) {
        const body = { ...minimal(`LARGE${index}`, `large-${index}`), ...more }
        expect((await list.call('POST', '/okms', body)).status).toBe(201)
      }
      const { status, body } = await list.call('GET', '/okms?results_per_page=1000')
      expect([status, body]).toEqual([
        400,
        {
          error_code: 'BAD_REQUEST',
          error_msg: 'The page holds too much; ask for a smaller one.',
        },
      ])
      const half = await list.call('GET', '/okms?results_per_page=100')
      expect([half.status, half.body.data.length]).toEqual([200, 100])
    })

    test.each([
      ['page=0', 'page', 'must be a positive integer'],
      ['page=-1', 'page', 'must be a positive integer'],
      ['page=1.5', 'page', 'must be a positive integer'],
      ['page=', 'page', 'must be a positive integer'],
      ['page=01', 'page', 'must be a positive integer'],
      ['page=99999999999999999999', 'page', 'must be a positive integer'],
      ['results_per_page=0', 'results_per_page', 'must be between 1 and 1000'],
      ['results_per_page=1001', 'results_per_page', 'must be between 1 and 1000'],
      ['page=1&page=2', 'page', 'must be a positive integer'],
      ['customer=a%20b', 'customer', 'does not have the right form'],
    ])('400 with %s', async (query, field, reason) => {
      const { status, body } = await list.call('GET', `/okms?${query}`)
      expect(status).toBe(400)
      expect(body.errors).toEqual([{ field, reason }])
    })

    test('403 for another customer, and for one that is not there', async () => {
      for (const customer of ['acme', 'nobody', 'INVU']) {
        expect(await list.call('GET', `/okms?customer=${customer}`)).toMatchObject({
          status: 403,
          body: otherCustomer,
        })
      }
    })
  })

  describe('getOkm', () => {
    test('200 with the text that speaks of a lock', async () => {
      const { status, text } = await okm.call('GET', '/okms/OKM3?customer=invu')
      expect(status).toBe(200)
      expect(text).toBe(
        JSON.stringify({ status: 200, msg: 'Lock fetched successfully', data: { okm: okm3 } }),
      )
    })

    test('404 naming the id, also for what only another customer has, and for what no id can be', async () => {
      await okm.call('POST', '/okms', minimal('ONLY-ACME', 'only-acme', 'acme'), other)
      for (const id of ['OKM44', 'okm3', 'ONLY-ACME', 'x'.repeat(129), '"<b>"']) {
        const { status, body } = await okm.call('GET', `/okms/${encodeURIComponent(id)}`)
        expect([status, body]).toEqual([404, notFound(id)])
      }
    })

    test('403 for another customer, before anything is looked for', async () => {
      expect((await okm.call('GET', '/okms/OKM3?customer=acme')).body).toEqual(otherCustomer)
      expect((await okm.call('GET', '/okms/missing?customer=acme')).body).toEqual(otherCustomer)
    })

    test('200 with ids that need an escape', async () => {
      const id = 'Tür 1%'.replace(' ', '_')
      await okm.call('POST', '/okms', minimal(id, 'umlaut'))
      const { body } = await okm.call('GET', `/okms/${encodeURIComponent(id)}`)
      expect(body.data.okm.id).toBe(id)
    })
  })

  describe('updateOkm', () => {
    /** The request of the vendor's page, "Update an Existing OKM". */
    const update = {
      id: 'OKM3',
      serial: '0203cc1fc4123456',
      customer: 'invu',
      active: false,
      online: true,
      user_data: {},
      config: {
        contact_type: 1,
        checkout_window: 0,
        cache_mode: false,
        pin_mode: false,
        card_reader: {},
        audit_enabled: true,
        retail_config: 2,
        polling_interval: 350,
      },
      last_sync_time: '2030-01-01T00:00:00.000Z',
      subscribe_urls: {},
      fw_version: '99999999999999999',
    }

    test("200 with the vendor's request; what only polls tell stays", async () => {
      const { status, text } = await okm.call('PUT', '/okms/OKM3?customer=invu', update)
      expect(status).toBe(200)
      const { last_sync_time, fw_version } = okm3
      const config = { ...okm3.config, cache_mode: false, polling_interval: 350 }
      expect(text).toBe(
        JSON.stringify({
          status: 200,
          msg: 'Okm updated successfully',
          data: { okm: { ...okm3, active: false, config, last_sync_time, fw_version } },
        }),
      )
      expect((await okm.call('GET', '/okms/OKM3')).body.data.okm).toMatchObject({ config })
    })

    test('200 with another serial; the old one is free, a registered one is 400', async () => {
      const moved = { ...update, serial: '0203cc1fc4123457' }
      const { body } = await okm.call('PUT', '/okms/OKM3', moved)
      expect(body.data.okm.serial).toBe('0203cc1fc4123457')
      const again = minimal('OKM30', '0203cc1fc4123456')
      expect((await okm.call('POST', '/okms', again)).status).toBe(201)
      expect(await okm.call('PUT', '/okms/OKM3', update)).toMatchObject({
        status: 400,
        body: exists,
      })
      const { status } = await okm.call('PUT', '/okms/OKM3', { ...update, serial: 'acme-serial-3' })
      expect(status).toBe(400)
    })

    test('200: what is left out returns to its default', async () => {
      const { body } = await okm.call('PUT', '/okms/OKM7', minimal('OKM7', 'serial-7'))
      expect(body.data.okm).toEqual({
        ...okm3,
        id: 'OKM7',
        serial: 'serial-7',
        online: false,
        last_sync_time: null,
        fw_version: null,
      })
    })

    test('400 OKM id mismatch, before it matters whether there is one', async () => {
      for (const id of ['OKM3', 'missing']) {
        expect(await okm.call('PUT', `/okms/${id}`, minimal('OKM4', 'serial-4'))).toMatchObject({
          status: 400,
          body: { error_code: 'ID_MISMATCH', error_msg: 'OKM id mismatch' },
        })
      }
    })

    test('404 naming the id', async () => {
      expect(await okm.call('PUT', '/okms/OKM44', minimal('OKM44', 'serial-44'))).toMatchObject({
        status: 404,
        body: notFound('OKM44'),
      })
    })

    test('403 for another customer in query or body: an OKM cannot change hands', async () => {
      const foreign = { ...update, customer: 'acme' }
      expect((await okm.call('PUT', '/okms/OKM3', foreign)).body).toEqual(otherCustomer)
      expect((await okm.call('PUT', '/okms/OKM3?customer=acme', update)).body).toEqual(
        otherCustomer,
      )
    })

    test('200 for one of many that change at once: none is a mixture', async () => {
      await okm.call('POST', '/okms', minimal('MIX', 'mix'))
      await Promise.all(
        Array.from({ length: 12 }, (_, index) =>
          okm.call('PUT', '/okms/MIX', {
            ...minimal('MIX', 'mix'),
            config: { polling_interval: 100 + index, checkout_window: 100 + index },
          }),
        ),
      )
      const { config } = (await okm.call('GET', '/okms/MIX')).body.data.okm
      expect(config.polling_interval).toBe(config.checkout_window)
    })
  })

  describe('deleteOkm', () => {
    test('204 and empty, then 404; the serial is free', async () => {
      await okm.call('POST', '/okms', minimal('GONE', 'gone'))
      const { status, text } = await okm.call('DELETE', '/okms/GONE?customer=invu')
      expect([status, text]).toEqual([204, ''])
      expect(await okm.call('DELETE', '/okms/GONE?customer=invu')).toMatchObject({
        status: 404,
        body: notFound('GONE'),
      })
      const { token } = other
      expect(
        (await okm.call('POST', '/okms', minimal('G', 'gone', 'acme'), { token })).status,
      ).toBe(201)
    })

    test('400 for a customer that the token does not cover: the text names both', async () => {
      for (const id of ['OKM3', 'missing']) {
        expect(await okm.call('DELETE', `/okms/${id}?customer=acme`)).toMatchObject({
          status: 400,
          body: { error_code: 'BAD_REQUEST', error_msg: `OKM with id ${id} or acme not found` },
        })
      }
      expect((await okm.call('GET', '/okms/OKM3')).status).toBe(200)
    })

    test("204 once for one's own of two that have the same id", async () => {
      await okm.call('POST', '/okms', minimal('TWIN', 'twin-invu'))
      await okm.call('POST', '/okms', minimal('TWIN', 'twin-acme', 'acme'), other)
      expect((await okm.call('DELETE', '/okms/TWIN')).status).toBe(204)
      expect((await okm.call('GET', '/okms/TWIN')).status).toBe(404)
      expect((await okm.call('GET', '/okms/TWIN', undefined, other)).status).toBe(200)
    })

    test('R4: 204 once when one is deleted ten times at once', async () => {
      await okm.call('POST', '/okms', minimal('RACED', 'raced'))
      const replies = await Promise.all(
        Array.from({ length: 10 }, () => okm.call('DELETE', '/okms/RACED')),
      )
      expect(statusesOf(replies)).toEqual([204, ...Array(9).fill(404)])
    })
  })

  const cannotPatch = { error_code: 'METHOD_NOT_ALLOWED', error_msg: 'Cannot PATCH' }

  describe('patchOkmCollection', () => {
    test('405 Cannot PATCH, before anybody asks for a token', async () => {
      for (const options of [{}, { token: '' }, { token: 'wrong' }]) {
        const { status, headers, body } = await okm.call('PATCH', '/okms', {}, options)
        expect([status, headers.allow, body]).toEqual([405, 'GET, POST', cannotPatch])
      }
    })
  })

  describe('patchOkm', () => {
    test('405 Cannot PATCH, also with a body that is too large for anything', async () => {
      for (const [path, allow] of [
        ['/okms/OKM3', 'GET, PUT, DELETE'],
        ['/okms', 'GET, POST'],
      ] as const) {
        const { status, headers, body } = await okm.call('PATCH', path, {
          a: 'x'.repeat(9_000_000),
        })
        expect([status, headers.allow, body]).toEqual([405, allow, cannotPatch])
      }
    })

    test('405 Cannot PATCH, before anybody asks for a token, and whether or not there is one', async () => {
      for (const path of ['/okms/OKM3', '/okms/missing', '/okms/OKM3?customer=acme']) {
        const { status, headers, body } = await okm.call('PATCH', path, '{broken', { token: '' })
        expect([status, headers.allow, body]).toEqual([405, 'GET, PUT, DELETE', cannotPatch])
      }
    })
  })
})
