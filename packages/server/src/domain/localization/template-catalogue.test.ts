import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { explain, StatementWatch } from '#test/storage/query-plans.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
} from '#test/support/core.ts'
import { composeLocalization, type LocalizationParts } from './compose-localization.ts'
import { anyLanguage, priorityOf } from './language-priority.ts'

const writer = testCaller('acme', ['ast:write'])
const reader = (address: string) => testCaller(null, [], { type: 'ANONYMOUS', id: null, address })

describe.each(engines)('templates on %s', (engine) => {
  const watch = new StatementWatch()
  let core: TestCore
  let parts: LocalizationParts
  beforeAll(async () => {
    core = await createReadyTestCore({ engine, observer: watch })
    parts = composeLocalization(core)
    await core.tenants.create(platformAdmin, { id: 'acme', name: 'acme' })
  })
  afterAll(() => core?.[Symbol.asyncDispose]())

  test('every statement follows the primary key, and none sorts', async () => {
    const { templates, templateCatalogue, templateTexts } = parts
    watch.clear()
    const locales = [{ locale: 'de', content: 'x' }]
    await templates.create(writer, 'acme', { key: 'a.b', defaultContent: 'x', locales })
    await templates.update(writer, 'acme', 'a.b', { defaultContent: 'y', locales })
    const all = { glob: 'a.*', languages: anyLanguage, page: 1, pageSize: 5 }
    await templateCatalogue.list(reader('192.0.2.1'), 'acme', all)
    await templateCatalogue.get(reader('192.0.2.1'), 'acme', 'a.b', priorityOf(['de']))
    await templateTexts.all('acme', 'a.b')
    await templates.deleteLocale(writer, 'acme', 'a.b', 'de')
    await templates.delete(writer, 'acme', 'a.b')
    const ours = watch.distinct.filter((sql) => sql.includes('template_text'))
    expect(ours.length).toBeGreaterThan(9)
    // The count stops at its limit.
    for (const sql of ours.filter((text) => !text.includes('count(*)'))) {
      const { faults } = await explain(core.test.url, sql)
      expect(faults, sql).toEqual([])
    }
  })
})

describe('what everybody may read', () => {
  let core: TestCore
  let parts: LocalizationParts
  beforeAll(async () => {
    core = await createReadyTestCore()
    parts = composeLocalization(core)
    await core.tenants.create(platformAdmin, { id: 'acme', name: 'acme' })
  })
  afterAll(() => core?.[Symbol.asyncDispose]())

  test('is read by one address 3,000 times a minute; others are not kept waiting', async () => {
    const read = (address: string) =>
      parts.templateCatalogue.get(reader(address), 'acme', 'none', anyLanguage)
    for (let n = 0; n < 3_000; n++) {
      await expect(read('192.0.2.7')).rejects.toThrow(refusal('template_not_found'))
    }
    await expect(read('192.0.2.7')).rejects.toThrow(refusal('too_many_requests'))
    await expect(read('192.0.2.8')).rejects.toThrow(refusal('template_not_found'))
    core.clock.advance(60_000)
    await expect(read('192.0.2.7')).rejects.toThrow(refusal('template_not_found'))
  })

  test('is no more for whoever has many IPv6 addresses: a /64 counts as one', async () => {
    const read = (address: string) =>
      parts.templateCatalogue.get(reader(address), 'acme', 'none', anyLanguage)
    for (let n = 0; n < 3_000; n++) {
      const address = `2001:db8:0:1::${n.toString(16)}`
      await expect(read(address)).rejects.toThrow(refusal('template_not_found'))
    }
    await expect(read('2001:db8:0:1:ffff::1')).rejects.toThrow(refusal('too_many_requests'))
    await expect(read('2001:db8:0:2::1')).rejects.toThrow(refusal('template_not_found'))
  })

  test('is at most 20,000 texts, which one list looks through in no time', async () => {
    await core.storage.transaction(async ({ templates }) => {
      for (let n = 0; n < 5_000; n++) {
        const key = { tenantId: 'acme', key: `group${n % 50}.sub${n % 7}.name${n}` }
        await templates.insert(key, `text ${n}`, 0)
        for (const locale of ['de', 'fr', 'zh-Hant']) {
          await templates.put(key, { locale, content: 'x' }, 0)
        }
      }
    })
    await expect(
      parts.templates.create(writer, 'acme', { key: 'one.more', defaultContent: 'x' }),
    ).rejects.toThrow(refusal('limit_reached'))
    const before = performance.now()
    const languages = priorityOf(['nl-NL', 'de-AT', 'fr-CA'])
    const request = { glob: '**.sub3.*', languages, page: 1, pageSize: 100 }
    const found = await parts.templateCatalogue.list(reader('192.0.2.9'), 'acme', request)
    expect(performance.now() - before).toBeLessThan(1_000)
    expect(found.items).toHaveLength(100)
    expect(found.totalCount).toBe(2 * 714)
    // A long list counts as ten reads more.
    for (let n = 0; n < 2_985; n++) {
      await expect(
        parts.templateCatalogue.get(reader('192.0.2.9'), 'acme', 'none', anyLanguage),
      ).rejects.toThrow(refusal('template_not_found'))
    }
    const refused = parts.templateCatalogue.list(reader('192.0.2.9'), 'acme', request)
    await expect(refused).rejects.toThrow(refusal('too_many_requests'))
  })
})
