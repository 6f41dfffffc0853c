import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { refusal } from '#test/support/core.ts'
import { fillPlaceholders, fillTemplate } from './placeholders.ts'

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

describe('fillTemplate', () => {
  test('gives exactly what stands there, or a fault: never a gap, whatever texts and values hold', () => {
    const names = ['a', 'b', 'c.d', 'toString', '__proto__']
    const literal = fc.string({ unit: fc.constantFrom('x', ' ', '{', '}', '$', '&', '<', 'ö') })
    const part = fc.oneof(
      literal
        .filter((text) => !/^\}|\{$|\{\{/.test(text))
        .map((text) => ({ text, name: undefined })),
      fc.constantFrom(...names).map((name) => ({ text: `{{${name}}}`, name })),
    )
    const value = fc.oneof(literal, fc.integer(), fc.boolean(), fc.constant(null), fc.constant([1]))
    const data = fc.record({ a: value, b: value, c: fc.record({ d: value }) }, { requiredKeys: [] })
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), data, (parts, values) => {
        const givenFor = (name: string): unknown =>
          name === 'c.d' ? values.c?.d : name === 'a' || name === 'b' ? values[name] : undefined
        const isGap = (name: string) => ['', 'undefined', 'object'].includes(gapOf(givenFor(name)))
        const filled = fillTemplate(parts.map(({ text }) => text).join(''), values)
        if (parts.some(({ name }) => name !== undefined && isGap(name))) {
          expect(filled).toHaveProperty('fault')
        } else {
          const wanted = parts.map(({ text, name }) => (name === undefined ? text : givenFor(name)))
          expect(filled).toEqual({ text: wanted.join('') })
        }
      }),
      { numRuns: 500 },
    )
  })

  test.each(['{{a', 'x {{ y', '{{a}b}}', '{{a}} {{'])('%s is a fault', (content) => {
    expect(fillTemplate(content, { a: 1 })).toHaveProperty('fault')
  })
})

function gapOf(value: unknown): string {
  return value === '' ? '' : typeof value
}
