import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DomainError } from '../errors.ts'
import { type FilterProperties, parseFilters } from './filter-parser.ts'

const properties: FilterProperties = {
  name: { field: 'name', kind: 'text' },
  id: { field: 'id', kind: 'text' },
  generation: { field: 'generation', kind: 'number' },
  createdAt: { field: 'createdAt', kind: 'instant' },
}
const parse = (...texts: string[]) => parseFilters(texts, properties)

function refusalOf(...texts: string[]): string {
  try {
    parse(...texts)
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    const [fault] = error.faults
    expect(error.code).toBe('invalid_request')
    expect(fault).toMatchObject({ pointer: 'query:filter', message: error.message })
    const kind = error.message.split(':')[0]
    expect(kind).toBe(fault?.code === 'unknown_member' ? 'UnknownProperty' : 'ParsingError')
    return error.message
  }
  throw new Error(`${texts.join(' | ')} was taken.`)
}

const text = (field: string, op: string, value: string, ignoresCase = false) => ({
  op,
  field,
  value,
  ignoresCase,
})
const like = (field: string, pattern: string, ignoresCase = false) => ({
  op: 'like',
  field,
  pattern,
  ignoresCase,
})

describe('the examples of the page', () => {
  test.each([
    ['name^=SignerA-', like('name', 'SignerA-%')],
    ['name ^= SignerA- [i]', like('name', 'SignerA-%', true)],
    ['name^=SignerA-[i]', like('name', 'SignerA-%', true)],
    ['name=""', text('name', '=', '')],
    ['name=null', { op: '=', field: 'name', value: null }],
    ['name != NULL', { op: '!=', field: 'name', value: null }],
    ['name like "_ntony %"', like('name', '_ntony %')],
    ['name > mike[i]', text('name', '>', 'mike', true)],
    ['generation >= 5', { op: '>=', field: 'generation', value: 5 }],
    ['generation <= 345.456', { op: '<=', field: 'generation', value: 345 }],
    ['generation in { 4, 5, 3.2 }', { op: 'in', field: 'generation', values: [4, 5] }],
    [
      'name in {Mike, Rafael}',
      { op: 'in', field: 'name', values: ['Mike', 'Rafael'], ignoresCase: false },
    ],
    [
      "name !in {'addison monroe', 'briley brinkley'} [i]",
      {
        op: 'not in',
        field: 'name',
        values: ['addison monroe', 'briley brinkley'],
        ignoresCase: true,
      },
    ],
    [
      `(name="test t" && id=a1) or (id*=b and name*='kate r')`,
      {
        op: 'or',
        conditions: [
          { op: 'and', conditions: [text('name', '=', 'test t'), text('id', '=', 'a1')] },
          { op: 'and', conditions: [like('id', '%b%'), like('name', '%kate r%')] },
        ],
      },
    ],
  ])('%s', (written, condition) => {
    expect(parse(written)).toEqual(condition)
  })
})

