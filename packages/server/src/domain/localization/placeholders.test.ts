import { describe, expect, test } from 'vitest'
import { refusal } from '#test/support/core.ts'
import { fillPlaceholders } from './placeholders.ts'

describe('fillPlaceholders', () => {
  test.each([
    ['Pay {{amount}}', { amount: '5 EUR' }, 'Pay 5 EUR'],
    ['{{ a }}{{{a}}}{{{ a }}}{{&a}}{{& a }}', { a: 0 }, '00000'],
    ['{{a.b.c}}', { a: { b: { c: false } } }, 'false'],
    ['{{a}}', { a: '<b>"&\'</b>' }, '<b>"&\'</b>'],
    ['{{a}}', { a: '{{b}}$&$1' }, '{{b}}$&$1'],
    ['a{{! a note }}b', {}, 'ab'],
    ['{ {a} } }} {{', { a: 1 }, '{ {a} } }} {{'],
    ['{{größe}}', { größe: 'XL' }, 'XL'],
  ])('%s becomes what it says', (text, data, filled) => {
    expect(fillPlaceholders(text, data)).toBe(filled)
  })

  test.each([
    ['{{a}}', {}],
    ['{{a}}', { a: '' }],
    ['{{a}}', { a: null }],
    ['{{a}}', { a: [1] }],
    ['{{a}}', { a: { b: 1 } }],
    ['{{a.b}}', { a: 'text' }],
    ['{{a.length}}', { a: 'text' }],
    ['{{a.0}}', { a: ['x'] }],
    ['{{__proto__}}', {}],
    ['{{toString}}', {}],
    ['{{}}', {}],
    ['{{#a}}{{/a}}', { a: true }],
    ['{{^a}}', {}],
    ['{{> other}}', {}],
    ['{{=<% %>=}}', {}],
    [`{{${Array(9).fill('a').join('.')}}}`, {}],
  ])('%s without a value, or with more than placeholders, is refused', (text, data) => {
    expect(() => fillPlaceholders(text, data)).toThrow(refusal('invalid_request'))
  })

  test('what is filled in has a bound, and hostile texts take no time', () => {
    const long = { a: 'x'.repeat(16_000) }
    expect(() => fillPlaceholders('{{a}}'.repeat(2_000), long)).toThrow(refusal('invalid_request'))
    const before = performance.now()
    for (const text of ['{{{'.repeat(3_333), `{{${' '.repeat(9_990)}`, '{{{{ '.repeat(2_000)]) {
      fillPlaceholders(text, {})
    }
    expect(performance.now() - before).toBeLessThan(500)
  })
})
