import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { composeLocalization, type LocalizationParts } from './compose-localization.ts'
import { parseAcceptLanguage } from './language-priority.ts'

const writer = testCaller('acme', ['ast:write'])

describe.each(engines)('templateTexts on %s', (engine) => {
  let core: TestCore
  let parts: LocalizationParts
  beforeAll(async () => {
    core = await createReadyTestCore({ engine })
    parts = composeLocalization(core)
    for (const id of ['acme', 'shop']) await core.tenants.create(platformAdmin, { id, name: id })
    await parts.templates.create(writer, 'acme', {
      key: 'com.acme.pay',
      defaultContent: 'Pay {{amount}} to {{payee.name}}',
      locales: [
        { locale: 'de', content: '{{payee.name}} bekommt {{amount}}' },
        { locale: 'fr-ch', content: 'Payer {{amount}} ({{note}})' },
        { locale: 'it', content: '{{#amount}}Pagare{{/amount}}' },
        { locale: 'es', content: 'Pagar {{amount' },
      ],
    })
  })
  afterAll(() => core?.[Symbol.asyncDispose]())

  const data = { amount: '5 < 6', payee: { name: '{{amount}}' } }
  const text = (locales: readonly string[], values: typeof data | object = data) =>
    parts.templateTexts.text('acme', 'com.acme.pay', locales, { ...values })

  test('are in the best language that there is, and say which', async () => {
    const german = { text: '{{amount}} bekommt 5 < 6', locale: 'de' }
    const standard = { text: 'Pay 5 < 6 to {{amount}}', locale: 'en' }
    expect(await text(['de-AT', 'en'])).toEqual(german)
    expect(await text(['nl', 'DE'])).toEqual(german)
    expect(await text(['en', 'de'])).toEqual(standard)
    expect(await text(['nl'])).toEqual(standard)
    expect(await text([])).toEqual(standard)
    const languages = parseAcceptLanguage('en;q=0.1, de-DE;q=0.9')
    if (languages === undefined) throw new Error('No header.')
    expect(await parts.templateTexts.text('acme', 'com.acme.pay', languages, data)).toEqual(german)
  })

  test('are the default content where a language has no value, more than placeholders, or loose braces', async () => {
    for (const locale of ['fr-CH', 'it', 'es']) {
      expect(await text([locale])).toMatchObject({ locale: 'en' })
    }
    const noted = { ...data, note: 'avant midi' }
    expect(await text(['fr-CH'], noted)).toEqual({
      text: 'Payer 5 < 6 (avant midi)',
      locale: 'fr-CH',
    })
  })

  test('are not there rather than with a gap, empty, or endless', async () => {
    expect(await text(['de'], {})).toBeUndefined()
    expect(await text(['de'], { ...data, amount: '' })).toBeUndefined()
    expect(await text(['de'], { ...data, amount: 'x'.repeat(10_000) })).toBeUndefined()
    const { templates, templateTexts } = parts
    await templates.create(writer, 'acme', { key: 'blank', defaultContent: ' {{! none }} ' })
    expect(await templateTexts.text('acme', 'blank', [])).toBeUndefined()
  })

  test('are nobody else’s, and none for a key that is none', async () => {
    const { templateTexts } = parts
    expect(await templateTexts.text('shop', 'com.acme.pay', [], data)).toBeUndefined()
    for (const key of [
      'com.acme',
      'com.acme.pay.x',
      '',
      'Pay {{amount}}',
      'a\0b',
      'x'.repeat(2000),
    ]) {
      expect(await templateTexts.text('acme', key, [], data)).toBeUndefined()
    }
  })

  test('bear the configured locale where they are the default, and the variant of that locale goes first', async () => {
    const settings = { patch: { ast: { defaultLocale: 'pt-br' } } }
    await core.settings.update(testCaller('acme', ['tenant:write']), 'acme', settings)
    expect(await text(['pt-BR'])).toMatchObject({
      locale: 'pt-BR',
      text: 'Pay 5 < 6 to {{amount}}',
    })
    await parts.templates.setLocale(writer, 'acme', 'com.acme.pay', {
      locale: 'pt-BR',
      content: 'Pagar {{amount}}',
    })
    expect(await text(['pt-BR'])).toEqual({ locale: 'pt-BR', text: 'Pagar 5 < 6' })
    expect(await text(['nl'])).toMatchObject({ locale: 'pt-BR', text: 'Pay 5 < 6 to {{amount}}' })
    await parts.templates.deleteLocale(writer, 'acme', 'com.acme.pay', 'PT-br')
  })

  test('all of them, or none when one cannot be filled', async () => {
    const { templates, templateTexts } = parts
    await expect(templateTexts.all('acme', 'com.acme.pay', data)).rejects.toThrow(
      refusal('invalid_request'),
    )
    await expect(templateTexts.all('acme', 'com.acme.none', data)).rejects.toThrow(
      refusal('invalid_request'),
    )
    await templates.create(writer, 'acme', {
      key: 'good',
      defaultContent: '{{a}}!',
      locales: [{ locale: 'de', content: '¡{{a}}' }],
    })
    expect(await templateTexts.all('acme', 'good', { a: 1 })).toEqual([
      { text: '1!', locale: 'pt-BR' },
      { text: '¡1', locale: 'de' },
    ])
  })
})
