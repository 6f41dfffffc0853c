import type { Contract, Operation, Parameter, Response } from './contract.ts'
import { isJson } from './media-type.ts'
import { definitionName, type Schema, type SchemaObject } from './schema.ts'

const indentStep = '  '

/**
 * Writes the TypeScript types of a contract: `Schemas`, its components by name, and `Operations`, the shape of every
 * operation by operationId. Equal contracts give equal text.
 */
export function writeTypes(contract: Contract): string {
  const lines = [
    `// Generated from contract.openapi.yaml by \`npm run generate\`. Not committed, never edited.`,
    `import type { RawBody } from '#http/handler.ts'`,
    '',
    `export interface Schemas {`,
  ]
  for (const [name, schema] of Object.entries(contract.schemas)) {
    lines.push(...docLines(schema, indentStep))
    lines.push(`${indentStep}readonly ${memberName(name)}: ${typeOf(schema, indentStep)}`)
  }
  lines.push('}', '', 'export interface Operations {')
  for (const operation of contract.operations) {
    lines.push(...operationLines(operation))
  }
  // Keeps the import used in contracts without raw bodies.
  lines.push('}', '', 'export type Raw = RawBody', '')
  return lines.join('\n')
}

function operationLines(operation: Operation): string[] {
  const inner = indentStep + indentStep
  return [
    `${indentStep}/** ${operation.method} ${commentText(operation.path)} */`,
    `${indentStep}readonly ${memberName(operation.id)}: {`,
    `${inner}readonly params: ${parametersType(operation, 'path', inner)}`,
    `${inner}readonly query: ${parametersType(operation, 'query', inner)}`,
    `${inner}readonly headers: ${parametersType(operation, 'header', inner)}`,
    `${inner}readonly body: ${requestBodyType(operation, inner)}`,
    `${inner}readonly replies: {`,
    ...operation.responses
      .filter(({ status }) => status !== 'default')
      .map((response) => `${inner}${indentStep}readonly ${replyMember(response, inner)}`),
    `${inner}}`,
    `${indentStep}}`,
  ]
}

function parametersType(operation: Operation, place: Parameter['in'], indent: string): string {
  const parameters = operation.parameters.filter((parameter) => parameter.in === place)
  if (parameters.length === 0) return 'Record<never, never>'
  const inner = indent + indentStep
  const members = parameters.map((parameter) => {
    const always = parameter.required || place === 'path' || hasDefault(parameter.schema)
    const type = typeOf(parameter.schema, inner)
    return `${inner}readonly ${memberName(parameter.name)}${always ? '' : '?'}: ${type}`
  })
  return `{\n${members.join('\n')}\n${indent}}`
}

function hasDefault(schema: Schema): boolean {
  return typeof schema === 'object' && schema.default !== undefined
}

function requestBodyType({ requestBody }: Operation, indent: string): string {
  if (requestBody === undefined) return 'undefined'
  const types = requestBody.contents.map(({ mediaType, schema }) => {
    if (isJson(mediaType) || mediaType === 'application/x-www-form-urlencoded') {
      return schema === undefined ? 'unknown' : typeOf(schema, indent)
    }
    return mediaType.startsWith('text/') ? 'string' : 'Buffer'
  })
  if (!requestBody.required) types.push('undefined')
  return union(types)
}

function replyMember({ status, contents }: Response, indent: string): string {
  if (contents.length === 0) return `${status}: null`
  const types = contents.map(({ mediaType, schema }) => {
    const type = isJson(mediaType) && schema !== undefined ? typeOf(schema, indent) : 'RawBody'
    return `readonly '${mediaType}': ${type}`
  })
  return `${status}: { ${types.join('; ')} }`
}

