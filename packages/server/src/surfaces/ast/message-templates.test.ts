import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, testCaller } from '#test/support/core.ts'
import type { Json } from '#test/support/platform-api.ts'
import type { TestDevice } from '#test/support/test-device.ts'
import { type ClientsInstallation, createClientsInstallation } from './clients.fixture.ts'

const data = { amount: '500.00', payee: { name: 'Müller & Söhne' } }
const english = 'Pay 500.00 EUR to Müller & Söhne'
const german = '500.00 EUR an Müller & Söhne zahlen'

describe.each(engines)('messages from templates on %s', (engine) => {
  let ast: ClientsInstallation
  let viennese: TestDevice
  let londoner: TestDevice
  const native = testCaller('acme', ['tenant:write', 'audit:read'])

  beforeAll(async () => {
    ast = await createClientsInstallation({ engine })
    viennese = await ast.addDevice('jsmith')
    londoner = await ast.addDevice('jsmith')
    const speak = (device: TestDevice, locales: string[]) =>
      device.call('PATCH /device', { body: { locales } })
    expect((await speak(viennese, ['de-AT', 'en'])).status).toBe(200)
    expect((await speak(londoner, ['en-GB', 'de'])).status).toBe(200)
  }, 60_000)
  afterAll(() => ast?.[Symbol.asyncDispose]())

  let keys = 0
  const template = async (
    defaultContent = 'Pay {{amount}} EUR to {{payee.name}}',
    de = '{{amount}} EUR an {{payee.name}} zahlen',
  ): Promise<string> => {
    const key = `com.acme.pay${++keys}`
    const body = { key, defaultContent, locales: [{ locale: 'de', content: de }] }
    expect((await ast.call('POST /templates', { body })).status).toBe(201)
    return key
  }
  const change = async (key: string, body: object) =>
    expect((await ast.call(`PATCH /templates/${key}`, { body })).status).toBe(204)
  const start = (key: string, more: object = {}) =>
    ast.call('POST /tms', {
      body: { userId: 'jsmith', tmsData: { text: key, external: true, data }, ...more },
    })
  const startedId = async (key: string, more: object = {}): Promise<string> => {
    const { status, body } = await start(key, more)
    if (status !== 202) throw new Error(JSON.stringify(body))
    return body.id
  }
  const shownBy = ({ body }: { body: Json }) => ({
    locale: body.content.locale,
    ...JSON.parse(Buffer.from(body.content.bytes, 'base64').toString()),
  })
  const approval = (id: string) => ast.core.approvals.get(native, 'acme', id)

  test('each device is shown its own language, signs its own bytes, and the evidence says which', async () => {
    const key = await template()
    for (const [device, text, locale] of [
      [viennese, german, 'de'],
      [londoner, english, 'en'],
    ] as const) {
      const id = await startedId(key)
      expect(await approval(id)).toMatchObject({ templateKey: key, text: null })
      const toViennese = await viennese.retrieve(id)
      const toLondoner = await londoner.retrieve(id)
      expect(shownBy(toViennese)).toEqual({ locale: 'de', id, text: german, external: true, data })
      expect(shownBy(toLondoner)).toEqual({ locale: 'en', id, text: english, external: true, data })
      const shown = device === viennese ? toViennese : toLondoner
      const other = device === viennese ? toLondoner : toViennese
      // Signed by this device, but shown to the other one.
      expect((await device.acceptSigned(other.body)).body.code).toBe('content_mismatch')
      expect((await device.acceptSigned(shown.body)).status).toBe(200)
      const evidence = await ast.core.evidence.get(native, 'acme', id)
      expect(evidence.content).toMatchObject({ bytes: shown.body.content.bytes, locale })
      expect(Buffer.from(evidence.content.bytes, 'base64').toString()).toContain(text)
      const { info, signedData } = (await ast.call(`GET /tms/${id}/result`)).body
      expect(info.status).toBe('ACCEPTED')
      expect(Buffer.from(signedData, 'base64').toString()).toContain(text)
    }
  })

  test('the platform API tells what was delivered first, and a literal text has no locale', async () => {
    const id = await startedId(await template())
    await viennese.retrieve(id)
    await londoner.retrieve(id)
    expect(await approval(id)).toMatchObject({ text: german, status: 'RETRIEVED' })
    const literal = await ast.call('POST /tms', {
      body: { userId: 'jsmith', tmsData: { text: 'Literal' } },
    })
    const { content } = (await viennese.retrieve(literal.body.id)).body
    expect(content).not.toHaveProperty('locale')
  })

  test('what was retrieved first is frozen for its device; who comes later sees the template as it is then', async () => {
    const key = await template()
    const id = await startedId(key)
    const first = await viennese.retrieve(id)
    await change(key, {
      defaultContent: 'Send {{amount}} EUR',
      locales: [{ locale: 'de', content: 'Neu: {{amount}}' }],
    })
    const headers = { 'accept-language': 'en' }
    const again = await viennese.call(`GET /approvals/${id}`, { headers })
    expect(again.body.content).toEqual(first.body.content)
    expect(again.body.challenge).toBe(first.body.challenge)
    expect(shownBy(await londoner.retrieve(id))).toMatchObject({ text: 'Send 500.00 EUR' })
    expect((await viennese.acceptSigned(first.body)).status).toBe(200)
  })

  test('two retrievals at once of one device, with two languages, freeze one', async () => {
    const id = await startedId(await template())
    const replies = await Promise.all(
      ['de', 'en', 'de', 'en'].map((language) =>
        viennese.call(`GET /approvals/${id}`, { headers: { 'accept-language': language } }),
      ),
    )
    expect(new Set(replies.map(({ body }) => body.content.sha256)).size).toBe(1)
    expect(new Set(replies.map(({ body }) => body.challenge)).size).toBe(1)
  })

  test.each([
    ['en', 'en'],
    ['de;q=0.5, en;q=0.1', 'de'],
    ['nl', 'en'],
    ['*', 'de'],
    ['*;q=0.5', 'de'],
    ['*, nl', 'en'],
    ['no header at all!', 'de'],
    ['', 'de'],
  ])('Accept-Language %j stands for the languages of the device: %s', async (header, locale) => {
    const id = await startedId(await template())
    const headers = { 'accept-language': header }
    const reply = await viennese.call(`GET /approvals/${id}`, { headers })
    expect(reply.body.content.locale).toBe(locale)
  })

  test('400 for a key that names no template, one of another tenant, and data that leave a gap in any language', async () => {
    await ast.core.templates.create(testCaller('shop', ['ast:write']), 'shop', {
      key: 'com.shop.pay',
      defaultContent: 'x',
    })
    const refused = [
      await start('com.acme.none'),
      await start('com.shop.pay'),
      await start('No key, but a text'),
      await start(await template('Pay {{amount}} and {{fee}}')),
      await start(await template('Pay {{amount}}', '{{betrag}} zahlen')),
      await start(await template('Pay {{amount}}', '{{#amount}}zahlen{{/amount}}')),
      await start(await template('Pay {{amount}}', '{{amount} zahlen')),
      await start(await template('Pay {{amount}}', '{{! nichts }} ')),
      await start(await template('Pay {{amount}}'), {
        tmsData: { text: `com.acme.pay${keys}`, external: true },
      }),
    ]
    for (const { status, body } of refused) {
      expect({ status, ...body }).toMatchObject({ status: 400, code: '4000', subsystem: 519 })
      expect(body.message).toContain('/text: ')
    }
    expect(refused[4]?.body.message).toContain('for de')
  })

  test('400 for more than a device takes, in whichever language', async () => {
    const heavy = '\u0001'.repeat(9_990)
    const big = { note: 'x'.repeat(16_000) }
    const key = await template('short', heavy)
    const tmsData = { text: key, external: true, data: big }
    expect((await start(key, { tmsData })).status).toBe(400)
    expect((await start(key, { tmsData: { text: key, external: true } })).status).toBe(202)
  })

  test('a language that cannot be filled any more gives way to the default content', async () => {
    const key = await template()
    const id = await startedId(key)
    await change(key, { locales: [{ locale: 'de', content: '{{betrag}} zahlen' }] })
    expect(shownBy(await viennese.retrieve(id))).toMatchObject({ text: english, locale: 'en' })
  })

  test.each([
    [
      'has a gap',
      (key: string) =>
        change(key, {
          defaultContent: '{{betrag}}',
          locales: [{ locale: 'de', content: '{{betrag}}' }],
        }),
    ],
    [
      'is deleted',
      async (key: string) => {
        expect((await ast.call(`DELETE /templates/${key}`)).status).toBe(204)
      },
    ],
    [
      'is too long',
      (key: string) =>
        change(key, {
          defaultContent: '\u0001'.repeat(9_990),
          locales: [{ locale: 'de', content: '\u0001'.repeat(9_990) }],
        }),
    ],
  ])(
    'a transaction whose template %s is shown to nobody: it is cancelled, with the reason',
    async (_what, spoil) => {
      const key = await template()
      const id = await startedId(key, {
        tmsData: { text: key, external: true, data: { ...data, note: 'x'.repeat(16_000) } },
      })
      await spoil(key)
      const { status, body } = await viennese.retrieve(id)
      expect(status).toBe(200)
      expect(body).toMatchObject({ approvalId: id, kind: 'TRANSACTION', status: 'CANCELLED' })
      expect(body).not.toHaveProperty('content')
      const result = (await ast.call(`GET /tms/${id}/result`)).body
      expect(result.info.status).toBe('CANCELLED')
      expect(result.failureReason).toEqual({
        reason: 'CANCELLED',
        message: 'The text of the template can no longer be filled.',
      })
      expect((await londoner.retrieve(id)).body.status).toBe('CANCELLED')
    },
  )

  test('who was shown it before may still decide; others are shown nothing', async () => {
    const key = await template()
    const id = await startedId(key)
    const shown = await viennese.retrieve(id)
    await ast.call(`DELETE /templates/${key}`)
    expect((await londoner.retrieve(id)).status).toBe(404)
    expect((await viennese.retrieve(id)).body.content).toEqual(shown.body.content)
    expect((await viennese.acceptSigned(shown.body)).status).toBe(200)
    expect((await approval(id)).status).toBe('APPROVED')
  })

  test('a template that goes at the very moment of two retrievals: shown and open, or cancelled and not shown', async () => {
    for (let n = 0; n < 8; n++) {
      const key = await template()
      const id = await startedId(key)
      const [one, , other] = await Promise.all([
        viennese.retrieve(id),
        ast.call(`DELETE /templates/${key}`),
        londoner.retrieve(id),
      ])
      const isShown = [one, other].some(({ body }) => body.content !== undefined)
      expect((await approval(id)).status).toBe(isShown ? 'RETRIEVED' : 'CANCELLED')
      for (const { status, body } of [one, other]) {
        if (status === 200 && isShown) expect(body.content).toBeDefined()
        else expect(isShown ? status : body.status).toBe(isShown ? 404 : 'CANCELLED')
      }
    }
  })

  test('a display message is rendered for each device too', async () => {
    const key = await template()
    const send = async () =>
      (
        await ast.call('POST /display-message', {
          body: { userId: 'jsmith', displayMessageData: { text: key, external: true, data } },
        })
      ).body.id
    const id = await send()
    expect(shownBy(await viennese.retrieve(id))).toMatchObject({ text: german, locale: 'de' })
    expect(shownBy(await londoner.retrieve(id))).toMatchObject({ text: english, locale: 'en' })
    const gone = await send()
    await viennese.retrieve(gone)
    await ast.call(`DELETE /templates/${key}`)
    const late = await londoner.retrieve(gone)
    expect(late).toMatchObject({ status: 200, body: { kind: 'MESSAGE', status: 'RETRIEVED' } })
    expect(late.body).not.toHaveProperty('content')
  })
})
