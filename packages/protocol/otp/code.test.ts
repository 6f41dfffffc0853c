import fc from 'fast-check'
import { expect, test } from 'vitest'
import { normaliseCode } from './code.ts'

test.each([
  ['755224', '755224'],
  [' 755 224 ', '755224'],
  ['755-224', '755224'],
  ['\t7-5 5--224', '755224'],
  ['aB3d', 'aB3d'],
])('%j is %s', (typed, code) => {
  expect(normaliseCode(typed)).toBe(code)
})

test.each([
  ['nothing', ''],
  ['blanks and hyphens alone', ' - '],
  ['Arabic-Indic digits', '\u0667\u0665\u0665\u0662\u0662\u0664'],
  ['full-width digits', '\uff17\uff15\uff15\uff12\uff12\uff14'],
  ['mathematical digits', '\u{1d7d5}\u{1d7d3}'],
  ['one digit of another script', '75522\u0664'],
  ['a no-break space', '755\u00a0224'],
  ['an ideographic space', '755\u3000224'],
  ['a zero-width space', '755\u200b224'],
  ['a zero-width joiner', '755\u200d224'],
  ['a byte-order mark', '\ufeff755224'],
  ['a soft hyphen', '755\u00ad224'],
  ['a typographic hyphen', '755\u2010224'],
  ['a minus sign', '755\u2212224'],
  ['a combining mark', '755224\u0301'],
  ['a line end', '755224\n'],
  ['NUL', '755224\u0000'],
  ['a Kelvin sign', '\u212a55224'],
  ['a lone surrogate', '755224\ud83d'],
  ['punctuation', '755.224'],
  ['endless blanks', `7${' '.repeat(1_000_000)}`],
])('R2: %s make a text no code', (_, typed) => {
  expect(normaliseCode(typed)).toBeUndefined()
})

test('R2: a code is ASCII digits and letters of the text, in their order, or there is none', () => {
  const characters = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...'0123456789abzABZ -\t') },
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  )
  fc.assert(
    fc.property(fc.array(characters, { maxLength: 20 }), (typed) => {
      const text = typed.join('')
      const code = normaliseCode(text)
      const kept = [...text].filter((character) => !' \t-'.includes(character))
      const isCode = kept.length > 0 && kept.every((character) => /^[0-9A-Za-z]$/.test(character))
      expect(code).toBe(isCode ? kept.join('') : undefined)
      if (code !== undefined) expect(normaliseCode(code)).toBe(code)
    }),
    { numRuns: 5000 },
  )
})