function typeOf(schema: Schema, indent: string): string {
  if (typeof schema === 'boolean') return schema ? 'unknown' : 'never'
  const parts: string[] = []
  if (schema.$ref !== undefined) {
    parts.push(`Schemas[${JSON.stringify(definitionName(schema.$ref))}]`)
  }
  const own = ownType(schema, indent)
  if (own !== undefined) parts.push(own)
  for (const inner of schema.allOf ?? []) parts.push(typeOf(inner, indent))
  for (const branches of [schema.oneOf, schema.anyOf]) {
    const types = (branches ?? []).map((branch) => typeOf(branch, indent))
    // A branch without a shape (only `required`) says which members go together; types cannot.
    if (types.length > 0 && !types.includes('unknown')) parts.push(union(types))
  }
  const known = [...new Set(parts)].filter((part) => part !== 'unknown')
  if (known.length === 0) return 'unknown'
  return known.length === 1 ? (known[0] ?? 'unknown') : known.map(bracketed).join(' & ')
}

/** The type that a schema's own keywords tell; undefined when they tell none. */
function ownType(schema: SchemaObject, indent: string): string | undefined {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum !== undefined) return union(schema.enum.map((value) => JSON.stringify(value)))
  if (schema.type === undefined) {
    return schema.properties === undefined ? undefined : objectType(schema, indent)
  }
  return union([schema.type].flat().map((type) => plainType(type, schema, indent)))
}

function plainType(type: string, schema: SchemaObject, indent: string): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type
    case 'integer':
    case 'number':
      return 'number'
    case 'array':
      return arrayType(schema, indent)
    default:
      return objectType(schema, indent)
  }
}

function arrayType({ items, prefixItems }: SchemaObject, indent: string): string {
  if (prefixItems !== undefined) {
    const rest = items === false ? [] : [`...${bracketed(typeOf(items ?? true, indent))}[]`]
    return `readonly [${[...prefixItems.map((item) => typeOf(item, indent)), ...rest].join(', ')}]`
  }
  return `readonly ${bracketed(typeOf(items ?? true, indent))}[]`
}

function objectType(schema: SchemaObject, indent: string): string {
  const { properties, required = [], additionalProperties } = schema
  const inner = indent + indentStep
  const members = Object.entries(properties ?? {}).flatMap(([name, member]) => {
    const mark = required.includes(name) ? '' : '?'
    const type = typeOf(member, inner)
    return [...docLines(member, inner), `${inner}readonly ${memberName(name)}${mark}: ${type}`]
  })
  const values = valueType(schema, inner)
  if (members.length === 0) {
    if (additionalProperties === false && values === undefined) return 'Record<never, never>'
    return `{ readonly [name: string]: ${values ?? 'unknown'} }`
  }
  // Named members need not fit the type of the others, so the index signature stays open.
  if (values !== undefined) members.push(`${inner}readonly [name: string]: unknown`)
  return `{\n${members.join('\n')}\n${indent}}`
}

/** The type of the members without a name of their own; undefined when the schema does not speak of them. */
function valueType(schema: SchemaObject, indent: string): string | undefined {
  const types = Object.values(schema.patternProperties ?? {}).map((inner) => typeOf(inner, indent))
  const rest = schema.additionalProperties
  if (rest !== undefined && rest !== false) types.push(typeOf(rest, indent))
  return types.length === 0 ? undefined : union(types)
}

function union(types: readonly string[]): string {
  const distinct = [...new Set(types)]
  if (distinct.length === 0 || distinct.includes('unknown')) return 'unknown'
  return distinct.length === 1 ? (distinct[0] ?? 'unknown') : distinct.map(bracketed).join(' | ')
}

function bracketed(type: string): string {
  return /[|&]|^readonly /.test(type) ? `(${type})` : type
}

function memberName(name: string): string {
  return /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) ? name : JSON.stringify(name)
}

function docLines(schema: Schema, indent: string): string[] {
  const text = typeof schema === 'object' ? (schema.description ?? '').trim() : ''
  if (text === '') return []
  const lines = commentText(text).split('\n')
  if (lines.length === 1) return [`${indent}/** ${lines[0]} */`]
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`]
}

function commentText(text: string): string {
  return text.replaceAll('*/', '* /')
}
