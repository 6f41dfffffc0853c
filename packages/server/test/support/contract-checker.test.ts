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
            application/xml: {schema: {$ref: '#/components/schemas/Box'}}
components:
  schemas:
    Box:
      type: object
      xml: {name: box}
      required: [size]
      properties:
        size: {type: integer, xml: {attribute: true}}
        shut: {type: boolean, xml: {attribute: true}}
        lid: {$ref: '#/components/schemas/Lid'}
        things: {type: array, xml: {name: things, wrapped: true}, items: {$ref: '#/components/schemas/Thing'}}
        loose: {type: array, items: {$ref: '#/components/schemas/Loose'}}
    Lid: {type: object, xml: {name: lid}, properties: {colour: {type: string, xml: {attribute: true}}}}
    Thing:
      type: object
      xml: {name: thing}
      required: [value]
      properties: {value: {type: string, minLength: 1, x-xml-text: true}}
    Loose: {type: object, xml: {name: loose}, properties: {n: {type: integer, xml: {attribute: true}}}}
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

describe('the contract checker, for XML', () => {
  const start = '<?xml version="1.0" encoding="UTF-8"?>\n'
  const headers = { ...accepted.headers, 'content-type': 'application/xml;charset=UTF-8' }
  const check = (body: string | Uint8Array) => checker.check({ ...accepted, headers, body })

  test('lets a reply pass that its schema models', () => {
    expect(check(`${start}<box size="1"/>`)).toBe('openBox')
    expect(
      check(
        `${start}<box size="2" shut="false">\n <lid colour="&lt;"/><things><thing>a</thing><thing>b</thing></things>` +
          '<loose n="1"/><loose/></box>\n',
      ),
    ).toBe('openBox')
  })

  test.each<[string, string, string]>([
    ['another element', '<bax size="1"/>', 'is not <box>'],
    ['a missing attribute', '<box/>', '/size'],
    ['an attribute of the wrong type', '<box size="01"/>', '/size'],
    ['an undeclared attribute', '<box size="1" x="1"/>', 'undeclared members'],
    ['an undeclared element', '<box size="1"><x/></box>', 'undeclared members'],
    ['an element twice', '<box size="1"><lid/><lid/></box>', 'undeclared members'],
    ['text where none is modelled', '<box size="1">x</box>', 'undeclared members'],
    ['text that does not fit', '<box size="1"><things><thing/></things></box>', '/things/0/value'],
    ['half a document', '<box size="1">', 'unclosed tag'],
    ['a DOCTYPE', '<!DOCTYPE box><box size="1"/>', 'DOCTYPE'],
    ['a comment', '<box size="1"><!-- x --></box>', 'comment'],
    ['CDATA', '<box size="1"><![CDATA[x]]></box>', 'CDATA'],
    ['a namespace', '<box size="1" xmlns="urn:x"/>', 'namespace'],
    ['two declarations', `${start}<box size="1"/>`, 'Error'],
  ])('refuses %s', (_name, body, reason) => {
    expect(() => check(start + body)).toThrow(reason)
  })

  test('refuses a reply without declaration, and bytes that are not UTF-8', () => {
    expect(() => check('<box size="1"/>')).toThrow('declaration')
    expect(() => check(Buffer.from(`${start}<box size="1\u00e9"/>`, 'latin1'))).toThrow()
  })
})
