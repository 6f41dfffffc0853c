import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileGlob } from './key-glob.ts'

const matches = (glob: string, key: string): boolean => compileGlob(glob).matches(key)

/** As the vendor's page says it, tried in every way. */
function naive(glob: readonly string[], key: readonly string[]): boolean {
  const [part, ...parts] = glob
  const [component, ...components] = key
  if (part === undefined) return component === undefined
  if (component === undefined) return false
  if (part === '**') return naive(parts, components) || naive(glob, components)
  return (part === '*' || part === component) && naive(parts, components)
}

describe('compileGlob', () => {
  test.each([
    [
      'template.key',
      ['template.key'],
      ['template', 'template.keys', 'template.key.a', 'Template.key'],
    ],
    ['template.*', ['template.keyA'], ['template', 'template.a.b', 'templates.a']],
    ['template.*.item', ['template.keyA.item'], ['template.item', 'template.a.b.item']],
    ['template.**', ['template.a', 'template.a.b.c'], ['template']],
    [
      'template.**.item',
      ['template.a.item', 'template.a.b.item', 'template.item.item'],
      ['template.item'],
    ],
    ['**', ['a', 'a.b', 'a.b.c'], []],
    ['*', ['a'], ['a.b']],
    ['**.**', ['a.b', 'a.b.c'], ['a']],
    ['*.**.*', ['a.b.c', 'a.b.c.d'], ['a.b']],
  ])('%s', (glob, matching, others) => {
    expect(matching.filter((key) => !matches(glob, key))).toEqual([])
    expect(others.filter((key) => matches(glob, key))).toEqual([])
  })

  test('says the same as trying everything', () => {
    const name = fc.constantFrom('a', 'b', 'ab')
    const glob = fc.array(fc.oneof(name, fc.constantFrom('*', '**')), {
      minLength: 1,
      maxLength: 7,
    })
    const key = fc.array(name, { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(glob, key, (parts, components) => {
        const compiled = compileGlob(parts.join('.'))
        const text = components.join('.')
        const isMatch = naive(parts, components)
        expect(compiled.matches(text)).toBe(isMatch)
        if (isMatch) expect(text.startsWith(compiled.prefix)).toBe(true)
        expect(compiled.isLiteral).toBe(!parts.some((part) => part.startsWith('*')))
      }),
      { numRuns: 2_000 },
    )
  })

  test('takes no longer for the worst glob and key that there can be', () => {
    const globs = [`${'**.'.repeat(340)}b`, `${'**.a.'.repeat(200)}b`, `${'*.'.repeat(511)}b`]
    const key = 'a.'.repeat(511).concat('a')
    const before = performance.now()
    for (const glob of globs) expect(matches(glob, key)).toBe(false)
    expect(performance.now() - before).toBeLessThan(200)
  })
})
