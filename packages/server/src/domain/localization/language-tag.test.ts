import { expect, test } from 'vitest'
import { canonicalTag } from './language-tag.ts'

// RFC 5646 section 2.1.1 and appendix A.
test.each([
  ['DE', 'de'],
  ['de-de', 'de-DE'],
  ['ZH-HANT-tw', 'zh-Hant-TW'],
  ['mn-cyrl-mn', 'mn-Cyrl-MN'],
  ['sr-latn-rs', 'sr-Latn-RS'],
  ['es-419', 'es-419'],
  ['DE-ch-1901', 'de-CH-1901'],
  ['sl-ROZAJ-biske', 'sl-rozaj-biske'],
  ['zh-CMN-hans-cn', 'zh-cmn-Hans-CN'],
  ['EN-a-BBB-x-A-ccc', 'en-a-bbb-x-a-ccc'],
  ['en-ca-x-CA', 'en-CA-x-ca'],
  ['x-Whatever-DE', 'x-whatever-de'],
  ['I-Klingon', 'i-klingon'],
  ['sgn-be-fr', 'sgn-BE-FR'],
  ['en-gb-OED', 'en-GB-oed'],
  ['az-Arab-x-AZE-derbend', 'az-Arab-x-aze-derbend'],
])('%s is kept as %s', (given, kept) => {
  expect(canonicalTag(given)).toBe(kept)
  expect(canonicalTag(kept)).toBe(kept)
})
