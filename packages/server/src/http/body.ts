import { isUtf8 } from 'node:buffer'
import type { Fault } from '#domain/errors.ts'
import type { Content, RequestBody } from './contract.ts'
import { RequestRefused } from './failure.ts'
import { parseJson } from './json-body.ts'
import { isJson, mediaTypeOf } from './media-type.ts'
import { parsePairs } from './pairs.ts'
import { coercionOf } from './parameters.ts'
import { type Definitions, resolveSchema, type Schema, toDefinition } from './schema.ts'
import type { SchemaCompiler, Validator } from './validator.ts'

/** What came of a body: its value, and what does not fit the contract. */
export interface ReadBody {
  readonly value: unknown
  readonly faults: readonly Fault[] | undefined
}

type Parser = (bytes: Buffer) => unknown

/** What a body without `Content-Type` may be taken for (RFC 9110 section 8.3), where the contract takes it. */
const unnamedMediaType = 'application/octet-stream'

interface MediaTypeReader {
  readonly parse: Parser
  readonly validate: Validator | undefined
}

export interface BodyHeaders {
  readonly 'content-type'?: string | undefined
  readonly 'content-length'?: string | undefined
  readonly 'transfer-encoding'?: string | undefined
}

/** Reads the body of one operation in one of the media types that the contract names. */
export class BodyReader {
  readonly #required: boolean
  readonly #supported: readonly string[]
  readonly #readers: ReadonlyMap<string, MediaTypeReader>

  constructor(
    { required, contents }: RequestBody,
    definitions: Definitions,
    compiler: SchemaCompiler,
  ) {
    this.#required = required
    this.#supported = contents.map(({ mediaType }) => mediaType)
    this.#readers = new Map(
      contents.map((content) => [content.mediaType, readerOf(content, definitions, compiler)]),
    )
  }

  /**
   * Looks at the headers before a byte of the body is read.
   *
   * @throws RequestRefused `payload_too_large`, `unsupported_media_type`.
   */
  admit(headers: BodyHeaders, bytesMax: number): void {
    if (Number(headers['content-length'] ?? 0) > bytesMax) {
      throw new RequestRefused({ kind: 'payload_too_large', bytesMax })
    }
    const contentType = headers['content-type']
    // What is not there needs no type, and clients name one all the same.
    if (!this.#required && !hasBody(headers)) return
    const isRefused = this.#find(contentType) === undefined
    if (isRefused && (contentType !== undefined || hasBody(headers))) {
      throw new RequestRefused({ kind: 'unsupported_media_type', supported: this.#supported })
    }
  }

  /**
   * @param prepare changes the parsed value before it is validated.
   * @throws RequestRefused `malformed_body`.
   */
  read(
    bytes: Buffer | undefined,
    contentType: string | undefined,
    prepare: ((value: unknown) => unknown) | undefined,
  ): ReadBody {
    const reader = this.#find(contentType)
    if (bytes === undefined || bytes.length === 0 || reader === undefined) {
      if (!this.#required) return { value: undefined, faults: undefined }
      throw new RequestRefused({ kind: 'malformed_body', reason: 'empty' })
    }
    const parsed = reader.parse(bytes)
    const value = prepare === undefined ? parsed : prepare(parsed)
    return { value, faults: reader.validate?.(value) }
  }

  #find(contentType = unnamedMediaType): MediaTypeReader | undefined {
    // The spelling that nearly everybody sends needs no parsing.
    return this.#readers.get(contentType) ?? this.#readers.get(mediaTypeOf(contentType) ?? '')
  }
}

function hasBody(headers: BodyHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function readerOf(
  { mediaType, schema }: Content,
  definitions: Definitions,
  compiler: SchemaCompiler,
): MediaTypeReader {
  const validate = schema === undefined ? undefined : compiler.compile(toDefinition(schema))
  if (isJson(mediaType)) return { parse: parseJson, validate }
  if (mediaType === 'application/x-www-form-urlencoded') {
    return { parse: formParser(schema ?? true, definitions), validate }
  }
  if (mediaType.startsWith('text/')) return { parse: parseText, validate }
  return { parse: (bytes) => bytes, validate: undefined }
}

function parseText(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new RequestRefused({ kind: 'malformed_body', reason: 'not_utf8' })
  return bytes.toString('utf8')
}

/** A form becomes an object; a name given twice is refused, values take the types that the schema gives them. */
function formParser(schema: Schema, definitions: Definitions): Parser {
  const coercions = new Map<string, (text: string) => unknown>()
  collectCoercions(schema, definitions, coercions)
  return (bytes) => {
    const pairs = parsePairs(parseText(bytes))
    if (typeof pairs === 'string')
      throw new RequestRefused({ kind: 'malformed_body', reason: pairs })
    const members: Record<string, unknown> = {}
    for (const [name, [text = '', ...more]] of pairs.values) {
      if (more.length > 0) {
        throw new RequestRefused({ kind: 'malformed_body', reason: 'duplicate_member' })
      }
      if (name === '__proto__') {
        throw new RequestRefused({ kind: 'malformed_body', reason: 'forbidden_member' })
      }
      if (name.includes('\0') || text.includes('\0')) {
        throw new RequestRefused({ kind: 'malformed_body', reason: 'forbidden_character' })
      }
      members[name] = coercions.get(name)?.(text) ?? text
    }
    return members
  }
}

function collectCoercions(
  schema: Schema,
  definitions: Definitions,
  coercions: Map<string, (text: string) => unknown>,
): void {
  const resolved = resolveSchema(schema, definitions)
  if (typeof resolved === 'boolean') return
  for (const [name, member] of Object.entries(resolved.properties ?? {})) {
    coercions.set(name, coercionOf(member, definitions))
  }
  for (const inner of resolved.allOf ?? []) collectCoercions(inner, definitions, coercions)
}