describe('odd but right', () => {
  test.each([
    ['and binds tighter than or', 'id=a or id=b and id=c', 'id=a or (id=b and id=c)'],
    [
      'words of the language are values',
      'name=or or name=in and name=like',
      "name='or' or (name='in' and name='like')",
    ],
    ['white space of every kind', '\t\r\n name\n=\tx  ', 'name=x'],
    ['lists without blanks', 'name!in{a,b}', 'name !in { a , b }'],
    [
      'every spelling of a connective',
      'id=a || id=b OR id=c && id=d AND id=e',
      'id=a or id=b or (id=c and id=d and id=e)',
    ],
    ['<> is !=', 'name<>x', 'name!=x'],
    ['any kind of quotation', 'name=`it\'s "x"`', 'name=`it\'s "x"`'],
    ['bare values with every character', 'name=A-z_0%.', "name='A-z_0%.'"],
    ['brackets around brackets', '((( name=x )))', 'name=x'],
  ])('%s', (_what, written, same) => {
    expect(parse(written)).toEqual(parse(same))
  })

  test('what only looks like a wildcard stands for itself; like has no escape', () => {
    expect(parse('name*="50%_\\"')).toEqual(like('name', '%50\\%\\_\\\\%'))
    expect(parse('name like "50\\%"')).toEqual(like('name', '50\\\\%'))
  })

  test('a quoted null is a text', () => {
    expect(parse('name="null"')).toEqual(text('name', '=', 'null'))
    expect(parse('name=Null')).toEqual(text('name', '=', 'Null'))
  })

  test('numbers and moments between those that can be stored', () => {
    const generation = (written: string) => parse(`generation ${written}`)
    expect(generation('< 2.5')).toEqual(generation('<= 2'))
    expect(generation('> -2.5')).toEqual(generation('> -3'))
    expect(generation('>= 2.50')).toEqual(generation('> 2'))
    expect(generation('= 2.5')).toEqual({ op: 'in', field: 'generation', values: [] })
    expect(generation('!= 2.5')).toEqual(generation('!= null'))
    expect(generation('!in {2.5}')).toEqual(generation('!= null'))
    expect(generation('= 0007.000')).toEqual(generation('= 7'))
    expect(generation('= -0')).toEqual(generation('= 0'))
    expect(generation('< 99999999999999999999')).toMatchObject({ value: Number.MAX_SAFE_INTEGER })
    const moment = (written: string) => parse(`createdAt > "${written}"`)
    expect(moment('1970-01-01T00:00:00.001Z')).toMatchObject({ op: '>', value: 1 })
    expect(moment('1970-01-01T01:00:00.0015+01:00')).toMatchObject({ op: '>', value: 1 })
    expect(moment('1969-12-31t23:59:59.999z')).toMatchObject({ value: -1 })
  })

  test('several filters must all hold; none is no condition', () => {
    expect(parse('id=a or id=b', 'name=c')).toEqual(parse('(id=a or id=b) and name=c'))
    expect(parse()).toBeUndefined()
  })
})

describe('refused, and where', () => {
  test.each([
    ['colour=red', 'UnknownProperty: colour, at character 1.'],
    ['name=x and (Name=y)', 'UnknownProperty: Name, at character 13.'],
    ['nameinX', 'UnknownProperty: nameinX, at character 1.'],
    ['constructor=1', 'UnknownProperty: constructor, at character 1.'],
    ['__proto__=1', 'UnknownProperty: __proto__, at character 1.'],
    ['', 'ParsingError: a property is expected, at character 1.'],
    ['   ', 'ParsingError: a property is expected, at character 4.'],
    ['=x', 'ParsingError: a property is expected, at character 1.'],
    ['name', 'ParsingError: an operator is expected, at character 5.'],
    ['name is x', 'ParsingError: an operator is expected, at character 6.'],
    ['name inX', 'ParsingError: an operator is expected, at character 6.'],
    ['name !like x', 'ParsingError: an operator is expected, at character 6.'],
    ['name LIKE x', 'ParsingError: an operator is expected, at character 6.'],
    ['name=', 'ParsingError: a value is expected, at character 6.'],
    ['name==x', 'ParsingError: a value is expected, at character 6.'],
    ['name="x', 'ParsingError: the quotation does not end, at character 6.'],
    ['name="😀" x', 'ParsingError: and, or, or the end is expected, at character 10.'],
    ['name=x;drop', 'ParsingError: and, or, or the end is expected, at character 7.'],
    ['name=x Or id=y', 'ParsingError: and, or, or the end is expected, at character 8.'],
    ['name=x and', 'ParsingError: white space is expected, at character 11.'],
    ['(name=x)and (id=y)', 'ParsingError: white space is expected, at character 9.'],
    ['name=x ||id=y', 'ParsingError: white space is expected, at character 10.'],
    ['name=x and ', 'ParsingError: a property is expected, at character 12.'],
    ['(name=x', 'ParsingError: and, or, or ) is expected, at character 8.'],
    ['name=x)', 'ParsingError: and, or, or the end is expected, at character 7.'],
    ['()', 'ParsingError: a property is expected, at character 2.'],
    ['not name=x', 'UnknownProperty: not, at character 1.'],
    ['name=x[j]', 'ParsingError: i] is expected, at character 8.'],
    ['name=x[ii]', 'ParsingError: i] is expected, at character 8.'],
    ['name in {}', 'ParsingError: a value is expected, at character 10.'],
    ['name in {a,}', 'ParsingError: a value is expected, at character 12.'],
    ['name in {a b}', 'ParsingError: , or } is expected, at character 12.'],
    ['name in a', 'ParsingError: { is expected, at character 9.'],
    ['name < null', 'ParsingError: null stands behind = and != only, at character 8.'],
    ['name like null', 'ParsingError: null stands behind = and != only, at character 11.'],
    ['name in {a, NULL}', 'ParsingError: null stands behind = and != only, at character 13.'],
    ['generation=one', 'ParsingError: a number is expected, at character 12.'],
    ['generation=1e3', 'ParsingError: a number is expected, at character 12.'],
    ['generation=1.', 'ParsingError: a number is expected, at character 12.'],
    ['generation=""', 'ParsingError: a number is expected, at character 12.'],
    ['generation^=1', 'ParsingError: the property is no text, at character 11.'],
    ['generation like "1%"', 'ParsingError: the property is no text, at character 12.'],
    ['name=\ud800', 'ParsingError: no such characters, at character 1.'],
    ['name="\0"', 'ParsingError: no such characters, at character 1.'],
  ])('%s', (written, message) => {
    expect(refusalOf(written)).toBe(message)
  })

  test.each([
    '2024-01-01',
    '2024-02-30T00:00:00Z',
    '2024-01-01T24:00:01Z',
    '2024-01-01T00:00:00',
    '1700000000000',
    '2024-13-01T00:00:00Z',
    '2024-01-01T00:00:00+0100',
    '',
  ])('a moment that is none: %s', (written) => {
    expect(refusalOf(`createdAt > "${written}"`)).toContain('a date and time')
  })

  test('a second filter says where in its own text', () => {
    expect(refusalOf('name=x', 'id?')).toBe(
      'ParsingError: an operator is expected, at character 3.',
    )
  })
})

