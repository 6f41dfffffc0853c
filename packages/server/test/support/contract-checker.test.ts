import { describe, expect, test } from 'vitest'
import { parseContract } from '#http/contract.ts'
import { createContractChecker, type Exchange } from './contract-checker.ts'

const contract = parseContract(
  'toys',
  Buffer.from(`
openapi: 3.1.0
info: {title: Toys, version: '1'}
servers: [{url: /toys}]
paths:
  /boxes/_all:
    get: {operationId: listBoxes, responses: {'204': {description: None.}}}
  /boxes/{id}:
    get: {operationId: getBox, responses: {'204': {description: None.}}}
    post:
      operationId: openBox
      responses:
        '200':
          description: Open.
          headers: {Cache-Control: {schema: {const: no-store}}}
          content:
            application/json:
              schema:
                type: object
                required: [result]
                properties: {result: {enum: [OPEN, SHUT]}, count: {type: integer}}
`),
)
const checker = createContractChecker([contract])

const accepted: Exchange = {
  method: 'POST',
  path: '/toys/boxes/a?x=1',
  status: 200,
  headers: {
    'x-request-id': '01M7YRRT808A9NYTDXX0X5X0P4',
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  },
  body: '{"result":"OPEN","count":18}',
}

describe('the contract checker', () => {
  test('lets a declared reply pass and remembers its operation', () => {
    expect(checker.check(accepted)).toBe('openBox')
    expect(checker.seen).toContain('toys openBox')
  })

  test('prefers the exact path to one with parameters', () => {
    const empty = { method: 'GET', status: 204, headers: { 'x-request-id': 'R' }, body: '' }
    expect(checker.check({ ...empty, path: '/toys/boxes/_all' })).toBe('listBoxes')
    expect(checker.check({ ...empty, path: '/toys/boxes/all' })).toBe('getBox')
  })

  test.each<[string, Partial<Exchange>, string]>([
    ['an undeclared status', { status: 418 }, 'does not declare 418'],
    ['a member of the wrong type', { body: '{"result":"OPEN","count":"18"}' }, '/count'],
    ['a missing member', { body: '{"count":18}' }, '/result'],
    ['an undeclared member', { body: '{"result":"OPEN","secret":1}' }, 'undeclared members'],
    ['a member named twice', { body: '{"result":"OPEN","result":"SHUT"}' }, 'malformed_body'],
    [
      'another media type',
      { headers: { ...accepted.headers, 'content-type': 'text/html' } },
      'text/html',
    ],
    [
      'a declared header that is missing',
      { headers: { ...accepted.headers, 'cache-control': undefined } },
      'Cache-Control',
    ],
    [
      'a header with another value',
      { headers: { ...accepted.headers, 'cache-control': 'public' } },
      'no-store',
    ],
    [
      'no request id',
      { headers: { ...accepted.headers, 'x-request-id': undefined } },
      'X-Request-Id',
    ],
    ['a path of no contract', { path: '/toys/nowhere' }, 'no contract has this path'],
    ['a method that the path does not have', { method: 'PUT' }, 'no such method'],
    ['405 without Allow', { method: 'PUT', status: 405 }, '405 without Allow'],
  ])('refuses %s', (_name, change, reason) => {
    expect(() => checker.check({ ...accepted, ...change })).toThrow(reason)
  })
})
