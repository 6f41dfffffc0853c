import { describe, expect, test } from 'vitest'
import { explainFaults } from './faults.ts'
import type { Definitions, Schema } from './schema.ts'
import { SchemaCompiler } from './validator.ts'

function faultsOf(schema: Schema, value: unknown, definitions: Definitions = {}) {
  return new SchemaCompiler(definitions).compile(schema)(value)
}

const token = {
  oneOf: [
    {
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: { id: { type: 'string' } },
    },
    {
      type: 'object',
      additionalProperties: false,
      required: ['serial'],
      properties: { serial: { type: 'string' }, product: { type: 'string' } },
    },
  ],
} as const satisfies Schema

describe('what is wrong with a value', () => {
  test.each<[string, Schema, unknown, readonly (readonly [string, string, string])[]]>([
    [
      'a range, both ends',
      { properties: { digits: { type: 'integer', minimum: 6, maximum: 10 } } },
      { digits: 11 },
      [['/digits', 'out_of_range', 'must be 6 to 10']],
    ],
    [
      'every member at once',
      {
        type: 'object',
        additionalProperties: false,
        required: ['a', 'b'],
        properties: { a: {}, b: { type: 'string' } },
      },
      { b: 1, c: 2 },
      [
        ['/a', 'required', 'is required'],
        ['/b', 'wrong_type', 'must be a string'],
        ['/c', 'unknown_member', 'is not known here'],
      ],
    ],
    [
      'a pattern',
      { pattern: '^[0-9]+$' },
      'x',
      [['', 'bad_format', 'does not have the right form']],
    ],
    [
      'a format',
      { type: 'string', format: 'date-time' },
      '2026-13-01T00:00:00Z',
      [['', 'bad_format', 'must be a date and time as in RFC 3339']],
    ],
    ['a choice', { enum: ['A', 'B'] }, 'C', [['', 'out_of_range', 'must be one of A, B']]],
    [
      'characters, not code units',
      { maxLength: 1 },
      '😀😀',
      [['', 'out_of_range', 'must have at most 1 characters']],
    ],
    [
      'an entry twice, whatever the order of its members',
      { uniqueItems: true },
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      [['', 'not_unique', 'must not have an entry twice']],
    ],
    [
      'the closest alternative',
      token,
      { serial: 1 },
      [['/serial', 'wrong_type', 'must be a string']],
    ],
    ['no alternative of this type', token, 'x', [['', 'wrong_type', 'must be an object']]],
    [
      'one of several members',
      { anyOf: [{ required: ['user'] }, { required: ['token'] }] },
      {},
      [['', 'required', 'one of user, token is required']],
    ],
    [
      'members that exclude each other',
      { oneOf: [{ required: ['jwks'] }, { required: ['jwksUri'] }] },
      { jwks: 1, jwksUri: 2 },
      [['', 'mutually_exclusive', 'jwks, jwksUri exclude each other']],
    ],
    [
      'members that exclude each other, said with not',
      { not: { required: ['a', 'b'] } },
      { a: 1, b: 1 },
      [['', 'mutually_exclusive', 'a and b exclude each other']],
    ],
    [
      'a member that needs another',
      { dependentRequired: { pin: ['user'] } },
      { pin: 'x' },
      [['/user', 'required', 'is required with pin']],
    ],
    [
      'a pointer with escapes',
      { additionalProperties: { type: 'string' } },
      { 'a/b~c': 1 },
      [['/a~1b~0c', 'wrong_type', 'must be a string']],
    ],
  ])('names %s', (_name, schema, value, expected) => {
    expect(
      faultsOf(schema, value)?.map(({ pointer, code, message }) => [pointer, code, message]),
    ).toEqual(expected)
  })

  test('follows references', () => {
    const definitions: Definitions = { Serial: { type: 'string', maxLength: 3 } }
    const schema: Schema = { properties: { serial: { $ref: '#/$defs/Serial' } } }
    expect(faultsOf(schema, { serial: 'abcd' }, definitions)).toEqual([
      { pointer: '/serial', code: 'out_of_range', message: 'must have at most 3 characters' },
    ])
    expect(faultsOf(schema, { serial: 'abc' }, definitions)).toBeUndefined()
  })

  test('never repeats a value', () => {
    const schema: Schema = {
      properties: { pin: { type: 'integer' }, code: { pattern: '^a$' }, kind: { enum: ['x'] } },
    }
    const secret = 'secret-1234'
    const faults = faultsOf(schema, { pin: secret, code: secret, kind: secret })
    expect(faults).toHaveLength(3)
    expect(JSON.stringify(faults)).not.toContain(secret)
  })

  test('stays at a hundred faults, and quick, for a hundred thousand bad entries', () => {
    const schema: Schema = { type: 'array', items: token, uniqueItems: true }
    const value = Array.from({ length: 100_000 }, (_, index) => ({ id: index, wrong: {} }))
    const startedAt = performance.now()
    expect(faultsOf(schema, value)?.length).toBeLessThanOrEqual(100)
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })

  test('is said in general words when only the compiled validator knows', () => {
    expect(explainFaults({ minLength: 1 }, 'x', { definitions: {}, formats: {} })).toEqual([
      { pointer: '', code: 'bad_format', message: 'does not fit the contract' },
    ])
  })
})

describe('a contract', () => {
  test.each<[string, Schema]>([
    ['a misspelt keyword', { type: 'string', maxLenght: 3 }],
    ['a format nobody knows', { type: 'string', format: 'date-tiem' }],
  ])('with %s does not compile', (_name, schema) => {
    expect(() => new SchemaCompiler({}).compile(schema)).toThrow()
  })
})
