import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allRows } from '#test/support/commands.ts'
import { engines, testCaller } from '#test/support/core.ts'
import type { Json } from '#test/support/platform-api.ts'
import type { TestDevice } from '#test/support/test-device.ts'
import { type ClientsInstallation, createClientsInstallation } from './clients.fixture.ts'

const unknownClient = '01FH8MDGN9W5C3RXRFNX6G164S'

describe.each(engines)('Client Properties on %s', (engine) => {
  let ast: ClientsInstallation
  let phone: TestDevice
  let tablet: TestDevice
  beforeAll(async () => {
    ast = await createClientsInstallation({ engine })
    phone = await ast.addDevice('anna')
    tablet = await ast.addDevice('anna')
    for (const id of ['bert', 'filters', 'pages', 'erased', 'raw']) await ast.addUser(id)
  }, 60_000)
  afterAll(() => ast[Symbol.asyncDispose]())

  const draft = (name: string, more: object = {}) => ({
    name,
    type: 'UTF8STRING',
    value: 'blue',
    userId: 'anna',
    ...more,
  })
  const create = (name: string, more: object = {}, token = ast.admin) =>
    ast.call('POST /portal/properties', { token, body: draft(name, more) })
  const created = async (name: string, more: object = {}): Promise<string> => {
    const { status, body } = await create(name, more)
    expect({ status, body }).toMatchObject({ status: 201 })
    return body.id
  }
  const read = (id: string, token = ast.admin) =>
    ast.call(`GET /portal/properties/${id}`, { token })
  const update = (id: string, body: object) => ast.call(`PUT /portal/properties/${id}`, { body })
  const list = (path: string, filters: readonly string[] = [], more = '') => {
    const query = new URLSearchParams(
      filters.map((one): [string, string] => ['filter', one]),
    ).toString()
    return ast.call(`GET /portal/properties/user/${path}?${query.replaceAll('+', '%20')}${more}`)
  }
  const namesOf = async (path: string, ...filters: string[]) => {
    const { status, body } = await list(path, filters)
    expect({ status, body }).toMatchObject({ status: 200 })
    return body.map(({ name }: { name: string }) => name)
  }
  const changesTold = async ({ tenantId, id }: TestDevice, name: string) => {
    const { deviceEvents } = ast.api.app.composed.storage.read
    const events = await deviceEvents.listAfter({ tenantId, deviceId: id }, '', 1_000)
    return events.filter(({ data }) => data.name === name).map(({ data }) => data)
  }

  describe('createProperty', () => {
    test('201 with id and place; defaults, and the forms of the samples', async () => {
      const { status, location, body } = await create('CardNumber', {
        readOnly: 'false',
        notify: 'false',
        inKeystorage: 'true',
        cpFlags: '768',
        visibility: null,
        unknown: 1,
      })
      expect(status).toBe(201)
      expect(location).toBe(`/ast/v1/tenants/acme/portal/properties/${body.id}`)
      expect((await read(body.id)).body).toEqual({
        id: body.id,
        name: 'CardNumber',
        type: 'UTF8STRING',
        value: 'blue',
        encryption: 'NONE',
        readOnly: false,
        notify: false,
        inKeystorage: true,
        cpFlags: 768,
        visibility: [],
        userId: 'anna',
        astClientId: null,
      })
    })

    test('409 for a name that the owner has, also one the portal may not see; others may have it', async () => {
      await created('taken', { visibility: ['CLIENT'] })
      expect(await create('taken')).toMatchObject({
        status: 409,
        body: { code: '4091', subsystem: 511 },
      })
      await created('taken', { astClientId: phone.id })
      await created('taken', { astClientId: tablet.id })
      await created('taken', { userId: 'bert' })
      const racers = await Promise.all(Array.from({ length: 8 }, () => create('raced')))
      expect(racers.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(racers.filter(({ status }) => status === 409)).toHaveLength(7)
    })

    test.each<[string, object]>([
      ['inKeystorage without a copy', { inKeystorage: true }],
      ['readOnly where devices write', { readOnly: true, cpFlags: 512 }],
      ['copies on the device alone', { cpFlags: 256 }],
      ['a name of two characters', { name: 'ab' }],
      ['no value', { value: '' }],
      ['a value that is too long', { value: 'ä'.repeat(8_193) }],
      ['two equal viewers', { visibility: ['CLIENT', 'CLIENT'] }],
      ['words for booleans', { notify: 'yes' }],
      ['an integer with a fraction', { type: 'INTEGER', value: '1.0' }],
      ['an integer of 65 bits', { type: 'INTEGER', value: '9223372036854775808' }],
      ['an integer with a zero before it', { type: 'INTEGER', value: '007' }],
      ['another boolean', { type: 'BOOLEAN', value: 'TRUE' }],
      ['octets without padding', { type: 'OCTETSTRING', value: 'YWI' }],
      ['octets with other digits', { type: 'OCTETSTRING', value: 'YW-=' }],
      ['octets with bits behind them', { type: 'OCTETSTRING', value: 'YWJ=' }],
      ['a day that there is not', { type: 'DATE', value: '2025-02-29T00:00:00Z' }],
      ['a date without offset', { type: 'DATE', value: '2025-02-28T00:00:00' }],
      ['a day alone', { type: 'DATE', value: '2025-02-28' }],
      ['hour 24', { type: 'DATE', value: '2025-02-28T24:00:00Z' }],
      ['another type', { type: 'FLOAT', value: '1' }],
    ])('400 for %s, nothing made', async (_name, more) => {
      const reply = await create('invalid-one', more)
      expect(reply).toMatchObject({ status: 400, body: { code: '4000' } })
      expect(await namesOf('anna', 'name=invalid-one')).toEqual([])
    })

    test.each([
      ['OCTETSTRING', 'AP8='],
      ['INTEGER', '-9223372036854775808'],
      ['INTEGER', '9223372036854775807'],
      ['BOOLEAN', 'false'],
      ['DATE', '1969-12-31T23:59:59.999999999+23:59'],
      ['UTF8STRING', '  " ü€😀\n'],
      ['UTF8STRING', 'x'.repeat(16_384)],
    ])('201 for %s %#, and it comes back as it was', async (type, value) => {
      const id = await created('valid-one', { type, value })
      expect((await read(id)).body).toMatchObject({ type, value })
      await ast.call(`DELETE /portal/properties/${id}`)
    })

    test('404 for an unknown user, an unknown client, and a client of somebody else', async () => {
      expect(await create('nobody', { userId: 'never-heard' })).toMatchObject({
        status: 404,
        body: { code: '4043', subsystem: 511 },
      })
      const others = [unknownClient, (await ast.addDevice('carl')).id]
      for (const astClientId of others) {
        expect(await create('nobody', { astClientId })).toMatchObject({
          status: 404,
          body: { code: '4044', subsystem: 511 },
        })
      }
    })

    test('403 without the right to write, or of another tenant', async () => {
      expect((await create('forbidden', {}, ast.reader)).status).toBe(403)
      expect((await create('forbidden', {}, ast.stranger)).status).toBe(403)
    })
  })

  describe('getProperty', () => {
    test('404 for an unknown one, one that the portal may not see, and one of another tenant', async () => {
      const hidden = await created('hidden', { visibility: ['CLIENT', 'INTERNAL'] })
      const shown = await created('shown', { visibility: ['EXTERNAL'] })
      const { status, cacheControl } = await read(shown, ast.reader)
      expect([status, cacheControl]).toEqual([200, 'no-store'])
      for (const id of [hidden, unknownClient]) {
        expect(await read(id)).toMatchObject({
          status: 404,
          body: { code: '4047', subsystem: 511 },
        })
      }
      const path = `GET /v1/tenants/shop/portal/properties/${shown}` as const
      expect((await ast.call(path, { token: ast.stranger })).status).toBe(404)
      expect((await read(shown, ast.stranger)).status).toBe(403)
    })
  })

  describe('updateProperty', () => {
    test('204: everything changes but the owner, which is ignored', async () => {
      const id = await created('before', { type: 'INTEGER', value: '5' })
      const next = draft('after', {
        type: 'BOOLEAN',
        value: 'true',
        encryption: 'SERVER_SIDE_DB',
        notify: true,
        cpFlags: 512,
        inKeystorage: true,
        visibility: ['EXTERNAL', 'CLIENT'],
        userId: 'bert',
        astClientId: phone.id,
      })
      expect((await update(id, next)).status).toBe(204)
      expect((await read(id)).body).toEqual({
        ...next,
        id,
        readOnly: false,
        visibility: ['CLIENT', 'EXTERNAL'],
        userId: 'anna',
        astClientId: null,
      })
    })

    test('409 for a name that the owner has, and for whatever is read-only; 404 for an unknown one', async () => {
      const [first, second] = [await created('first-one'), await created('second-one')]
      expect((await update(second, draft('first-one'))).status).toBe(409)
      expect((await update(first, draft('first-one', { readOnly: true }))).status).toBe(204)
      expect(await update(first, draft('first-one'))).toMatchObject({
        status: 409,
        body: { code: '4090', subsystem: 511 },
      })
      expect((await read(first)).body.readOnly).toBe(true)
      expect((await update(unknownClient, draft('none'))).status).toBe(404)
      expect((await update(first, draft('first-one', { value: '' }))).status).toBe(400)
    })

    test('204 for many at once: each change counts, and all but the last are written over', async () => {
      const id = await created('contended', { type: 'INTEGER', value: '0', notify: true })
      const values = ['1', '2', '3']
      const replies = await Promise.all(
        values.map((value) =>
          update(id, draft('contended', { type: 'INTEGER', value, notify: true })),
        ),
      )
      expect(replies.map(({ status }) => status)).toEqual([204, 204, 204])
      const told = await changesTold(phone, 'contended')
      expect(told.map(({ version }) => version)).toEqual([1, 2, 3, 4])
      expect(values).toContain((await read(id)).body.value)
    })
  })

  describe('deleteProperty', () => {
    test('204 once, also a read-only one; 404 for one the portal may not see', async () => {
      const id = await created('to-delete', { readOnly: true })
      const remove = (one: string) => ast.call(`DELETE /portal/properties/${one}`)
      expect((await remove(id)).status).toBe(204)
      expect((await remove(id)).status).toBe(404)
      const hidden = await created('to-keep', { visibility: ['CLIENT'] })
      expect((await remove(hidden)).status).toBe(404)
    })
  })

  describe('deleteUserPropertyByName', () => {
    test('204 for the one on all clients alone; 404 for unknown names and users', async () => {
      await created('by name/ü')
      await created('by name/ü', { astClientId: phone.id })
      const path = `/name/${encodeURIComponent('by name/ü')}`
      const remove = (user: string, name = path) =>
        ast.call(`DELETE /portal/properties/user/${user}${name}`)
      expect((await remove('anna')).status).toBe(204)
      expect((await remove('anna')).status).toBe(404)
      expect((await remove('anna', '/name/a%00b')).status).toBe(400)
      expect((await remove('never-heard')).status).toBe(404)
      expect(await namesOf(`anna/client/${phone.id}`, 'name^="by name"')).toEqual(['by name/ü'])
    })
  })

  describe('deleteClientPropertyByName', () => {
    test('204 for the one on this client alone', async () => {
      await created('on-both', { astClientId: phone.id })
      await created('on-both', { astClientId: tablet.id })
      const path = `user/anna/client/${phone.id}/name/on-both`
      const remove = () => ast.call(`DELETE /portal/properties/${path}`)
      expect((await remove()).status).toBe(204)
      expect((await remove()).status).toBe(404)
      expect(await namesOf(`anna/client/${tablet.id}`, 'name=on-both')).toEqual(['on-both'])
    })
  })

  describe('listUserProperties', () => {
    test('200 by pages in order of ids, with the number of all; nothing for nobody', async () => {
      const names = Array.from({ length: 12 }, (_, index) => `page-${12 - index}`)
      for (const name of names) await created(name, { userId: 'pages' })
      await created('page-hidden', { userId: 'pages', visibility: ['CLIENT'] })
      const page = (number: number) => list('pages', [], `&page=${number}&page_size=5`)
      const pages = await Promise.all([page(1), page(2), page(3), page(4)])
      const read = pages.map(({ body }) => body.map(({ name }: Json) => name))
      expect(read).toEqual([names.slice(0, 5), names.slice(5, 10), names.slice(10), []])
      expect(pages.map(({ totalCount }) => totalCount)).toEqual(['12', '12', '12', '12'])
      const nobody = await list('never-heard')
      expect([nobody.body, nobody.totalCount]).toEqual([[], '0'])
      expect((await list('pages', [], '&page_size=4')).status).toBe(400)
    })

    test('200 with those that fit all filters; a value compares by the type of its property', async () => {
      const rows: readonly [string, string, string, object?][] = [
        ['limit-a', 'INTEGER', '1000'],
        ['limit-b', 'INTEGER', '-5'],
        ['since', 'DATE', '2026-05-21T12:00:00+02:00'],
        ['colour', 'UTF8STRING', 'Blue_1000'],
        ['flag', 'BOOLEAN', 'true'],
        ['sealed', 'UTF8STRING', 'Blue_1000', { encryption: 'SERVER_SIDE_DB' }],
      ]
      for (const [name, type, value, more] of rows) {
        await created(name, { userId: 'filters', type, value, ...more })
      }
      const found = (...filters: string[]) => namesOf('filters', ...filters)
      expect(await found('value > 999.5')).toEqual(['limit-a', 'colour', 'flag'])
      expect(await found('value >= -5', 'name^=limit')).toEqual(['limit-a', 'limit-b'])
      expect(await found('value < 100', 'name^=limit')).toEqual(['limit-b'])
      expect(await found('value = "2026-05-21T10:00:00.000Z"')).toEqual(['since'])
      expect(await found('value in {1000, true, "2026-05-21T10:00:00Z"}')).toEqual([
        'limit-a',
        'since',
        'flag',
      ])
      expect(await found('value !in {1000, 7}', 'name like "l%"')).toEqual(['limit-b'])
      expect(await found('value != 1000 and name ^= LIMIT[i]')).toEqual(['limit-b'])
      expect(await found('value ^= blue[i]')).toEqual(['colour'])
      expect(await found('value *= 00')).toEqual(['limit-a', 'since', 'colour'])
      expect(await found('value = null')).toEqual([])
      expect(await found('value != null', 'name=sealed')).toEqual([])
      expect(await found('value != nothing', 'name=sealed')).toEqual([])
      expect(await found('name = sealed')).toEqual(['sealed'])
    })

    test('400 for what cannot be read, also for nobody', async () => {
      const codes: Json[] = []
      for (const filter of ['colour=1', 'name', 'name=a and', 'value like null']) {
        const { status, body } = await list('never-heard', [filter])
        codes.push([status, body.code])
      }
      expect(codes).toEqual([
        [400, '4001'],
        [400, '4002'],
        [400, '4002'],
        [400, '4002'],
      ])
    })
  })

  describe('listClientProperties', () => {
    test('200 with those of the user on this client alone', async () => {
      const body = { astClientId: phone.id, value: 'on the phone' }
      const id = await created('client-only', body)
      await created('client-only')
      const { body: found } = await list(`anna/client/${phone.id}`, ['name=client-only'])
      expect(found).toMatchObject([{ id, userId: 'anna', ...body }])
      expect(await namesOf(`bert/client/${phone.id}`)).toEqual([])
      expect(await namesOf(`anna/client/${unknownClient}`)).toEqual([])
    })
  })

  describe('what devices are told', () => {
    test('changes of whatever says so and may be seen, to the devices of its owner', async () => {
      const id = await created('told', { notify: true })
      await update(id, draft('told', { notify: true, value: 'red' }))
      await update(id, draft('told', { notify: true, value: 'red' }))
      await ast.call(`DELETE /portal/properties/${id}`)
      const changes = [
        { owner: 'user', name: 'told', change: 'created', version: 1 },
        { owner: 'user', name: 'told', change: 'updated', version: 2 },
        { owner: 'user', name: 'told', change: 'deleted' },
      ]
      expect(await changesTold(phone, 'told')).toEqual(changes)
      expect(await changesTold(tablet, 'told')).toEqual(changes)
      await created('told-one', { notify: true, astClientId: tablet.id })
      expect(await changesTold(tablet, 'told-one')).toMatchObject([{ owner: 'device' }])
      expect(await changesTold(phone, 'told-one')).toEqual([])
      await created('not-told')
      await created('not-seen', { notify: true, visibility: ['EXTERNAL'] })
      expect(await changesTold(phone, 'not-told')).toEqual([])
      expect(await changesTold(phone, 'not-seen')).toEqual([])
    })

    test('another name is another property to them; hidden it is gone, shown it is new', async () => {
      const id = await created('old-name', { notify: true })
      await update(id, draft('new-name', { notify: true }))
      expect(await changesTold(phone, 'old-name')).toMatchObject([
        { change: 'created' },
        { change: 'deleted' },
      ])
      await update(id, draft('new-name', { notify: true, visibility: ['EXTERNAL'] }))
      await update(id, draft('new-name', { notify: true, visibility: ['CLIENT', 'EXTERNAL'] }))
      expect((await changesTold(phone, 'new-name')).map(({ change }) => change)).toEqual([
        'created',
        'deleted',
        'created',
      ])
    })
  })

  describe('what is kept', () => {
    const secret = 'The-Secret-Of-The-Raw-Database'

    test('sealed values are nowhere in the database, and its journal, events and log of writes', async () => {
      const sealed = { userId: 'raw', encryption: 'SERVER_SIDE_DB' }
      const id = await created('sealed-one', { ...sealed, value: `${secret}-1`, notify: true })
      await update(id, draft('sealed-one', { ...sealed, value: `${secret}-2`, notify: true }))
      await created('plain-one', { userId: 'raw', value: 'Known-To-Be-Plain' })
      expect((await read(id)).body.value).toBe(`${secret}-2`)
      const text = Object.values(await allRows(ast.databaseUrl))
        .flat()
        .join('\n')
      expect(text).toContain('Known-To-Be-Plain')
      for (const form of ['utf8', 'hex', 'base64'] as const) {
        expect(text).not.toContain(Buffer.from(secret).toString(form).replaceAll('=', ''))
      }
      if (engine === 'sqlite') {
        const path = ast.databaseUrl.slice('sqlite:'.length)
        const bytes = Buffer.concat(['', '-wal'].map((end) => readFileSync(path + end)))
        expect(bytes.includes('Known-To-Be-Plain')).toBe(true)
        expect(bytes.includes(secret)).toBe(false)
      }
    })

    test('a sealed value that is moved to another property does not open', async () => {
      const { storage } = ast.api.app.composed
      const sealed = { userId: 'raw', encryption: 'SERVER_SIDE_DB', value: secret }
      const [from, to] = [await created('move-from', sealed), await created('move-to', sealed)]
      await storage.transaction(async ({ properties }) => {
        const source = await properties.find('acme', from)
        const target = await properties.find('acme', to)
        if (source === undefined || target === undefined) throw new Error('Not there.')
        expect(await properties.update({ ...target, stored: source.stored })).toBe(true)
      })
      const caller = testCaller('acme', ['ast:read'])
      await expect(ast.core.properties.get(caller, 'acme', to)).rejects.toThrow('another place')
    })

    test('R4: of a user 10,000 at most, on all clients and on single ones, also at once', async () => {
      const device = await ast.addDevice('hoarder')
      const first = await created('first', { userId: 'hoarder' })
      const { storage } = ast.api.app.composed
      const stored = await storage.read.properties.find('acme', first)
      if (stored === undefined) throw new Error('Not there.')
      for (let filled = 1; filled < 9_999; ) {
        const end = Math.min(filled + 500, 9_999)
        await storage.transaction(async ({ properties }) => {
          for (let n = filled; n < end; n++) {
            const deviceId = n % 2 === 0 ? device.id : null
            await properties.insert({ ...stored, deviceId, id: `hoard-${n}`, name: `hoard-${n}` })
          }
        })
        filled = end
      }
      const replies = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          create(`racer-${n}`, {
            userId: 'hoarder',
            ...(n % 2 === 0 ? {} : { astClientId: device.id }),
          }),
        ),
      )
      const refused = replies.filter(({ status }) => status !== 201)
      expect(refused).toHaveLength(7)
      expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 409))
      const { properties } = storage.read
      expect(await properties.hasAsMany('acme', 'hoarder', 10_000)).toBe(true)
      expect(await properties.hasAsMany('acme', 'hoarder', 10_001)).toBe(false)
    }, 60_000)

    test('goes with the link to the client, also when it is made at that moment; others stay', async () => {
      const device = await ast.addDevice('parted')
      await ast.addUser('stays')
      await ast.link(device, 'stays')
      const onDevice = { astClientId: device.id }
      const own = await created('own', { userId: 'parted', ...onDevice })
      const everywhere = await created('everywhere', { userId: 'parted' })
      const others = await created('own', { userId: 'stays', ...onDevice })
      const names = Array.from({ length: 10 }, (_, n) => `racer-${n}`)
      const [unlinked] = await Promise.all([
        ast.call('POST /users/parted/unlink'),
        ...names.map((name) => create(name, { userId: 'parted', ...onDevice })),
      ])
      expect(unlinked.status).toBe(204)
      expect((await read(own)).status).toBe(404)
      expect([(await read(everywhere)).status, (await read(others)).status]).toEqual([200, 200])
      const { properties } = ast.api.app.composed.storage.read
      expect(await properties.hasAsMany('acme', 'parted', 2)).toBe(false)
    })

    test('goes with the client, with the data of the user, and with the user', async () => {
      const device = await ast.addDevice('leaver')
      const { properties } = ast.api.app.composed.storage.read
      const left = async () => {
        const has = (count: number) => properties.hasAsMany('acme', 'leaver', count)
        return Number(await has(1)) + Number(await has(2))
      }
      await created('on-client', { userId: 'leaver', astClientId: device.id })
      await created('on-all', { userId: 'leaver', visibility: ['INTERNAL'] })
      await device.login()
      expect((await device.call('DELETE /device')).status).toBe(204)
      expect(await left()).toBe(1)
      expect((await ast.call('DELETE /users/leaver')).status).toBe(204)
      expect(await left()).toBe(0)
      await created('on-all', { userId: 'leaver' })
      await ast.core.users.delete(testCaller('acme', ['tenant:write']), 'acme', 'leaver')
      expect(await left()).toBe(0)
      expect((await create('on-all', { userId: 'leaver' })).status).toBe(404)
    })
  })
})
