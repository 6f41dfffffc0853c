import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { visibleLine, visibleText } from './visible-text.ts'

describe('visibleText', () => {
  test.each([
    ['\u001b[2J\u001b]0;title\u0007', '⟨U+001B⟩[2J⟨U+001B⟩]0;title⟨U+0007⟩'],
    ['500\r9', '500⟨U+000D⟩9'],
    ['a\tb', 'a⟨U+0009⟩b'],
    ['pay \u202e005 RUE', 'pay ⟨U+202E⟩005 RUE'],
    ['\u009b31m', '⟨U+009B⟩31m'],
    ['bank\u200bname\ufeff', 'bank⟨U+200B⟩name⟨U+FEFF⟩'],
    ['\ud800', '⟨U+D800⟩'],
    ['tag \u{e0041}', 'tag ⟨U+E0041⟩'],
    ['line\u2028other', 'line⟨U+2028⟩other'],
  ])('%j', (text, shown) => {
    expect(visibleText(text)).toBe(shown)
  })

  test('what can be read stays: letters of all alphabets, line feeds', () => {
    const text = 'Überweisung: 500,00 €\nПлатёж 支付 ادفع 😀'
    expect(visibleText(text)).toBe(text)
    expect(visibleLine('a\nb')).toBe('a⟨U+000A⟩b')
  })

  test('nothing that a terminal obeys is left', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(visibleText(text)).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
        expect(visibleLine(text)).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      }),
    )
  })
})
