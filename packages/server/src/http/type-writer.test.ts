import { expect, test } from 'vitest'
import { parseContract } from './contract.ts'
import { writeTypes } from './type-writer.ts'

const contract = parseContract(
  'toys',
  Buffer.from(`
openapi: 3.1.0
info: {title: Toys, version: '1'}
paths:
  /boxes/{box-id}:
    parameters: [{name: box-id, in: path, required: true, schema: {type: string}}]
    post:
      operationId: fillBox
      parameters:
      - {name: limit, in: query, schema: {type: integer, default: 5}}
      - {name: cursor, in: query, schema: {type: string}}
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Box'}}}}
      responses:
        '200': {description: Full., content: {application/json: {schema: {$ref: '#/components/schemas/Box'}}}}
        '204': {description: Nothing.}
        default: {description: Else.}
components:
  schemas:
    Box:
      type: object
      required: [name]
      properties:
        name: {type: string, description: 'Ends comments: */'}
        kind: {enum: [red, blue, 1]}
        owner: {oneOf: [{$ref: '#/components/schemas/Owner'}, {type: 'null'}]}
        tags: {type: array, items: {type: [string, 'null']}}
        pair: {type: array, prefixItems: [{type: string}, {const: 1}], items: false}
    Owner: {allOf: [{$ref: '#/components/schemas/Named'}, {type: object, properties: {age: {type: integer}}}]}
    Named: {type: object, additionalProperties: {type: string}}
    Tree: {type: object, additionalProperties: {$ref: '#/components/schemas/Tree'}}
`),
)

test('types say what the contract says: optional members, unions, literals, replies by status', () => {
  expect(
    writeTypes(contract),
  ).toBe(`// Generated from contract.openapi.yaml by \`npm run generate\`. Not committed, never edited.
import type { RawBody } from '#http/handler.ts'

export interface Schemas {
  readonly Box: {
    /** Ends comments: * / */
    readonly name: string
    readonly kind?: "red" | "blue" | 1
    readonly owner?: Schemas["Owner"] | null
    readonly tags?: readonly (string | null)[]
    readonly pair?: readonly [string, 1]
  }
  readonly Owner: Schemas["Named"] & {
    readonly age?: number
  }
  readonly Named: { readonly [name: string]: string }
  readonly Tree: { readonly [name: string]: Schemas["Tree"] }
}

export interface Operations {
  /** POST /boxes/{box-id} */
  readonly fillBox: {
    readonly params: {
      readonly "box-id": string
    }
    readonly query: {
      readonly limit: number
      readonly cursor?: string
    }
    readonly headers: Record<never, never>
    readonly body: Schemas["Box"] | undefined
    readonly replies: {
      readonly 200: { readonly 'application/json': Schemas["Box"] }
      readonly 204: null
    }
  }
}

export type Raw = RawBody
`)
})
