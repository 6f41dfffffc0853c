import { readFileSync } from 'node:fs'
import { CORE_SCHEMA, load } from 'js-yaml'
import { type Definitions, type Schema, toDefinition } from './schema.ts'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'
export type ParameterPlace = 'path' | 'query' | 'header'

export interface Parameter {
  readonly name: string
  readonly in: ParameterPlace
  readonly required: boolean
  /** An array in a query: repeated (`a=1&a=2`) when true, else one value with commas (`a=1,2`). */
  readonly explode: boolean
  readonly description: string
  readonly schema: Schema
  readonly example: unknown
}

export interface Content {
  readonly mediaType: string
  /** Absent for raw bytes. */
  readonly schema: Schema | undefined
  /** Example values by name. */
  readonly examples: Readonly<Record<string, unknown>>
}

export interface RequestBody {
  readonly required: boolean
  readonly description: string
  readonly contents: readonly Content[]
}

export interface Response {
  readonly status: number | 'default'
  readonly description: string
  readonly headers: Readonly<Record<string, ResponseHeader>>
  readonly contents: readonly Content[]
}

export interface ResponseHeader {
  readonly description: string
  readonly required: boolean
  readonly schema: Schema | undefined
}

export interface Operation {
  readonly id: string
  readonly method: Method
  /** As the contract writes it, below the base path: `/v2/users/{userId}`. */
  readonly path: string
  /** Where it is served: paths that go in front of `path`; the first one is the usual one. */
  readonly basePaths: readonly string[]
  readonly tag: string
  readonly summary: string
  readonly description: string
  readonly deprecated: boolean
  readonly parameters: readonly Parameter[]
  readonly requestBody: RequestBody | undefined
  readonly responses: readonly Response[]
  /** Alternatives; each maps the names of schemes to scopes. Empty: open to all. */
  readonly security: readonly Readonly<Record<string, readonly string[]>>[]
  /** Every `x-…` member of the operation. */
  readonly extensions: Readonly<Record<string, unknown>>
}

export interface Tag {
  readonly name: string
  readonly description: string
}

export interface Contract {
  readonly name: string
  readonly title: string
  readonly version: string
  readonly summary: string
  readonly description: string
  readonly tags: readonly Tag[]
  readonly operations: readonly Operation[]
  /** The component schemas as the contract writes them, for types and documentation. */
  readonly schemas: Readonly<Record<string, Schema>>
  /** The component schemas for validators. */
  readonly definitions: Definitions
  /** `x-…` members of the document: error codes, scopes. */
  readonly extensions: Readonly<Record<string, unknown>>
  /** The file, byte for byte. */
  readonly source: Buffer
}

type Node = Readonly<Record<string, unknown>>

const methods = ['get', 'put', 'post', 'delete', 'patch'] as const
const parameterPlaces = ['path', 'query', 'header']

/** Reads a contract file. Throws when it uses OpenAPI in a way that this server does not serve. */
export function loadContract(name: string, file: URL | string): Contract {
  return parseContract(name, readFileSync(file))
}

/** @param source an OpenAPI 3.1 document in YAML. */
export function parseContract(name: string, source: Buffer): Contract {
  const document = nodeOf(load(source.toString('utf8'), { schema: CORE_SCHEMA }))
  const info = nodeOf(document.info)
  const schemas = nodeOf(nodeOf(document.components).schemas) as Record<string, Schema>
  return {
    name,
    title: textOf(info.title),
    version: textOf(info.version),
    summary: textOf(info.summary),
    description: textOf(info.description),
    tags: listOf(document.tags).map((tag) => ({
      name: textOf(tag.name),
      description: textOf(tag.description),
    })),
    operations: readOperations(document),
    schemas,
    definitions: Object.fromEntries(
      Object.entries(schemas).map(([key, schema]) => [key, toDefinition(schema)]),
    ),
    extensions: extensionsOf(document),
    source,
  }
}

function readOperations(document: Node): Operation[] {
  const operations: Operation[] = []
  const seen = new Set<string>()
  for (const [path, item] of Object.entries(nodeOf(document.paths))) {
    const pathItem = nodeOf(item)
    for (const method of methods) {
      if (pathItem[method] === undefined) continue
      const operation = readOperation(document, path, pathItem, method)
      if (seen.has(operation.id)) throw new Error(`operationId "${operation.id}" occurs twice.`)
      seen.add(operation.id)
      operations.push(operation)
    }
  }
  return operations
}

