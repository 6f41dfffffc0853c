import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  anyLanguage,
  type LanguagePriority,
  lookUp,
  lookUpAll,
  parseAcceptLanguage,
  priorityOf,
  rangesMax,
} from './language-priority.ts'

const parsed = (header: string): LanguagePriority => {
  const priority = parseAcceptLanguage(header)
  if (priority === undefined) throw new Error(`${header} is no header.`)
  return priority
}

describe('parseAcceptLanguage', () => {
  test.each([
    ['de-DE,en;q=0.7', ['de-de', 'en'], []],
    ['da, en-gb;q=0.8, en;q=0.7', ['da', 'en-gb', 'en'], []],
    ['en;q=0.5, de', ['de', 'en'], []],
    ['fr;q=0.5,it;q=0.5,de;q=0.50', ['fr', 'it', 'de'], []],
    ['a;q=0.001, b;q=0.0, c;q=0', ['a'], ['b', 'c']],
    ['de ; q=0.3 , *', ['*', 'de'], []],
    ['*', ['*'], []],
    ['de;Q=1.000', ['de'], []],
    ['de;q=1.,en;q=0.', ['de'], ['en']],
    [',de,, ,en,', ['de', 'en'], []],
    ['de;q=0,de', ['de'], []],
  ])('%s', (header, wanted, excluded) => {
    expect(parsed(header)).toEqual({ wanted, excluded })
  })

  test.each([
    '',
    ',',
    'de;q=2',
    'de;q=1.001',
    'de;q=-1',
    'de;q=0.1234',
    'de;q',
    'de;level=1',
    'de en',
    '*-DE',
    'deutschland',
    'de_DE',
    'de-',
    'dé',
  ])('nothing comes of %j', (header) => {
    expect(parseAcceptLanguage(header)).toBeUndefined()
  })

  test('of a thousand ranges the best ones count', () => {
    const header = Array.from({ length: 1000 }, (_, n) => `x-${n}${n === 999 ? '' : ';q=0.5'}`)
    const { wanted } = parsed(header.join(','))
    expect(wanted).toHaveLength(rangesMax)
    expect(wanted[0]).toBe('x-999')
  })
})

describe('lookUp', () => {
  // RFC 4647 section 3.4, and what the companion says of it.
  test.each([
    ['de-DE', ['de', 'en'], 'de'],
    ['de', ['de-DE', 'en'], undefined],
    ['zh-Hant-CN-x-private1-private2', ['zh-Hant-CN-x-private1'], 'zh-Hant-CN-x-private1'],
    ['zh-Hant-CN-x-private1-private2', ['zh-Hant', 'zh'], 'zh-Hant'],
    ['zh-Hant-CN-x-private1-private2', ['zh-Hant-CN-x'], undefined],
    ['fr-FR, zh-Hant', ['zh', 'en'], 'zh'],
    ['en, de;q=0.5', ['de', 'en'], 'en'],
    ['en;q=0.5, de', ['de', 'en'], 'de'],
    ['DE-at', ['de-AT'], 'de-AT'],
    ['*', ['de'], undefined],
    ['*, de;q=0.5', ['de'], 'de'],
    ['fr, *', ['de'], undefined],
    ['de;q=0, fr', ['de'], undefined],
    ['de-AT, de;q=0', ['de'], undefined],
    ['de-AT, de;q=0', ['de', 'de-AT'], 'de-AT'],
    ['de-AT;q=0, de', ['de-AT', 'de'], 'de'],
    ['de, *;q=0', ['de'], 'de'],
    ['de-DE, *;q=0', ['de'], 'de'],
    ['it', [], undefined],
  ])('%s of %j', (header, tags, found) => {
    expect(lookUp(parsed(header), tags)).toBe(found)
  })

  test('of the languages of a device the first counts most', () => {
    expect(lookUp(priorityOf(['fr-CH', 'de-CH', 'en']), ['en', 'de'])).toBe('de')
    expect(lookUp(priorityOf([]), ['en'])).toBeUndefined()
    expect(lookUp(anyLanguage, ['en'])).toBeUndefined()
  })

  test('only ever gives a tag that some range is equal to, or goes on from', () => {
    const subtag = fc.constantFrom('de', 'at', 'x', 'latn', '1901', 'en')
    const tag = fc.array(subtag, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('-'))
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 6 }), fc.uniqueArray(tag), (wanted, tags) => {
        const priority = { wanted, excluded: [] }
        const found = lookUp(priority, tags)
        const fits = (one: string) => wanted.some((range) => `${range}-`.startsWith(`${one}-`))
        if (found !== undefined) expect(tags.filter(fits)).toContain(found)
        else expect(tags.filter((one) => wanted.includes(one))).toEqual([])
      }),
    )
  })
})

describe('lookUpAll', () => {
  test.each([
    ['de-DE, en;q=0.7', ['de', 'en', 'fr'], ['de', 'en']],
    ['de-DE, de;q=0.9', ['de', 'de-DE'], ['de', 'de-DE']],
    ['de-DE', ['de', 'de-DE'], ['de-DE']],
    ['it', ['de', 'en'], []],
    ['*', ['de', 'en'], ['de', 'en']],
    ['it, *;q=0.1', ['de', 'en'], ['de', 'en']],
    ['*, de;q=0', ['de', 'de-AT', 'en'], ['en']],
    ['*, de;q=0, de-AT', ['de', 'de-AT', 'en'], ['de-AT', 'en']],
    ['de, *;q=0', ['de', 'en'], ['de']],
  ])('%s of %j', (header, tags, found) => {
    expect(lookUpAll(parsed(header), tags)).toEqual(found)
  })
})
