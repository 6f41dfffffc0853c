import { describe, expect, test } from 'vitest'
import { findUnprintable, layOutText } from './text-layout.ts'

const style = { weight: 'regular', sizePoints: 10 } as const

const runsOf = (text: string) =>
  layOutText(text, style, 1_000).map(({ runs }) => runs.map((run) => run.text))

describe('order on paper (UAX 9)', () => {
  test.each([
    ['left to right', 'abc 12', [['abc 12']]],
    // The shaper turns Hebrew letters round; brackets must be mirrored before.
    ['brackets in Hebrew', 'א(ב)ג', [['א)ב(ג']]],
    ['a number in Hebrew stays readable', 'שלום 123', [['123', 'שלום ']]],
    ['Hebrew in Latin text', 'say שלום now', [['say ', 'שלום', ' now']]],
    ['Latin in Hebrew text', 'אב cd הו', [[' הו', 'cd', 'אב ']]],
    ['a mark between Latin words in Hebrew text', 'א ab! cd', [['ab! cd', 'א ']]],
    ['a mark at the end of Hebrew text behind a Latin word', 'א ab!', [['!', 'ab', 'א ']]],
  ])('%s', (_, text, expected) => {
    expect(runsOf(text)).toEqual(expected)
  })

  test('a right-to-left paragraph says so', () => {
    const lines = layOutText('abc\nאבג abc', style, 1_000)
    expect(lines.map(({ isRightToLeft }) => isRightToLeft)).toEqual([false, true])
  })
})

describe('lines', () => {
  const lineTexts = (text: string, widthMax: number) =>
    layOutText(text, style, widthMax).map(({ runs }) => runs.map((run) => run.text).join(''))

  test('break at spaces, and fit', () => {
    const lines = layOutText('the quick brown fox jumps over the lazy dog', style, 80)
    expect(lines.length).toBeGreaterThan(2)
    for (const { width } of lines) expect(width).toBeLessThanOrEqual(80)
    expect(lineTexts('the quick brown fox', 80).join(' ')).toBe('the quick brown fox')
  })

  test('a word that is too long is broken, and nothing is lost', () => {
    const lines = lineTexts('x'.repeat(100), 80)
    expect(lines.length).toBeGreaterThan(5)
    expect(lines.join('')).toBe('x'.repeat(100))
  })

  test('ideographs break anywhere but before a full stop', () => {
    const lines = lineTexts('漢字漢字漢字漢。字漢字漢字', 70)
    expect(lines.length).toBeGreaterThan(1)
    expect(lines.some((line) => line.startsWith('。'))).toBe(false)
    expect(lines.join('')).toBe('漢字漢字漢字漢。字漢字漢字')
  })

  test('a letter and its accents stay together', () => {
    const decomposed = 'e\u0301x\u0323'
    expect(runsOf(decomposed)).toEqual([['\u00e9x\u0323']])
  })
})

describe('findUnprintable', () => {
  test.each(['', 'abc', 'Ärger', 'Ω', 'Ж', 'א', 'ع', '漢', 'ひ', '가', '€', '„“', 'a\nb'])(
    'finds nothing in "%s"',
    (text) => {
      expect(findUnprintable(text)).toBeUndefined()
    },
  )

  test.each([
    ['ab\u0e01c', '\u0e01'],
    ['\u1200', '\u1200'],
    ['x\u{1f9ff}y', '\u{1f9ff}'],
    ['\ufffe', '\ufffe'],
  ])('finds what would be printed as an empty box', (text, expected) => {
    expect(findUnprintable(text)).toBe(expected)
  })
})
