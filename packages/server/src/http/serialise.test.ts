import { describe, expect, test } from 'vitest'
import type { Definitions, Schema } from './schema.ts'
import { PrunerCompiler } from './serialise.ts'

function prune(schema: Schema, value: unknown, definitions: Definitions = {}): unknown {
  return new PrunerCompiler(definitions).compile(schema)(value)
}

const named = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties })

describe('a reply', () => {
  test.each<[string, Schema, unknown, unknown]>([
    ['loses what is not declared', named({ a: {} }), { a: 1, secret: 2 }, { a: 1 }],
    [
      'loses it deep inside',
      named({ a: named({ b: {} }) }),
      { a: { b: 1, x: 2 } },
      { a: { b: 1 } },
    ],
    ['loses it in lists', { items: named({ a: {} }) }, [{ a: 1 }, { x: 1 }], [{ a: 1 }, {}]],
    [
      'keeps null and false',
      named({ a: {}, b: {} }),
      { a: null, b: false, c: 1 },
      { a: null, b: false },
    ],
    [
      'keeps what additionalProperties allows, and prunes it',
      { type: 'object', properties: { a: {} }, additionalProperties: named({ b: {} }) },
      { a: 1, other: { b: 1, x: 1 } },
      { a: 1, other: { b: 1 } },
    ],
    [
      'keeps every member of an object without a shape',
      { type: 'object' },
      { x: { y: 1 } },
      { x: { y: 1 } },
    ],
    [
      'keeps members by pattern',
      { type: 'object', properties: {}, patternProperties: { '^x-': {} } },
      { 'x-a': 1, y: 2 },
      { 'x-a': 1 },
    ],
    [
      'has the members of all parts',
      { allOf: [named({ a: {} }), named({ b: {} })] },
      { a: 1, b: 2, c: 3 },
      { a: 1, b: 2 },
    ],
    [
      'takes the closer of an open and a closed description',
      { allOf: [named({ data: { type: 'object' } }), named({ data: named({ id: {} }) })] },
      { data: { id: 1, secret: 2 } },
      { data: { id: 1 } },
    ],
    [
      'has the members of the alternative whose tag it carries',
      {
        oneOf: [
          { type: 'object', required: ['kind'], properties: { kind: { const: 'A' }, a: {} } },
          { type: 'object', required: ['kind'], properties: { kind: { const: 'B' }, b: {} } },
        ],
      },
      { kind: 'A', a: 1, b: 2 },
      { kind: 'A', a: 1 },
    ],
    [
      'may be null where an alternative says so',
      { oneOf: [named({ a: {} }), { type: 'null' }] },
      null,
      null,
    ],
  ])('%s', (_name, schema, value, expected) => {
    expect(prune(schema, value)).toEqual(expected)
  })

  test('follows references, also circular ones', () => {
    const definitions: Definitions = {
      Tree: named({ name: {}, children: { type: 'array', items: { $ref: '#/$defs/Tree' } } }),
    }
    const value = { name: 'a', x: 1, children: [{ name: 'b', children: [], y: 1 }] }
    expect(prune({ $ref: '#/$defs/Tree' }, value, definitions)).toEqual({
      name: 'a',
      children: [{ name: 'b', children: [] }],
    })
  })

  test('that needs no change is not copied', () => {
    const value = { a: { b: [1, 2] } }
    expect(prune(named({ a: named({ b: {} }) }), value)).toBe(value)
  })
})
