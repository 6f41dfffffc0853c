import { describe, expect, test } from 'vitest'
import type { Parameter } from './contract.ts'
import { parsePairs } from './pairs.ts'
import { ParameterReader } from './parameters.ts'
import type { Schema } from './schema.ts'
import { SchemaCompiler } from './validator.ts'

function read(schema: Schema, query: string, more: Partial<Parameter> = {}) {
  const parameter: Parameter = {
    name: 'p',
    in: 'query',
    required: false,
    explode: true,
    description: '',
    schema,
    example: undefined,
    ...more,
  }
  const reader = new ParameterReader('query', [parameter], {}, new SchemaCompiler({}))
  const pairs = parsePairs(query)
  if (typeof pairs === 'string') return pairs
  const { values, faults } = reader.read((name) => pairs.values.get(name))
  return faults.length > 0 ? faults.map(({ code }) => code).join() : values.p
}

describe('a parameter', () => {
  test.each<[Schema, string, unknown]>([
    [{ type: 'integer' }, 'p=5', 5],
    [{ type: 'integer' }, 'p=-5', -5],
    [{ type: 'integer' }, 'p=0', 0],
    [{ type: 'integer' }, 'p=05', 'wrong_type'],
    [{ type: 'integer' }, 'p=-0', 'wrong_type'],
    [{ type: 'integer' }, 'p=%2B5', 'wrong_type'],
    [{ type: 'integer' }, 'p=1e2', 'wrong_type'],
    [{ type: 'integer' }, 'p=+5', 'wrong_type'],
    [{ type: 'integer' }, 'p=5.0', 'wrong_type'],
    [{ type: 'integer' }, 'p=', 'wrong_type'],
    [{ type: 'integer' }, 'p=%D9%A5', 'wrong_type'],
    [{ type: 'integer' }, 'p=9007199254740993', 'wrong_type'],
    [{ type: 'integer', minimum: 1, maximum: 200 }, 'p=201', 'out_of_range'],
    [{ type: 'number' }, 'p=1.5', 1.5],
    [{ type: 'number' }, 'p=1.', 'wrong_type'],
    [{ type: 'boolean' }, 'p=true', true],
    [{ type: 'boolean' }, 'p=TRUE', 'wrong_type'],
    [{ type: 'boolean' }, 'p=1', 'wrong_type'],
    [{ type: 'string' }, 'p=05', '05'],
    [{ type: 'string' }, 'p=a%2Fb+c', 'a/b c'],
    [{ type: 'string' }, 'p=%00', 'bad_format'],
    [{ type: 'string' }, 'p=1&p=1', 'not_unique'],
    [{ type: 'string', default: 'x' }, '', 'x'],
    [{ type: 'array', items: { type: 'integer' } }, 'p=1&p=2', [1, 2]],
    [{ enum: ['a', 'b'] }, 'p=c', 'out_of_range'],
  ])('of %j reads "%s" as %j', (schema, query, expected) => {
    expect(read(schema, query)).toEqual(expected)
  })

  test('that is a list in one value is split at commas, and must still come once', () => {
    const schema: Schema = { type: 'array', items: { enum: ['a', 'b'] }, uniqueItems: true }
    expect(read(schema, 'p=a,b', { explode: false })).toEqual(['a', 'b'])
    expect(read(schema, 'p=a,a', { explode: false })).toBe('not_unique')
    expect(read(schema, 'p=a&p=b', { explode: false })).toBe('not_unique')
  })

  test('that is required and missing is a fault at its name', () => {
    expect(read({ type: 'string' }, '', { required: true })).toBe('required')
  })
})

describe('a query', () => {
  test.each(['p=%', 'p=%zz', 'p=%ff', 'p=%c0%80', '%e2%82=1'])('"%s" is not repaired', (query) => {
    expect(parsePairs(query)).toBe('syntax')
  })

  test('with more than 200 names is refused', () => {
    expect(parsePairs('a=1&'.repeat(100_000))).toBe('too_many_members')
  })
})