describe('bounds', () => {
  test('4096 characters in all, as a reader counts them', () => {
    const long = `name="${'😀'.repeat(4_096 - 7)}"`
    expect(parse(long)).toBeDefined()
    expect(refusalOf(`${long} `)).toContain('the filter is too long')
    expect(refusalOf('name=x', long)).toContain('the filter is too long')
    expect(refusalOf(`name=${'a'.repeat(1_000_000)}`)).toContain('the filter is too long')
  })

  test('64 conditions in all', () => {
    const most = Array(64).fill('id=a').join(' or ')
    expect(parse(most)).toBeDefined()
    expect(refusalOf(`${most} or id=a`)).toContain('too many conditions')
    expect(refusalOf(most, 'id=a')).toContain('too many conditions')
  })

  test('16 brackets within each other', () => {
    const nested = (depth: number) => `${'('.repeat(depth)}id=a${')'.repeat(depth)}`
    expect(parse(nested(16))).toEqual(parse('id=a'))
    expect(refusalOf(nested(17))).toContain('too deep')
    expect(refusalOf('('.repeat(4_096))).toContain('too deep')
  })

  test('no text of any kind takes long, or anything but one of the two refusals', () => {
    const marks = [
      'name',
      'id',
      'generation',
      ' ',
      '=',
      '!=',
      'in',
      '{',
      '}',
      ',',
      '(',
      ')',
      'and',
      '||',
      '"',
      "'",
      '[i]',
      'null',
      '0',
      '.',
      'x',
      '😀',
      'like',
      '!',
    ]
    const texts = fc.array(fc.constantFrom(...marks), { maxLength: 400 }).map((all) => all.join(''))
    fc.assert(
      fc.property(fc.oneof(texts, fc.string({ unit: 'binary' })), (written) => {
        try {
          parse(written)
        } catch {
          refusalOf(written)
        }
      }),
      { numRuns: 2_000 },
    )
    const startedAt = performance.now()
    for (const hostile of [
      `generation=${'0'.repeat(4_000)}x`,
      `generation=1.${'0'.repeat(4_000)}x`,
      `name in {${'a,'.repeat(2_000)}`,
      ' '.repeat(4_096),
      `name=${"'".repeat(4_000)}`,
    ]) {
      refusalOf(hostile)
    }
    expect(performance.now() - startedAt).toBeLessThan(200)
  })
})
