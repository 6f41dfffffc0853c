import type { Fault } from '#domain/errors.ts'
import type { Parameter } from './contract.ts'
import { type Definitions, resolveSchema, type Schema, toDefinition, typesOf } from './schema.ts'
import type { SchemaCompiler, Validator } from './validator.ts'

export interface ReadParameters {
  readonly values: Record<string, unknown>
  readonly faults: readonly Fault[]
}

/** What `ParameterReader` gets of a name: nothing, one text, or several. */
export type RawValues = (name: string) => readonly string[] | undefined

/** Turns the texts of one place (path, query or header) into values of the contract's types, and checks them. */
export class ParameterReader {
  readonly names: ReadonlySet<string>
  readonly #readers: readonly SingleReader[]
  readonly #validate: Validator
  /** `query:limit` for queries and headers; a path parameter is named alone. */
  readonly #pointerPrefix: string

  constructor(
    place: Parameter['in'],
    parameters: readonly Parameter[],
    definitions: Definitions,
    compiler: SchemaCompiler,
  ) {
    this.names = new Set(parameters.map(({ name }) => name))
    this.#pointerPrefix = place === 'path' ? '' : `${place}:`
    this.#readers = parameters.map((parameter) => singleReader(parameter, definitions))
    this.#validate = compiler.compile({
      type: 'object',
      required: parameters.filter(({ required }) => required).map(({ name }) => name),
      properties: Object.fromEntries(
        parameters.map(({ name, schema }) => [name, toDefinition(schema)]),
      ),
    })
  }

  get isEmpty(): boolean {
    return this.#readers.length === 0
  }

  read(rawValues: RawValues): ReadParameters {
    const values: Record<string, unknown> = {}
    const faults: Fault[] = []
    for (const reader of this.#readers) {
      const texts = rawValues(reader.name)
      if (texts === undefined) {
        if (reader.defaultValue !== undefined) values[reader.name] = reader.defaultValue
        continue
      }
      const [first = ''] = texts
      if (texts.length > 1 && !reader.repeatable) {
        faults.push(this.#fault(reader.name, 'not_unique', 'must not be given twice'))
        continue
      }
      if (texts.some((text) => text.includes('\0'))) {
        faults.push(this.#fault(reader.name, 'bad_format', 'must not hold U+0000'))
        continue
      }
      values[reader.name] = reader.repeatable ? texts.map(reader.coerce) : reader.coerce(first)
    }
    if (faults.length > 0) return { values, faults }
    const found = this.#validate(values)
    return { values, faults: found === undefined ? faults : found.map(this.#rename) }
  }

  #fault(name: string, code: string, message: string): Fault {
    return { pointer: `${this.#pointerPrefix}${name}`, code, message }
  }

  readonly #rename = (fault: Fault): Fault => ({
    ...fault,
    pointer: this.#pointerPrefix + fault.pointer.slice(1),
  })
}

interface SingleReader {
  readonly name: string
  readonly repeatable: boolean
  readonly defaultValue: unknown
  readonly coerce: (text: string) => unknown
}

function singleReader(parameter: Parameter, definitions: Definitions): SingleReader {
  const schema = resolveSchema(parameter.schema, definitions)
  const own = typeof parameter.schema === 'object' ? parameter.schema.default : undefined
  const isArray = typesOf(schema, definitions).has('array')
  const items = typeof schema === 'object' ? (schema.items ?? true) : true
  const coerceItem = coercionOf(isArray ? items : schema, definitions)
  const listed = isArray && !parameter.explode
  return {
    name: parameter.name,
    repeatable: isArray && parameter.explode,
    defaultValue: own ?? (typeof schema === 'object' ? schema.default : undefined),
    coerce: listed ? (text) => text.split(',').map(coerceItem) : coerceItem,
  }
}

const integerText = /^(0|-?[1-9][0-9]{0,15})$/
const numberText = /^-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?$/

/**
 * How the text of a query, path, header or form becomes a value of the schema's type. A text that is not the type's one
 * plain spelling (`05`, `1e2`, ` 5`, `TRUE`) stays a text, which the validator then refuses.
 */
export function coercionOf(schema: Schema, definitions: Definitions): (text: string) => unknown {
  const types = typesOf(schema, definitions)
  return (text) => {
    if (types.has('integer') && integerText.test(text) && Number.isSafeInteger(Number(text))) {
      return Number(text)
    }
    if (types.has('number') && numberText.test(text)) return Number(text)
    if (types.has('boolean') && (text === 'true' || text === 'false')) return text === 'true'
    return text
  }
}