function readOperation(
  document: Node,
  path: string,
  pathItem: Node,
  method: (typeof methods)[number],
): Operation {
  const node = nodeOf(pathItem[method])
  const body = node.requestBody === undefined ? undefined : follow(document, node.requestBody)
  return {
    id: textOf(node.operationId),
    method: method.toUpperCase() as Method,
    path,
    basePaths: basePathsOf(node.servers ?? pathItem.servers ?? document.servers),
    tag: String((node.tags as unknown[] | undefined)?.[0] ?? ''),
    summary: textOf(node.summary),
    description: textOf(node.description),
    deprecated: node.deprecated === true,
    parameters: readParameters(document, [
      ...listOf(pathItem.parameters),
      ...listOf(node.parameters),
    ]),
    requestBody: body && {
      required: body.required === true,
      description: textOf(body.description),
      contents: readContents(document, body),
    },
    responses: Object.entries(nodeOf(node.responses)).map(([status, value]) =>
      readResponse(document, status, value),
    ),
    security: (node.security ?? document.security ?? []) as Operation['security'],
    extensions: extensionsOf(node),
  }
}

/** Those of the operation replace those of the path that have the same name and place. */
function readParameters(document: Node, nodes: readonly unknown[]): Parameter[] {
  const parameters = new Map<string, Parameter>()
  for (const node of nodes) {
    const parameter = follow(document, node)
    const place = textOf(parameter.in)
    if (!parameterPlaces.includes(place)) throw new Error(`Parameters in ${place} are not served.`)
    const name = textOf(parameter.name)
    parameters.set(`${place} ${name}`, {
      name,
      in: place as ParameterPlace,
      required: parameter.required === true,
      explode: parameter.explode !== false,
      description: textOf(parameter.description),
      schema: (parameter.schema ?? true) as Schema,
      example: parameter.example,
    })
  }
  return [...parameters.values()]
}

function readResponse(document: Node, status: string, value: unknown): Response {
  const response = follow(document, value)
  return {
    status: status === 'default' ? status : Number(status),
    description: textOf(response.description),
    headers: Object.fromEntries(
      Object.entries(nodeOf(response.headers)).map(([name, headerNode]) => {
        const header = follow(document, headerNode)
        return [
          name,
          {
            description: textOf(header.description),
            required: header.required === true,
            schema: header.schema as Schema | undefined,
          },
        ]
      }),
    ),
    contents: readContents(document, response),
  }
}

function readContents(document: Node, holder: Node): Content[] {
  return Object.entries(nodeOf(holder.content)).map(([mediaType, value]) => {
    const content = nodeOf(value)
    const examples: Record<string, unknown> = {}
    if (content.example !== undefined) examples.example = content.example
    for (const [name, example] of Object.entries(nodeOf(content.examples))) {
      examples[name] = follow(document, example).value
    }
    return { mediaType, schema: content.schema as Schema | undefined, examples }
  })
}

/** `https://host/okm/v1` → `/okm/v1`; `{publicUrl}` and a bare origin → ``. */
function basePathsOf(servers: unknown): string[] {
  const paths = listOf(servers).map((server) =>
    textOf(server.url)
      .replace(/^(https?:\/\/[^/]*|\{[^}]*\})/, '')
      .replace(/\/$/, ''),
  )
  return paths.length === 0 ? [''] : paths
}

function follow(document: Node, value: unknown): Node {
  let node = nodeOf(value)
  for (let hops = 0; typeof node.$ref === 'string'; hops++) {
    const ref: string = node.$ref
    if (!ref.startsWith('#/') || hops > 5) throw new Error(`Cannot follow the reference ${ref}.`)
    let target: unknown = document
    for (const step of ref.slice(2).split('/')) target = nodeOf(target)[step]
    if (target === undefined) throw new Error(`The reference ${ref} leads nowhere.`)
    node = nodeOf(target)
  }
  return node
}

function nodeOf(value: unknown): Node {
  return typeof value === 'object' && value !== null ? (value as Node) : {}
}

function listOf(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value : []
}

function textOf(value: unknown): string {
  return value === undefined || value === null ? '' : String(value)
}

function extensionsOf(node: Node): Record<string, unknown> {
  return Object.fromEntries(Object.entries(node).filter(([key]) => key.startsWith('x-')))
}
