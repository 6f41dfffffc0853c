import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, platformAdmin, testCaller } from '#test/support/core.ts'
import { type Answer, type AstInstallation, createAstInstallation } from './ast.fixture.ts'

describe.each(engines)('Localization on %s', (engine) => {
  let ast: AstInstallation
  beforeAll(async () => {
    ast = await createAstInstallation({ engine })
  }, 60_000)
  afterAll(() => ast?.[Symbol.asyncDispose]())

  const templates = '/v1/tenants/acme/templates'
  const create = (body: object, token?: string): Promise<Answer> =>
    ast.call(`POST ${templates}`, { body, ...(token === undefined ? {} : { token }) })
  const add = async (key: string, defaultContent: string, locales: Record<string, string> = {}) => {
    const list = Object.entries(locales).map(([locale, content]) => ({ locale, content }))
    const { status, text } = await create({ key, defaultContent, locales: list })
    if (status !== 201) throw new Error(text)
  }
  const languages = (header: string | undefined) =>
    header === undefined ? {} : { headers: { 'accept-language': header } }
  /** As anybody. */
  const read = (key: string, header?: string) =>
    ast.call(`GET ${templates}/${key}`, { token: '', ...languages(header) })
  const list = (query: string, header?: string) =>
    ast.call(`GET ${templates}?${query}`, { token: '', ...languages(header) })
  const names = ({ body }: Answer): string[] =>
    body.map(({ key, locale }: { key: string; locale: string }) => `${key} ${locale}`)
  const recorded = async (action: string, key: string) =>
    (await ast.journal('acme')).filter(
      (record) => record.action === action && JSON.parse(record.text).target.id === key,
    )

  describe('createTemplate', () => {
    test('201 with the place of the new template, which anybody can read there', async () => {
      const reply = await create({
        key: 'com.acme.welcome',
        defaultContent: 'Welcome, {{name}}',
        locales: [{ locale: 'DE-de', content: 'Willkommen, {{name}}' }],
      })
      expect(reply).toMatchObject({ status: 201, text: '' })
      const place = String(reply.headers.location)
      expect(place).toBe('/ast/v1/tenants/acme/templates/com.acme.welcome')
      const path = place.slice('/ast'.length) as `/${string}`
      const found = await ast.call(`GET ${path}`, { token: '', ...languages('de-DE') })
      expect(found.body).toEqual({
        key: 'com.acme.welcome',
        locale: 'de-DE',
        content: 'Willkommen, {{name}}',
      })
    })

    test('201 once, 409 nine times when ten come at once', async () => {
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          create({
            key: 'contested',
            defaultContent: `${n}`,
            locales: [{ locale: 'de', content: `${n}` }],
          }),
        ),
      )
      expect(replies.filter(({ status }) => status === 201)).toHaveLength(1)
      const refused = replies.filter(({ status }) => status === 409)
      expect(refused).toHaveLength(9)
      expect(refused[0]?.body).toMatchObject({ code: '4091', subsystem: 514 })
      const winner = String(replies.findIndex(({ status }) => status === 201))
      expect((await read('contested')).body.content).toBe(winner)
      expect((await read('contested', 'de')).body.content).toBe(winner)
      expect(await recorded('template.created', 'contested')).toHaveLength(1)
    })

    test('201 for keys, contents and locales of every allowed form', async () => {
      const long = `${'k'.repeat(511)}.${'m'.repeat(512)}`
      await add(long, 'x'.repeat(10_000), {
        'zh-hant-tw': ' ',
        'x-own': '{{#sections}}are kept{{/sections}}',
      })
      expect((await read(long, 'zh-Hant-TW')).body).toMatchObject({
        locale: 'zh-Hant-TW',
        content: ' ',
      })
      expect((await read(long)).body.content).toHaveLength(10_000)
      await add('a.b_c-d.E9', 'x')
      expect((await read('a.b_c-d.E9')).status).toBe(200)
    })

    const text = { defaultContent: 'x' }
    const misfits: readonly (readonly [string, object])[] = [
      ['no key', text],
      ['no default content', { key: 'bad' }],
      ['an empty one', { key: 'bad', defaultContent: '' }],
      ['one of null', { key: 'bad', defaultContent: null }],
      ['one of 10,001 characters', { key: 'bad', defaultContent: 'x'.repeat(10_001) }],
      ['one that no database keeps', { key: 'bad', defaultContent: 'a\u0000b' }],
      ['half a character', { key: 'bad', defaultContent: '\ud800' }],
      ...['', '9a', 'a.', '.a', 'a..b', 'a.9', 'a b', 'ä', 'a.*', 'k'.repeat(1025)].map(
        (key) => [`the key "${key.slice(0, 20)}"`, { ...text, key }] as const,
      ),
      ...['', 'd', 'de_DE', 'de-', 'deutschland', 'de-DE-DE-DE', '*'].map(
        (locale) =>
          [
            `the locale "${locale}"`,
            { ...text, key: 'bad', locales: [{ locale, content: 'x' }] },
          ] as const,
      ),
      [
        'a locale of 65 characters',
        { ...text, key: 'bad', locales: [{ locale: `x${'-a2345678'.repeat(7)}-a`, content: 'x' }] },
      ],
      ['a locale without content', { ...text, key: 'bad', locales: [{ locale: 'de' }] }],
      [
        'a locale twice',
        {
          ...text,
          key: 'bad',
          locales: [
            { locale: 'de-DE', content: 'x' },
            { locale: 'DE-de', content: 'y' },
          ],
        },
      ],
      [
        '101 locales',
        {
          ...text,
          key: 'bad',
          locales: Array.from({ length: 101 }, (_, n) => ({ locale: `x-${n}`, content: 'x' })),
        },
      ],
      ['no object', []],
    ]
    test.each(misfits)('400 with %s, and nothing is kept', async (_what, body) => {
      const reply = await create(body)
      expect(reply).toMatchObject({ status: 400, body: { subsystem: 519 } })
      expect((await read('bad')).status).toBe(404)
    })

    test('403 with the right to read alone and for another tenant, 401 without credential; nothing is kept', async () => {
      const body = { key: 'unasked', defaultContent: 'x' }
      expect((await create(body, ast.reader)).status).toBe(403)
      expect((await create(body, ast.stranger)).status).toBe(403)
      expect((await create(body, '')).status).toBe(401)
      expect((await read('unasked')).status).toBe(404)
      expect(await recorded('template.created', 'unasked')).toEqual([])
    })

    test('201 for the platform, 404 for a tenant that is not there', async () => {
      const body = { key: 'by.platform', defaultContent: 'x' }
      expect((await create(body, ast.platform)).status).toBe(201)
      const path = 'POST /v1/tenants/nobody/templates'
      expect((await ast.call(path, { body, token: ast.platform })).status).toBe(404)
    })

    test('the journal has the hashes of the texts, not the texts', async () => {
      await add('com.acme.recorded', 'A secret greeting', { de: 'Ein geheimer Gruß' })
      const [record] = await recorded('template.created', 'com.acme.recorded')
      expect(JSON.parse(record?.text ?? '{}')).toMatchObject({
        actor: { type: 'SERVICE_ACCOUNT' },
        detail: {
          texts: {
            '*': 'fa5657d41edf10d755dbaf697be64f68c80c86ad8852adf69bc0ae683c508b1f',
            de: expect.stringMatching(/^[0-9a-f]{64}$/),
          },
        },
      })
      expect(record?.text).not.toContain('greeting')
    })
  })

  describe('getTemplate', () => {
    beforeAll(() =>
      add('greeting', 'Hello', {
        de: 'Hallo',
        'de-AT': 'Servus',
        'zh-Hant': '你好',
        'fr-CH': 'Salut',
      }),
    )

    test.each([
      [undefined, 'en', 'Hello'],
      ['*', 'en', 'Hello'],
      ['', 'en', 'Hello'],
      ['de', 'de', 'Hallo'],
      ['de-DE', 'de', 'Hallo'],
      ['DE-at', 'de-AT', 'Servus'],
      ['de-AT-1996', 'de-AT', 'Servus'],
      ['fr', 'en', 'Hello'],
      ['zh-Hant-TW', 'zh-Hant', '你好'],
      ['nl, fr-CH;q=0.1', 'fr-CH', 'Salut'],
      ['en, de;q=0.5', 'en', 'Hello'],
      ['en;q=0.4, de;q=0.5', 'de', 'Hallo'],
      ['en-US, de;q=0.5', 'en', 'Hello'],
      ['de;q=0, fr-CH;q=0.2', 'fr-CH', 'Salut'],
      ['de-AT, de-AT;q=0', 'de-AT', 'Servus'],
      ['nl, *', 'en', 'Hello'],
      ['*, de;q=0.1', 'de', 'Hallo'],
      ['de , , en;Q=0.5', 'de', 'Hallo'],
    ])('200 for Accept-Language %s with %s', async (header, locale, content) => {
      const reply = await read('greeting', header)
      expect(reply).toMatchObject({ status: 200, body: { key: 'greeting', locale, content } })
      expect(reply.headers['content-language']).toBe(locale)
      expect(reply.headers.vary).toBe('Accept-Language')
    })

    test.each(['de;q=2', 'de_DE', 'de-', 'not a header', 'd'.repeat(600), 'de;q=0.1234'])(
      '400 for Accept-Language %s',
      async (header) => {
        expect((await read('greeting', header)).status).toBe(400)
      },
    )

    test('200 with another configured locale of the default content', async () => {
      const settings = (defaultLocale: string) =>
        ast.core.settings.update(testCaller('acme', ['tenant:write']), 'acme', {
          patch: { ast: { defaultLocale } },
        })
      await settings('nl-BE')
      expect((await read('greeting', 'nl-be')).body).toMatchObject({
        locale: 'nl-BE',
        content: 'Hello',
      })
      expect((await read('greeting', 'en, de;q=0.5')).body.locale).toBe('de')
      await settings('en')
    })

    test('404 alike for an unknown key, another tenant’s, an unknown tenant’s and a disabled one’s', async () => {
      const unknown = await read('greeting.none')
      expect(unknown).toMatchObject({ status: 404, body: { code: '4048', subsystem: 514 } })
      await ast.core.tenants.create(platformAdmin, { id: 'closed', name: 'closed' })
      const writer = testCaller('closed', ['ast:write'])
      await ast.core.templates.create(writer, 'closed', { key: 'greeting', defaultContent: 'x' })
      const ofClosed = () => ast.call('GET /v1/tenants/closed/templates/greeting', { token: '' })
      expect((await ofClosed()).status).toBe(200)
      await ast.core.tenants.update(platformAdmin, 'closed', { status: 'DISABLED' })
      const others = ['shop', 'nobody', '_platform', 'closed', 'ACME']
      for (const tenant of others) {
        const path = `GET /v1/tenants/${tenant}/templates/greeting` as const
        const reply = await ast.call(path, { token: '' })
        expect(reply.status, tenant).toBe(404)
        expect(reply.body).toEqual(unknown.body)
      }
    })

    test('400 for a key that is none, at once', async () => {
      const before = performance.now()
      for (const key of ['9', 'a..b', 'a%20b', `${'a'.repeat(4000)}!`, `${'a.'.repeat(2000)}!`]) {
        expect((await read(key)).status).toBe(400)
      }
      expect(performance.now() - before).toBeLessThan(1_000)
    })
  })

  describe('listTemplates', () => {
    beforeAll(async () => {
      await add('shop', 'x')
      await add('shop.cart', 'Cart', { de: 'Korb', 'de-AT': 'Sackerl' })
      await add('shop.cart.item', 'Item', { fr: 'Article' })
      await add('shop.cart.old.item', 'Old item')
      await add('shop-window', 'Window', { de: 'Fenster' })
      await add('shop.menu', 'Menu', { en: 'The menu' })
    })

    test.each([
      ['shop.cart', ['shop.cart de', 'shop.cart de-AT', 'shop.cart en']],
      ['shop.*', ['shop.cart de', 'shop.cart de-AT', 'shop.cart en', 'shop.menu en']],
      ['shop.*.item', ['shop.cart.item en', 'shop.cart.item fr']],
      ['shop.**.item', ['shop.cart.item en', 'shop.cart.item fr', 'shop.cart.old.item en']],
      ['shop.**.old.*', ['shop.cart.old.item en']],
      ['*.menu', ['shop.menu en']],
      ['shop.nothing', []],
    ])('200 with %s: what fits, by key and locale', async (glob, found) => {
      const reply = await list(`filter=${glob}&page_size=100`)
      expect(names(reply)).toEqual(found)
      expect(reply.headers['x-total-count']).toBe(String(found.length))
    })

    test('200 with ** for everything, * for keys without a dot; everything is the default', async () => {
      const all = await list('page_size=100')
      expect(await list('page_size=100&filter=**')).toMatchObject({ body: all.body })
      expect(names(all)).toEqual(names(all).toSorted())
      const single = names(await list('page_size=100&filter=*'))
      expect(single).toEqual(names(all).filter((name) => !name.includes('.')))
      expect(single).toContain('shop en')
    })

    test.each([
      ['de', ['shop-window de', 'shop.cart de']],
      ['de-AT', ['shop-window de', 'shop.cart de-AT']],
      ['de-AT, de;q=0.5', ['shop-window de', 'shop.cart de', 'shop.cart de-AT']],
      ['fr-FR', ['shop.cart.item fr']],
      ['nl', []],
      [
        'de, en-GB;q=0.3',
        [
          'shop-window de',
          'shop-window en',
          'shop.cart de',
          'shop.cart en',
          'shop.cart.item en',
          'shop.cart.old.item en',
          'shop.menu en',
        ],
      ],
      ['*, en;q=0', ['shop-window de', 'shop.cart de', 'shop.cart de-AT', 'shop.cart.item fr']],
    ])('200 for Accept-Language %s: the texts that it finds', async (header, found) => {
      const entries = [
        ...(await list('page_size=100&filter=shop-window', header)).body,
        ...(await list('page_size=100&filter=shop.**', header)).body,
      ]
      expect(names({ body: entries } as Answer)).toEqual(found)
    })

    test('200 with a text once for each locale: the variant of the default’s locale stands for it', async () => {
      expect((await list('filter=shop.menu')).body).toEqual([
        { key: 'shop.menu', locale: 'en', content: 'The menu' },
      ])
      expect((await read('shop.menu')).body.content).toBe('Menu')
    })

    test('200 page by page, each text once, an empty page behind the last', async () => {
      const all = (await list('filter=shop.**&page_size=100')).body
      const pages = await Promise.all(
        [1, 2, 3, 4, 5].map((page) => list(`filter=shop.**&page_size=2&page=${page}`)),
      )
      expect(pages.flatMap(({ body }) => body)).toEqual(all)
      expect(pages.map(({ headers }) => headers['x-total-count'])).toEqual(Array(5).fill('7'))
      expect((await list('filter=shop.**&page=2147483647')).body).toEqual([])
    })

    test('200 with what lies behind the first two thousand texts', async () => {
      const writer = testCaller('shop', ['ast:write'])
      for (let n = 0; n < 41; n++) {
        await ast.core.templates.create(writer, 'shop', {
          key: `many.of${String(n).padStart(2, '0')}`,
          defaultContent: 'x',
          locales: Array.from({ length: 50 }, (_, tag) => ({
            locale: `x-${tag + 10}`,
            content: `${tag}`,
          })),
        })
      }
      const of = (query: string) =>
        ast.call(`GET /v1/tenants/shop/templates?${query}`, { token: '' })
      const last = await of('page_size=100&page=21')
      expect(last.headers['x-total-count']).toBe('2091')
      expect(names(last)).toHaveLength(91)
      expect(names(last).at(-1)).toBe('many.of40 x-59')
      const [straddling] = names(await of('page_size=3&filter=many.of39'))
      expect(straddling).toBe('many.of39 en')
      expect((await of('page_size=2&filter=many.of39')).headers['x-total-count']).toBe('51')
    })

    test('200 and empty alike for a tenant without templates, an unknown one and a disabled one', async () => {
      await ast.core.tenants.create(platformAdmin, { id: 'empty', name: 'empty' })
      const path = 'GET /v1/tenants/empty/templates'
      const empty = await ast.call(path, { token: '' })
      expect(empty).toMatchObject({ status: 200, body: [], headers: { 'x-total-count': '0' } })
      await ast.core.tenants.update(platformAdmin, 'empty', { status: 'DISABLED' })
      expect(await ast.call(path, { token: '' })).toMatchObject({ status: 200, body: [] })
      expect(await ast.call('GET /v1/tenants/nobody/templates', { token: '' })).toMatchObject({
        status: 200,
        body: [],
        headers: { 'x-total-count': '0' },
      })
    })

    test('200 with any credential, also a wrong one: nobody is asked who they are', async () => {
      expect((await ast.call(`GET ${templates}`, { token: 'wrong' })).status).toBe(200)
    })

    test.each([
      'filter=shop*',
      'filter=*shop',
      'filter=shop.**x',
      'filter=a..b',
      'filter=.',
      'filter=',
      'filter=***',
      'page=0',
      'page_size=1',
      'page_size=101',
      'page=x',
      `filter=${'a.'.repeat(512)}a`,
    ])('400 for %.40s', async (query) => {
      expect((await list(query)).status).toBe(400)
    })
  })

  describe('updateTemplate', () => {
    test('204: what is given is replaced or added, the rest stays', async () => {
      await add('patched', 'Default', { de: 'Deutsch', fr: 'Français' })
      const patch = (body: object) => ast.call(`PATCH ${templates}/patched`, { body })
      const texts = async () =>
        (await list('filter=patched')).body.map((one: { content: string }) => one.content)
      const locales = [
        { locale: 'DE', content: 'Neu' },
        { locale: 'it', content: 'Italiano' },
      ]
      expect(await patch({ locales })).toMatchObject({ status: 204, text: '' })
      expect(await texts()).toEqual(['Neu', 'Default', 'Français', 'Italiano'])
      expect((await patch({ defaultContent: 'Changed' })).status).toBe(204)
      expect(await texts()).toEqual(['Neu', 'Changed', 'Français', 'Italiano'])
      expect((await patch({})).status).toBe(204)
      expect((await patch({ locales: [] })).status).toBe(204)
      expect(await recorded('template.updated', 'patched')).toHaveLength(2)
    })

    test('204 by PUT too', async () => {
      await add('put', 'Default')
      const body = { defaultContent: 'Put' }
      expect((await ast.callUnchecked(`PUT ${templates}/put`, { body })).status).toBe(204)
      expect((await read('put')).body.content).toBe('Put')
    })

    test('400 changes nothing, also not what was good in it', async () => {
      await add('kept', 'Default', { de: 'Deutsch' })
      const bad = [
        { defaultContent: 'New', locales: [{ locale: 'de', content: '' }] },
        {
          defaultContent: 'New',
          locales: [
            { locale: 'fr', content: 'x' },
            { locale: 'FR', content: 'y' },
          ],
        },
        { defaultContent: '' },
        { defaultContent: null },
      ]
      for (const body of bad) {
        expect((await ast.call(`PATCH ${templates}/kept`, { body })).status).toBe(400)
      }
      expect(names(await list('filter=kept'))).toEqual(['kept de', 'kept en'])
      expect((await read('kept')).body.content).toBe('Default')
    })

    test('409 beyond 100 languages, and nothing is kept of it', async () => {
      const of = (from: number, count: number) =>
        Array.from({ length: count }, (_, n) => ({ locale: `x-${from + n}`, content: 'x' }))
      expect(
        (await create({ key: 'full', defaultContent: 'x', locales: of(100, 100) })).status,
      ).toBe(201)
      const more = { defaultContent: 'y', locales: of(250, 1) }
      const refused = await ast.callUnchecked(`PATCH ${templates}/full`, { body: more })
      expect(refused).toMatchObject({ status: 409, body: { code: '4093', subsystem: 514 } })
      expect((await read('full')).body.content).toBe('x')
      const same = { locales: of(150, 1) }
      expect((await ast.call(`PATCH ${templates}/full`, { body: same })).status).toBe(204)
    })

    test('404 for an unknown template and another tenant’s, 403 without the right', async () => {
      const body = { defaultContent: 'x' }
      const unknown = await ast.call(`PATCH ${templates}/none`, { body })
      expect(unknown).toMatchObject({ status: 404, body: { code: '4048', subsystem: 514 } })
      await add('mine', 'x')
      const path = 'PATCH /v1/tenants/shop/templates/mine'
      const foreign = await ast.call(path, { body, token: ast.stranger })
      expect(foreign).toEqual({ ...unknown, headers: foreign.headers })
      const calls = [ast.reader, ast.stranger].map((token) =>
        ast.call(`PATCH ${templates}/mine`, { body, token }),
      )
      expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([403, 403])
    })
  })

  describe('deleteTemplate', () => {
    test('204 with all locales; then it is not there, and its key is free', async () => {
      await add('gone', 'Default', { de: 'Deutsch' })
      const remove = () => ast.call(`DELETE ${templates}/gone`)
      const replies = await Promise.all([remove(), remove(), remove()])
      expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([204, 404, 404])
      expect((await list('filter=gone')).body).toEqual([])
      await add('gone', 'Again')
      expect((await read('gone', 'de')).body).toMatchObject({ locale: 'en', content: 'Again' })
      expect(await recorded('template.deleted', 'gone')).toHaveLength(1)
    })

    test('a language that is added at the same moment is never left behind without its template', async () => {
      for (let n = 0; n < 10; n++) {
        await add('raced', 'Default')
        const body = { content: 'x' }
        const [put] = await Promise.all([
          ast.call(`PUT ${templates}/raced/de`, { body }),
          ast.call(`DELETE ${templates}/raced`),
        ])
        expect([204, 404]).toContain(put.status)
        await add('raced', 'Default')
        expect(names(await list('filter=raced'))).toEqual(['raced en'])
        await ast.call(`DELETE ${templates}/raced`)
      }
    })

    test('404 for an unknown template, 403 without the right', async () => {
      expect((await ast.call(`DELETE ${templates}/none`)).status).toBe(404)
      await add('stays', 'x')
      expect((await ast.call(`DELETE ${templates}/stays`, { token: ast.reader })).status).toBe(403)
      expect((await read('stays')).status).toBe(200)
    })
  })

  describe('updateTemplateLocale', () => {
    test('204 adds the locale or replaces it, in whatever case, by PUT and PATCH', async () => {
      await add('local', 'Default')
      const put = (locale: string, content: string) =>
        ast.call(`PUT ${templates}/local/${locale}`, { body: { content } })
      expect(await put('de-at', 'Eins')).toMatchObject({ status: 204, text: '' })
      expect((await read('local', 'de-AT')).body).toMatchObject({
        locale: 'de-AT',
        content: 'Eins',
      })
      expect((await put('DE-AT', 'Zwei')).status).toBe(204)
      const body = { content: 'Drei' }
      const patched = await ast.callUnchecked(`PATCH ${templates}/local/de-AT`, { body })
      expect(patched.status).toBe(204)
      expect(names(await list('filter=local'))).toEqual(['local de-AT', 'local en'])
      expect((await read('local', 'de-AT')).body.content).toBe('Drei')
    })

    test('204 for the default’s own locale is a variant: the default content stays', async () => {
      await add('twice', 'Default')
      const path = `${templates}/twice/en` as const
      expect((await ast.call(`PUT ${path}`, { body: { content: 'English' } })).status).toBe(204)
      expect((await read('twice')).body.content).toBe('Default')
      expect((await read('twice', 'en')).body.content).toBe('English')
      expect((await ast.call(`DELETE ${path}`)).status).toBe(204)
      expect((await ast.call(`DELETE ${path}`)).status).toBe(204)
      expect((await read('twice', 'en')).body).toMatchObject({ locale: 'en', content: 'Default' })
    })

    test('404 for an unknown template, 400 for a locale or content that is none, 403 without the right', async () => {
      await add('strict', 'x')
      const put = (path: string, body: object, token = ast.admin) =>
        ast.call(`PUT ${templates}/${path}`, { body, token })
      expect((await put('none/de', { content: 'x' })).status).toBe(404)
      expect((await put('strict/de_DE', { content: 'x' })).status).toBe(400)
      expect((await put(`strict/x${'-a2345678'.repeat(8)}`, { content: 'x' })).status).toBe(400)
      expect((await put('strict/de', {})).status).toBe(400)
      expect((await put('strict/de', { content: '' })).status).toBe(400)
      expect((await put('strict/de', { content: 'a\u0000' })).status).toBe(400)
      expect((await put('strict/de', { content: 'x' }, ast.reader)).status).toBe(403)
      expect(names(await list('filter=strict'))).toEqual(['strict en'])
    })
  })

  describe('deleteTemplateLocale', () => {
    test('204 whether or not the locale is there; recorded when it was', async () => {
      await add('less', 'Default', { de: 'Deutsch' })
      const remove = (locale: string) => ast.call(`DELETE ${templates}/less/${locale}`)
      expect(await remove('DE')).toMatchObject({ status: 204, text: '' })
      expect((await remove('de')).status).toBe(204)
      expect((await remove('fr')).status).toBe(204)
      expect((await read('less', 'de')).body.content).toBe('Default')
      expect(await recorded('template.locale-deleted', 'less')).toHaveLength(1)
    })

    test('404 for an unknown template, 403 without the right', async () => {
      expect((await ast.call(`DELETE ${templates}/none/de`)).status).toBe(404)
      await add('kept.locale', 'x', { de: 'y' })
      const path = `DELETE ${templates}/kept.locale/de` as const
      expect((await ast.call(path, { token: ast.reader })).status).toBe(403)
      expect((await read('kept.locale', 'de')).body.content).toBe('y')
    })
  })
})
