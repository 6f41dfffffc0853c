/** One JSON Schema (2020-12) of a contract, as plain data. `true` allows everything, `false` nothing. */
export type Schema = SchemaObject | boolean

export interface SchemaObject {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly format?: string
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly unevaluatedProperties?: Schema
  readonly propertyNames?: Schema
  readonly dependentRequired?: Readonly<Record<string, readonly string[]>>
  readonly items?: Schema
  readonly prefixItems?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly not?: Schema
  readonly if?: Schema
  readonly then?: Schema
  readonly else?: Schema
  readonly default?: unknown
  readonly description?: string
  readonly examples?: readonly unknown[]
  readonly [keyword: string]: unknown
}

/** The schemas of one contract under the names that `$ref: '#/$defs/<name>'` uses. */
export type Definitions = Readonly<Record<string, Schema>>

const schemaMaps = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs'])
const schemaLists = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const schemaValues = new Set([
  'items',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'propertyNames',
  'contains',
  'not',
  'if',
  'then',
  'else',
])
/** Words of OpenAPI that mean nothing to a validator. */
const openApiOnly = new Set(['discriminator', 'xml', 'externalDocs', 'example'])
/** Says what the text inside a string looks like. Decoding it is the endpoint's work, not the validator's. */
const contentOnly = new Set(['contentSchema', 'contentMediaType', 'contentEncoding'])

const componentPrefix = '#/components/schemas/'
const definitionPrefix = '#/$defs/'

/**
 * A schema as the contract writes it → one that stands under `$defs`: references point there, and what is not JSON
 * Schema (`x-…`, OpenAPI's own words) is gone. A keyword nobody knows stays, so that the validator refuses it.
 */
export function toDefinition(schema: Schema): Schema {
  if (typeof schema === 'boolean') return schema
  const result: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword.startsWith('x-') || openApiOnly.has(keyword) || contentOnly.has(keyword)) continue
    if (keyword === '$ref') result[keyword] = toDefinitionRef(String(value))
    else if (schemaMaps.has(keyword)) {
      result[keyword] = Object.fromEntries(
        Object.entries(value as Record<string, Schema>).map(([name, inner]) => [
          name,
          toDefinition(inner),
        ]),
      )
    } else if (schemaLists.has(keyword)) result[keyword] = (value as Schema[]).map(toDefinition)
    else if (schemaValues.has(keyword)) result[keyword] = toDefinition(value as Schema)
    else result[keyword] = value
  }
  return result
}

function toDefinitionRef(ref: string): string {
  if (!ref.startsWith(componentPrefix)) {
    throw new Error(`Only references to ${componentPrefix} can be followed, not ${ref}.`)
  }
  return definitionPrefix + ref.slice(componentPrefix.length)
}

/** The name of a referenced definition. */
export function definitionName(ref: string): string {
  return ref.startsWith(definitionPrefix)
    ? ref.slice(definitionPrefix.length)
    : ref.slice(componentPrefix.length)
}

/** Follows `$ref` until something else comes. A reference into nowhere is a fault of the contract. */
export function resolveSchema(schema: Schema, definitions: Definitions): Schema {
  let current = schema
  for (let hops = 0; typeof current !== 'boolean' && current.$ref !== undefined; hops++) {
    const name = definitionName(current.$ref)
    const next = definitions[name]
    if (next === undefined || hops > 20) throw new Error(`The schema "${name}" cannot be resolved.`)
    current = next
  }
  return current
}

/** The JSON types a schema allows, seen through references and combinations; empty when it does not say. */
export function typesOf(schema: Schema, definitions: Definitions): ReadonlySet<string> {
  const types = new Set<string>()
  collectTypes(schema, definitions, types, 0)
  return types
}

function collectTypes(
  schema: Schema,
  definitions: Definitions,
  types: Set<string>,
  depth: number,
): void {
  if (typeof schema === 'boolean' || depth > 20) return
  if (schema.type !== undefined) for (const type of [schema.type].flat()) types.add(type)
  else if (schema.const !== undefined) types.add(jsonTypeOf(schema.const))
  else if (schema.enum !== undefined) for (const value of schema.enum) types.add(jsonTypeOf(value))
  if (schema.$ref !== undefined) {
    const target = definitions[definitionName(schema.$ref)]
    if (target !== undefined) collectTypes(target, definitions, types, depth + 1)
  }
  for (const inner of [schema.allOf, schema.anyOf, schema.oneOf].flat()) {
    if (inner !== undefined) collectTypes(inner, definitions, types, depth + 1)
  }
}

/** The JSON type of a parsed value; whole numbers are `integer`. */
export function jsonTypeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}
