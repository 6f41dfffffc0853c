import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pairsOn, readPdf } from '#printing/printing.fixture.ts'
import { engines, testMasterKeyBytes } from '#test/support/core.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts'

describe.each(engines)('printed lists on %s', (engine) => {
  let api: PlatformApi
  let database: TestDatabase | undefined
  let reader: string
  let stranger: string
  let relyingParty: string

  const tenant = '/api/v1/tenants/acme'
  const methods = `${tenant}/otp-list-methods`
  const lists = `${tenant}/otp-lists`
  const unknownList = '01M7YRRT80W6YXCRNKT3KKMRE1'
  const now = '2026-11-21T10:00:00.000Z'

  beforeAll(async () => {
    database = engine === 'postgres' ? await createTestDatabase() : undefined
    api = await createPlatformApi(
      database === undefined
        ? {}
        : {
            COUNTERSIGN_DATABASE_URL: database.url,
            COUNTERSIGN_MASTER_KEY: Buffer.from(testMasterKeyBytes).toString('base64'),
          },
    )
    await api.createTenant('acme')
    await api.createTenant('other')
    reader = await api.createAccount('acme', ['tenant:read'])
    relyingParty = await api.createAccount('acme', ['verify'])
    stranger = await api.createAccount('other', ['tenant:write'])
    await api.call(`POST ${tenant}/users`, { body: { id: 'jsmith', loginName: 'jsmith' } })
    await newMethod({ name: 'otp.1', listSize: 3 })
  })
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await database?.drop()
  })

  async function newMethod(body: object) {
    const reply = await api.call(`POST ${methods}`, { body })
    expect(reply.status).toBe(201)
    return reply
  }

  const create = (body: object, more: object = {}) => api.call(`POST ${lists}`, { body, ...more })

  async function newList(body: object = {}) {
    const { status, body: made } = await create({ method: 'otp.1', ...body })
    expect(status).toBe(201)
    return made.items[0]
  }

  async function listCount(method = 'otp.1'): Promise<number> {
    const { body } = await api.call(`GET ${lists}?method=${method}&limit=200`)
    return body.items.length
  }

  describe('createOtpListMethod', () => {
    test('201 with the defaults of the contract, and its path', async () => {
      const { headers, body } = await newMethod({ name: 'plain' })
      expect(headers.location).toBe(`${methods}/plain`)
      expect(body).toEqual({
        name: 'plain',
        description: '',
        otpWindowSize: 1,
        otpLength: 6,
        otpAlphabet: '0123456789',
        listSize: 50,
        order: 'SEQUENTIAL',
        indexFormat: 'NUMERIC',
        indexBlockSize: 10,
        freeListMaxAgeSeconds: 2_592_000,
        associatedListMaxAgeSeconds: 0,
        maxAgeLimitSeconds: 315_360_000,
        renewThreshold: 10,
        maxFailures: 5,
        lockSeconds: 900,
        createdAt: now,
        updatedAt: now,
      })
    })

    test('400 for settings that do not go together, with their places', async () => {
      for (const [body, pointer] of [
        [{ order: 'RANDOM', otpWindowSize: 2 }, '/otpWindowSize'],
        [{ otpAlphabet: '0011' }, '/otpAlphabet'],
        [{ otpAlphabet: '0aB' }, '/otpAlphabet'],
        [{ listSize: 1_001 }, '/listSize'],
        [{ other: 1 }, '/other'],
      ] as const) {
        const reply = await api.call(`POST ${methods}`, { body: { name: 'bad', ...body } })
        expect(reply.body).toMatchObject({ code: 'validation_failed', errors: [{ pointer }] })
      }
      expect((await api.call(`GET ${methods}/bad`)).status).toBe(404)
    })

    test('409 for a name that is taken, 403, 404', async () => {
      const body = { name: 'otp.1' }
      expect((await api.call(`POST ${methods}`, { body })).body.code).toBe('already_exists')
      expect((await api.call(`POST ${methods}`, { body, as: reader })).status).toBe(403)
      expect((await api.call(`POST ${methods}`, { body, as: stranger })).status).toBe(404)
    })
  })

  describe('listOtpListMethods', () => {
    test('200 in pages, 404 for another tenant', async () => {
      const first = await api.call(`GET ${methods}?limit=1`, { as: reader })
      expect(first.body.items.map(({ name }: { name: string }) => name)).toEqual(['otp.1'])
      const second = await api.call(`GET ${methods}?limit=1&cursor=${first.body.nextCursor}`)
      expect(second.body.items[0].name).not.toBe('otp.1')
      expect((await api.call(`GET ${methods}`, { as: stranger })).status).toBe(404)
      expect((await api.call(`GET ${methods}`, { as: relyingParty })).status).toBe(403)
    })
  })

  describe('getOtpListMethod', () => {
    test('200, 404', async () => {
      expect((await api.call(`GET ${methods}/otp.1`, { as: reader })).body.listSize).toBe(3)
      expect((await api.call(`GET ${methods}/nothing`)).status).toBe(404)
      expect((await api.call(`GET ${methods}/otp.1`, { as: stranger })).status).toBe(404)
    })
  })

  describe('updateOtpListMethod', () => {
    test('200 with the change and everything else as it was', async () => {
      const { body: before } = await newMethod({ name: 'changed' })
      const target = `PATCH ${methods}/changed` as const
      const { status, body } = await api.call(target, { body: { renewThreshold: 5 } })
      expect(status).toBe(200)
      expect(body).toEqual({ ...before, renewThreshold: 5 })
    })

    test('400 judged by what it would leave, 404', async () => {
      await newMethod({ name: 'random', order: 'RANDOM' })
      const body = { otpWindowSize: 2 }
      expect((await api.call(`PATCH ${methods}/random`, { body })).body).toMatchObject({
        code: 'validation_failed',
        errors: [{ pointer: '/otpWindowSize' }],
      })
      expect((await api.call(`PATCH ${methods}/nothing`, { body })).status).toBe(404)
      expect((await api.call(`PATCH ${methods}/random`, { body, as: stranger })).status).toBe(404)
      expect((await api.call(`PATCH ${methods}/random`, { body: {} })).status).toBe(400)
    })
  })

  describe('deleteOtpListMethod', () => {
    test('204 without lists, 409 in_use with one, 404 afterwards', async () => {
      await newMethod({ name: 'short', listSize: 1 })
      const { list } = await newList({ method: 'short' })
      const target = `DELETE ${methods}/short` as const
      expect((await api.call(target)).body.code).toBe('in_use')
      await api.call(`DELETE ${lists}/${list.id}`)
      expect((await api.call(target, { as: stranger })).status).toBe(404)
      expect((await api.call(target)).status).toBe(204)
      expect((await api.call(target)).status).toBe(404)
    })
  })

  describe('createOtpLists', () => {
    test('201 JSON: lists with codes, once', async () => {
      const { status, headers, body } = await create({ method: 'otp.1', count: 2 })
      expect(status).toBe(201)
      expect(headers['cache-control']).toBe('no-store')
      const ids = body.items.map(({ list }: { list: { id: string } }) => list.id)
      expect(headers['x-list-ids']).toBe(ids.join(','))
      expect(body.items[0]).toEqual({
        list: {
          id: ids[0],
          method: 'otp.1',
          status: 'FREE',
          userId: null,
          size: 3,
          remaining: 3,
          nextIndex: '1',
          expiresAt: '2026-12-21T10:00:00.000Z',
          createdAt: now,
          updatedAt: now,
        },
        codes: ['1', '2', '3'].map((index) => ({ index, otp: expect.stringMatching(/^\d{6}$/) })),
      })
      const seen = await api.call(`GET ${lists}/${ids[0]}`, { as: reader })
      expect(JSON.stringify(seen.body)).not.toContain(body.items[0].codes[0].otp)
    })

    test('201 CSV with a row a code', async () => {
      const { headers, body } = await create({ method: 'otp.1', count: 2, output: 'CSV' })
      expect(headers['content-type']).toBe('text/csv; charset=utf-8')
      const [head, ...rows] = String(body).split('\r\n')
      expect(head).toBe('list,index,otp,expires')
      expect(rows.pop()).toBe('')
      expect(rows).toHaveLength(6)
      const [first = ''] = String(headers['x-list-ids']).split(',')
      expect(rows[0]).toMatch(new RegExp(`^${first},1,\\d{6},2026-12-21T10:00:00\\.000Z$`))
    })

    test('201 HTML that loads and runs nothing', async () => {
      const title = '<b>Ärzte & Söhne</b>'
      const { headers, body } = await create({ method: 'otp.1', output: 'HTML', title })
      expect(headers['content-type']).toBe('text/html; charset=utf-8')
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
      expect(headers['content-disposition']).toContain('attachment')
      expect(body).toContain('&lt;b&gt;Ärzte &amp; Söhne&lt;/b&gt;')
      expect(body.match(/<li>/g)).toHaveLength(3)
    })

    test('201 PDF: codes that verify, beside the labels that are asked for', async () => {
      const order = { method: 'otp.1', output: 'PDF', user: { id: 'jsmith' }, paper: 'LETTER' }
      const { status, headers, bytes } = await create(order)
      expect(status).toBe(201)
      expect(headers['content-type']).toBe('application/pdf')
      const pages = await readPdf(bytes)
      expect(pages).toHaveLength(1)
      expect(pages[0]?.width).toBe(612)
      const texts = pages[0]?.words.map(({ text }) => text)
      // The title is the tenant's name.
      expect(texts).toContain('acme')
      expect(texts).toContain(headers['x-list-ids'])
      const pairs = pages.flatMap(pairsOn)
      expect(pairs.map(({ index }) => index)).toEqual(['1', '2', '3'])
      for (const { otp: code } of pairs) {
        const { body } = await api.call(`POST ${tenant}/verify`, {
          body: { user: { id: 'jsmith' }, code },
        })
        expect(body.result).toBe('ACCEPTED')
      }
    })

    test('201 PDF with an address page in front of each sheet, in the order of the lists', async () => {
      const recipients = [['Anna A'], ['Boris Б', 'Москва']]
      const order = {
        method: 'otp.1',
        count: 2,
        output: 'PDF',
        recipients,
        notice: 'N',
        title: 'T',
      }
      const { headers, bytes } = await create(order)
      const pages = await readPdf(bytes)
      expect(pages).toHaveLength(4)
      const ids = String(headers['x-list-ids']).split(',')
      for (const [number, page] of pages.entries()) {
        const texts = page.words.map(({ text }) => text)
        expect(texts).toContain(ids[Math.floor(number / 2)])
        expect(texts.includes('Anna A')).toBe(number === 0)
        expect(pairsOn(page)).toHaveLength(number % 2 === 0 ? 0 : 3)
      }
    })

    test('201 with an expiry, or the user’s at once', async () => {
      const { list } = await newList({ expiresAt: '2026-11-22T00:00:00Z' })
      expect(list.expiresAt).toBe('2026-11-22T00:00:00.000Z')
      const given = await newList({ user: { loginName: 'JSmith' }, maxAgeSeconds: 60 })
      expect(given.list).toMatchObject({ status: 'ASSOCIATED', userId: 'jsmith' })
    })

    test('201 for a repeat: JSON without codes, no second list', async () => {
      const more = { headers: { 'idempotency-key': 'json-1' } }
      const first = await create({ method: 'otp.1', count: 2 }, more)
      const before = await listCount()
      const again = await create({ method: 'otp.1', count: 2 }, more)
      expect(again.status).toBe(201)
      expect(again.headers['idempotency-replayed']).toBe('true')
      expect(again.headers['x-list-ids']).toBe(first.headers['x-list-ids'])
      expect(again.body.items).toEqual(
        first.body.items.map(({ list }: { list: object }) => ({ list })),
      )
      expect(await listCount()).toBe(before)
    })

    test.each(['CSV', 'HTML', 'PDF'])(
      '409 one_time_output_gone for a repeat of %s, with the lists that were made',
      async (output) => {
        const more = { headers: { 'idempotency-key': `gone-${output}` } }
        const first = await create({ method: 'otp.1', output }, more)
        expect(first.status).toBe(201)
        const before = await listCount()
        const again = await create({ method: 'otp.1', output }, more)
        expect(again.status).toBe(409)
        expect(again.body.code).toBe('one_time_output_gone')
        expect(again.body.detail).toContain(first.headers['x-list-ids'])
        expect(await listCount()).toBe(before)
        const other = await create({ method: 'otp.1', output, count: 2 }, more)
        expect(other.body.code).toBe('idempotency_key_reused')
      },
    )

    test('201 once when one keyed request comes ten times at once', async () => {
      const before = await listCount()
      const more = { headers: { 'idempotency-key': 'race' } }
      const order = { method: 'otp.1', output: 'PDF' }
      const replies = await Promise.all(Array.from({ length: 10 }, () => create(order, more)))
      expect(replies.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(await listCount()).toBe(before + 1)
    })

    test('400 before anything is made, with the place', async () => {
      await newMethod({ name: 'large', listSize: 1_000 })
      const before = await listCount()
      for (const [body, pointer] of [
        [{ count: 1_001 }, '/count'],
        [{ count: 0 }, '/count'],
        [{ method: 'large', count: 1_000 }, '/count'],
        [{ count: 2, user: { id: 'jsmith' } }, '/count'],
        [{ expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
        [{ output: 'PDF', title: 'a\u0007b' }, '/title'],
        [{ output: 'PDF', title: 'a\u202eb' }, '/title'],
        [{ output: 'HTML', title: 'a\u202eb' }, '/title'],
        [{ output: 'PDF', title: 'ธนาคาร' }, '/title'],
        [{ output: 'PDF', notice: '\n'.repeat(20) }, '/notice'],
        [{ output: 'PDF', notice: 'x'.repeat(601) }, '/notice'],
        [{ output: 'PDF', labels: { list: '\u0007' } }, '/labels/list'],
        [{ output: 'PDF', recipients: [['a'], ['b']] }, '/recipients'],
        [{ output: 'PDF', recipients: [['a', 'W'.repeat(60)]] }, '/recipients/0/1'],
        [{ output: 'JSON', recipients: [['a']] }, '/recipients'],
        [{ output: 'PDF', paper: 'A5' }, '/paper'],
      ] as const) {
        const reply = await create({ method: 'otp.1', ...body })
        expect(reply.status, JSON.stringify(body)).toBe(400)
        expect(reply.body).toMatchObject({ code: 'validation_failed', errors: [{ pointer }] })
      }
      expect(await listCount()).toBe(before)
      expect(await listCount('large')).toBe(0)
    })

    test('400 reference_not_found for a method or user that is not there, 403, 404', async () => {
      for (const [body, pointer] of [
        [{ method: 'nothing' }, '/method'],
        [{ user: { id: 'nobody' } }, '/user'],
      ] as const) {
        const reply = await create({ method: 'otp.1', ...body })
        expect(reply.body).toMatchObject({ code: 'reference_not_found', errors: [{ pointer }] })
      }
      for (const output of ['JSON', 'PDF']) {
        const body = { method: 'otp.1', output }
        expect((await create(body, { as: reader })).status).toBe(403)
        expect((await create(body, { as: stranger })).status).toBe(404)
      }
    })

    test('a reader that goes away in the middle leaves the server as it was, and its lists to be found', async () => {
      await newMethod({ name: 'many', listSize: 100 })
      const sent = httpRequest(`${api.origin}${lists}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${api.adminSecret}`, 'content-type': 'application/json' },
      })
      sent.on('error', () => {})
      sent.end(JSON.stringify({ method: 'many', count: 200, output: 'PDF' }))
      const [response] = await once(sent, 'response')
      const ids = String(response.headers['x-list-ids']).split(',')
      response.on('error', () => {})
      await once(response, 'data')
      response.destroy()
      expect(await listCount('many')).toBe(200)
      const { body } = await api.call(`GET ${lists}?method=many&status=FREE&limit=200`)
      const found = body.items.map(({ id }: { id: string }) => id)
      expect(found.slice(0, 100)).toEqual(ids)
      expect((await api.call(`DELETE ${lists}/${ids[0]}`)).status).toBe(204)
      expect((await create({ method: 'many', output: 'PDF' })).status).toBe(201)
    })
  })

  describe('printOtpListAddresses', () => {
    const target = `POST ${lists}/address-pages` as const

    test('200 with name, address and list, no code, as often as it is asked for', async () => {
      const { list, codes } = await newList()
      const body = { addresses: [{ listId: list.id, recipient: ['Erika', 'Musterstraße 1'] }] }
      for (const form of [{}, { output: 'PDF', paper: 'LETTER', title: 'Bank' }]) {
        const { status, headers, bytes } = await api.call(target, {
          body: { ...body, ...form },
          as: reader,
        })
        expect(status).toBe(200)
        expect(headers['content-type']).toBe('application/pdf')
        const [page] = await readPdf(bytes)
        const texts = page?.words.map(({ text }) => text).join(' ') ?? ''
        for (const text of ['Erika', 'Musterstraße 1', list.id]) expect(texts).toContain(text)
        expect(texts).not.toContain(codes[0].otp)
      }
      const html = await api.call(target, { body: { ...body, output: 'HTML' } })
      expect(html.headers['content-security-policy']).toContain("default-src 'none'")
      expect(html.body).toContain('Musterstraße 1')
    })

    test('400 for a list that is not there and for text that cannot be printed, 403, 404', async () => {
      const { list } = await newList()
      const good = { listId: list.id, recipient: ['Erika'] }
      const missing = { addresses: [good, { ...good, listId: unknownList }] }
      expect((await api.call(target, { body: missing })).body).toMatchObject({
        code: 'reference_not_found',
        errors: [{ pointer: '/addresses/1/listId', code: 'not_found' }],
      })
      const hostile = { addresses: [{ ...good, recipient: ['Erika\nSECRET'] }] }
      expect((await api.call(target, { body: hostile })).body).toMatchObject({
        errors: [{ pointer: '/addresses/0/recipient/0', code: 'bad_format' }],
      })
      const body = { addresses: [good] }
      expect((await api.call(target, { body, as: relyingParty })).status).toBe(403)
      expect((await api.call(target, { body, as: stranger })).status).toBe(404)
    })
  })

  describe('listOtpLists', () => {
    test('200 in pages and by filters', async () => {
      await newMethod({ name: 'stock', listSize: 5 })
      const { list } = await newList({ method: 'stock', maxAgeSeconds: 3_600 })
      await newList({ method: 'stock', user: { id: 'jsmith' } })
      const found = async (query: string) =>
        (await api.call(`GET ${lists}?method=stock&${query}`, { as: reader })).body.items.length
      expect(await found('limit=10')).toBe(2)
      expect(await found('status=FREE')).toBe(1)
      expect(await found('userId=jsmith')).toBe(1)
      expect(await found('userId=nobody')).toBe(0)
      expect(await found('expiresBefore=2026-11-21T12:00:00Z')).toBe(1)
      expect(await found('remainingMax=4')).toBe(0)
      expect(await found('remainingMax=5')).toBe(2)
      const first = await api.call(`GET ${lists}?method=stock&limit=1`)
      expect(first.body.items[0].id).toBe(list.id)
      const cursor = first.body.nextCursor
      const second = await api.call(`GET ${lists}?method=stock&limit=1&cursor=${cursor}`)
      expect(second.body.items[0].userId).toBe('jsmith')
      const other = await api.call(`GET ${lists}?method=otp.1&limit=1&cursor=${cursor}`)
      expect(other.body.code).toBe('cursor_invalid')
    })

    test('400 for filters that the contract does not have, 403, 404', async () => {
      expect((await api.call(`GET ${lists}?status=USED`)).status).toBe(400)
      expect((await api.call(`GET ${lists}?remainingMax=-1`)).status).toBe(400)
      expect((await api.call(`GET ${lists}`, { as: relyingParty })).status).toBe(403)
      expect((await api.call(`GET ${lists}`, { as: stranger })).status).toBe(404)
    })
  })

  describe('getOtpList', () => {
    test('200 until it expires, 404 from that instant and for others', async () => {
      const { list } = await newList({ maxAgeSeconds: 60 })
      const target = `GET ${lists}/${list.id}` as const
      expect((await api.call(target, { as: reader })).body).toEqual(list)
      expect((await api.call(target, { as: stranger })).status).toBe(404)
      expect((await api.call(`GET ${lists}/${unknownList}`)).status).toBe(404)
      expect((await api.call(`GET ${lists}/nothing`)).status).toBe(404)
      api.clock.advance(60_000)
      expect((await api.call(target)).status).toBe(404)
      api.clock.advance(-60_000)
    })
  })

  describe('deleteOtpList', () => {
    test('204, then 404; 403 and 404 for those who may not', async () => {
      const { list } = await newList()
      const target = `DELETE ${lists}/${list.id}` as const
      expect((await api.call(target, { as: reader })).status).toBe(403)
      expect((await api.call(target, { as: stranger })).status).toBe(404)
      expect((await api.call(target)).status).toBe(204)
      expect((await api.call(target)).status).toBe(404)
    })
  })

  describe('associateOtpList', () => {
    test('200 with its owner; 409 state_conflict when it is not free; 400 for an unknown user', async () => {
      const { list } = await newList()
      const target = `POST ${lists}/${list.id}/associate` as const
      const body = { user: { id: 'jsmith' } }
      expect((await api.call(target, { body: { user: { id: 'nobody' } } })).body).toMatchObject({
        code: 'reference_not_found',
        errors: [{ pointer: '/user' }],
      })
      expect((await api.call(target, { body, as: stranger })).status).toBe(404)
      expect((await api.call(target, { body, as: reader })).status).toBe(403)
      const { status, body: given } = await api.call(target, { body })
      expect(status).toBe(200)
      expect(given).toMatchObject({ id: list.id, status: 'ASSOCIATED', userId: 'jsmith' })
      expect((await api.call(target, { body })).body.code).toBe('state_conflict')
      const unknown = `POST ${lists}/${unknownList}/associate` as const
      expect((await api.call(unknown, { body })).status).toBe(404)
    })
  })
})
