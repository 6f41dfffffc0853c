import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { describe, expect, test } from 'vitest'
import { writeXml, type XmlElement, xmlParts } from './xml.ts'

/** An element as a parser reads it: name, attributes, text, children. */
type Node = [string, Record<string, string>, string, Node[]]

function parse(document: string): Node {
  const top: Node = ['', {}, '', []]
  const open: Node[] = [top]
  const parser = new SaxesParser({ xmlns: false })
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', ({ name, attributes }) => {
    const node: Node = [name, { ...attributes }, '', []]
    open.at(-1)?.[3].push(node)
    open.push(node)
  })
  parser.on('text', (text) => {
    const node = open.at(-1)
    if (node !== undefined) node[2] += text
  })
  parser.on('closetag', () => {
    open.pop()
  })
  parser.write(document).close()
  return top[3][0] ?? top
}

/** What XML 1.0 can carry (production 2, Char). */
function carried(text: string): string {
  return [...text]
    .map((character) => {
      const point = character.codePointAt(0) ?? 0
      const isFit =
        [0x9, 0xa, 0xd].includes(point) ||
        (point >= 0x20 && point <= 0xd7ff) ||
        (point >= 0xe000 && point <= 0xfffd) ||
        point >= 0x10000
      return isFit ? character : '\u{FFFD}'
    })
    .join('')
}

/** Any UTF-16 there is, halves of pairs and control characters among it, and what markup is made of. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", ']]>', '\r', '\n', '\t', ' ', 'a') }),
)

describe('a document', () => {
  test('is well-formed and read back as it was, whatever texts are in it', () => {
    fc.assert(
      fc.property(anyText, anyText, anyText, (first, second, text) => {
        const attributes = { one: first, two: second }
        const written = writeXml({ name: 'a', attributes, content: [{ name: 'b', content: text }] })
        const [name, read, , children] = parse(written)
        expect([name, read]).toEqual(['a', { one: carried(first), two: carried(second) }])
        expect(children).toEqual([['b', {}, carried(text), []]])
      }),
      { numRuns: 2000 },
    )
  })

  test('keeps the order of attributes and leaves out those without a value', () => {
    const attributes = { z: 'x', a: 1, gone: undefined, m: true, empty: '' }
    expect(writeXml({ name: 'e', attributes })).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<e z="x" a="1" m="true" empty=""/>\n',
    )
  })

  test('has an element without anything in it closed at once, also as its root', () => {
    for (const content of [undefined, '', [], new Set<XmlElement>()]) {
      expect(writeXml({ name: 'e', content })).toMatch(/\n<e\/>\n$/)
    }
  })

  test('is indented between elements and never inside text', () => {
    const content = [
      { name: 'status', content: [] },
      { name: 'otp', content: ' 1 < 2 ' },
    ]
    expect(writeXml({ name: 'list', content })).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<list>\n  <status/>\n  <otp> 1 &lt; 2 </otp>\n</list>\n',
    )
  })

  test('comes a child at a time, and no child is made before its turn', () => {
    const made: number[] = []
    function* children(): Generator<XmlElement> {
      for (let index = 0; index < 3; index++) {
        made.push(index)
        yield { name: 'child', attributes: { index } }
      }
    }
    const parts = xmlParts({ name: 'root', content: children() })
    expect(parts.next().value).toMatch(/<root>\n$/)
    expect(parts.next().value).toBe('  <child index="0"/>\n')
    expect(made).toEqual([0])
    expect([...parts].join('')).toBe('  <child index="1"/>\n  <child index="2"/>\n</root>\n')
  })

  test.each(['', '1a', 'a b', 'a:b', 'xmlns', 'xml-x', 'a>', 'ä', '__proto__="'])(
    'has no element and no attribute named %j',
    (name) => {
      expect(() => writeXml({ name })).toThrow()
      expect(() => writeXml({ name: 'a', attributes: { [name]: 'x' } })).toThrow()
    },
  )
})
