import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Fault } from '#domain/errors.ts'
import { explainFaults } from './faults.ts'
import { areUnique } from './json-value.ts'
import { type Definitions, definitionName, type Schema } from './schema.ts'

/** Undefined for a value that fits, else what is wrong with it. */
export type Validator = (value: unknown) => readonly Fault[] | undefined

/**
 * Compiles the schemas of one contract. The components are compiled once and shared by reference; a good value costs
 * one call of compiled code, and only a bad one is looked at member by member.
 */
export class SchemaCompiler {
  readonly #ajv: Ajv2020
  readonly #definitions: Definitions
  readonly #compiled = new Map<string, ValidateFunction>()

  /** @throws for a format or a keyword that nobody knows. */
  constructor(definitions: Definitions) {
    this.#definitions = definitions
    this.#ajv = new Ajv2020({
      // A misspelt keyword must not silently allow everything.
      strictSchema: true,
      strictTypes: false,
      strictTuples: false,
      strictRequired: false,
      inlineRefs: false,
      allErrors: false,
      messages: false,
      validateSchema: false,
      addUsedSchema: false,
    })
    addFormats.default(this.#ajv)
    for (const width of ['int32', 'int64']) this.#ajv.addFormat(width, true)
    // The one that comes along compares every pair.
    this.#ajv.removeKeyword('uniqueItems')
    this.#ajv.addKeyword({
      keyword: 'uniqueItems',
      type: 'array',
      schemaType: 'boolean',
      validate: (wanted: boolean, items: readonly unknown[]) => !wanted || areUnique(items),
    })
    for (const [name, definition] of Object.entries(definitions)) {
      this.#ajv.addSchema(addressed(definition) as never, addressOf(name))
    }
  }

  /** @param schema with references to the definitions, as `toDefinition` makes it. */
  compile(schema: Schema): Validator {
    const check = this.#compile(schema)
    const formats = this.#ajv.formats
    return (value) => {
      if (check(value)) return undefined
      return explainFaults(schema, value, { definitions: this.#definitions, formats })
    }
  }

  /** Only yes or no. */
  compileTest(schema: Schema): (value: unknown) => boolean {
    const check = this.#compile(schema)
    return (value) => check(value)
  }

  #compile(schema: Schema): ValidateFunction {
    // Many operations share a path, a page or a body.
    const key = JSON.stringify(schema)
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const compiled = this.#ajv.compile(addressed(schema) as never)
    this.#compiled.set(key, compiled)
    return compiled
  }
}

function addressOf(name: string): string {
  return `contract:/${name}`
}

/** The same schema with references that lead to the registered definitions, so that each is compiled once. */
function addressed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(addressed)
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string'
        ? addressOf(definitionName(value))
        : addressed(value),
    ]),
  )
}
