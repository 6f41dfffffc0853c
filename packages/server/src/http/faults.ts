import type { Fault } from '#domain/errors.ts'
import { codePointCount, formatWords, isOutside, range, typeWords } from './fault-words.ts'
import { areUnique } from './json-value.ts'
import {
  type Definitions,
  definitionName,
  jsonTypeOf,
  type Schema,
  type SchemaObject,
  typesOf,
} from './schema.ts'

/** Most faults that one answer lists. */
export const faultsListedMax = 100
/** Most schemas looked at for one bad value, so that a hostile body cannot buy more work than a good one. */
const stepsMax = 20_000
const namesListedMax = 20
const pointerLengthMax = 200

export interface ExplainOptions {
  readonly definitions: Definitions
  /** Tests of formats by name, as Ajv keeps them. */
  readonly formats: Readonly<Record<string, unknown>>
}

/**
 * Says what is wrong with a value that a compiled validator refused, member by member, in plain English. Of several
 * alternatives it explains the one that the value comes closest to. Nothing of the value itself appears in a message:
 * it may be a secret.
 *
 * @returns at least one fault, at most {@link faultsListedMax}.
 */
export function explainFaults(schema: Schema, value: unknown, options: ExplainOptions): Fault[] {
  const explainer = new Explainer(options)
  explainer.visit(schema, value, '')
  const faults = explainer.faults.slice(0, faultsListedMax)
  return faults.length > 0 ? faults : [fault('', 'bad_format', 'does not fit the contract')]
}

function fault(pointer: string, code: string, message: string): Fault {
  return { pointer: pointer.slice(0, pointerLengthMax), code, message }
}

class Explainer {
  readonly faults: Fault[] = []
  /** Constants that the value does not have: they tell alternatives apart. */
  tagMissCount = 0
  readonly #options: ExplainOptions
  #steps: number

  constructor(options: ExplainOptions, steps = stepsMax) {
    this.#options = options
    this.#steps = steps
  }

  visit(schema: Schema, value: unknown, pointer: string): void {
    if (this.#steps-- <= 0 || this.faults.length >= faultsListedMax) return
    if (typeof schema === 'boolean') {
      if (!schema) this.#add(pointer, 'unknown_member', 'is not allowed here')
      return
    }
    if (schema.$ref !== undefined) {
      const target = this.#options.definitions[definitionName(schema.$ref)]
      if (target !== undefined) this.visit(target, value, pointer)
    }
    if (!this.#visitType(schema, value, pointer)) return
    this.#visitChoice(schema, value, pointer)
    if (typeof value === 'string') this.#visitString(schema, value, pointer)
    else if (typeof value === 'number') this.#visitNumber(schema, value, pointer)
    else if (Array.isArray(value)) this.#visitArray(schema, value, pointer)
    else if (typeof value === 'object' && value !== null) {
      this.#visitObject(schema, value as Record<string, unknown>, pointer)
    }
    this.#visitCombinations(schema, value, pointer)
  }

  #add(pointer: string, code: string, message: string): void {
    this.faults.push(fault(pointer, code, message))
  }

  #visitType({ type }: SchemaObject, value: unknown, pointer: string): boolean {
    if (type === undefined) return true
    const wanted = [type].flat()
    const actual = jsonTypeOf(value)
    if (wanted.includes(actual) || (actual === 'integer' && wanted.includes('number'))) return true
    this.#add(pointer, 'wrong_type', `must be ${typeWords(wanted)}`)
    return false
  }

  #visitChoice(schema: SchemaObject, value: unknown, pointer: string): void {
    const allowed = schema.const === undefined ? schema.enum : [schema.const]
    if (allowed === undefined || allowed.some((one) => !areUnique([one, value]))) return
    const shown = allowed.slice(0, namesListedMax).map(String).join(', ')
    if (schema.const !== undefined) this.tagMissCount++
    const words = allowed.length === 1 ? `must be ${shown}` : `must be one of ${shown}`
    this.#add(pointer, 'out_of_range', allowed.length > namesListedMax ? `${words}, …` : words)
  }

  #visitString(schema: SchemaObject, value: string, pointer: string): void {
    const { minLength, maxLength, pattern, format } = schema
    if (isOutside(codePointCount(value), minLength, maxLength)) {
      this.#add(pointer, 'out_of_range', `must have ${range(minLength, maxLength)} characters`)
    } else if (pattern !== undefined && !patternOf(pattern).test(value)) {
      this.#add(pointer, 'bad_format', 'does not have the right form')
    } else if (format !== undefined && !this.#hasFormat(format, value)) {
      this.#add(pointer, 'bad_format', `must be ${formatWords[format] ?? `a valid ${format}`}`)
    }
  }

  #hasFormat(name: string, value: string): boolean {
    let test = this.#options.formats[name]
    if (typeof test === 'object' && test !== null && 'validate' in test) test = test.validate
    if (test instanceof RegExp) return test.test(value)
    return typeof test === 'function' ? test(value) === true : true
  }

  #visitNumber(schema: SchemaObject, value: number, pointer: string): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
    if (isOutside(value, minimum, maximum)) {
      this.#add(pointer, 'out_of_range', `must be ${range(minimum, maximum)}`)
    }
    if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) {
      this.#add(pointer, 'out_of_range', `must be more than ${exclusiveMinimum}`)
    }
    if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) {
      this.#add(pointer, 'out_of_range', `must be less than ${exclusiveMaximum}`)
    }
    if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
      this.#add(pointer, 'out_of_range', `must be a multiple of ${multipleOf}`)
    }
  }

  #visitArray(schema: SchemaObject, value: readonly unknown[], pointer: string): void {
    const { minItems, maxItems, uniqueItems, prefixItems = [], items } = schema
    if (isOutside(value.length, minItems, maxItems)) {
      this.#add(pointer, 'out_of_range', `must have ${range(minItems, maxItems)} entries`)
      if (maxItems !== undefined && value.length > maxItems) return
    }
    if (uniqueItems === true && !areUnique(value)) {
      this.#add(pointer, 'not_unique', 'must not have an entry twice')
    }
    for (const [index, item] of value.entries()) {
      if (this.#steps <= 0 || this.faults.length >= faultsListedMax) return
      const inner = prefixItems[index] ?? items
      if (inner !== undefined) this.visit(inner, item, `${pointer}/${index}`)
    }
  }

  #visitObject(schema: SchemaObject, value: Record<string, unknown>, pointer: string): void {
    const names = Object.keys(value)
    for (const name of schema.required ?? []) {
      if (!Object.hasOwn(value, name)) this.#add(child(pointer, name), 'required', 'is required')
    }
    if (isOutside(names.length, schema.minProperties, schema.maxProperties)) {
      const words = range(schema.minProperties, schema.maxProperties)
      this.#add(pointer, 'out_of_range', `must have ${words} members`)
    }
    for (const [name, others] of Object.entries(schema.dependentRequired ?? {})) {
      if (!Object.hasOwn(value, name)) continue
      for (const other of others) {
        if (!Object.hasOwn(value, other)) {
          this.#add(child(pointer, other), 'required', `is required with ${name}`)
        }
      }
    }
    for (const name of names) this.#visitMember(schema, name, value[name], child(pointer, name))
  }

  #visitMember(schema: SchemaObject, name: string, value: unknown, pointer: string): void {
    const { properties = {}, patternProperties = {}, additionalProperties, propertyNames } = schema
    if (this.#steps <= 0 || this.faults.length >= faultsListedMax) return
    if (propertyNames !== undefined && !this.#fits(propertyNames, name)) {
      this.#add(pointer, 'bad_format', 'has a name that is not allowed')
    }
    const known = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (known !== undefined) this.visit(known, value, pointer)
    let isKnown = known !== undefined
    for (const [pattern, inner] of Object.entries(patternProperties)) {
      if (!patternOf(pattern).test(name)) continue
      isKnown = true
      this.visit(inner, value, pointer)
    }
    if (isKnown || additionalProperties === undefined) return
    if (additionalProperties === false) this.#add(pointer, 'unknown_member', 'is not known here')
    else this.visit(additionalProperties, value, pointer)
  }

  #visitCombinations(schema: SchemaObject, value: unknown, pointer: string): void {
    for (const inner of schema.allOf ?? []) this.visit(inner, value, pointer)
    if (schema.anyOf !== undefined) this.#visitAlternatives(schema.anyOf, value, pointer, false)
    if (schema.oneOf !== undefined) this.#visitAlternatives(schema.oneOf, value, pointer, true)
    if (schema.not !== undefined && this.#fits(schema.not, value)) {
      this.#addForbidden(schema.not, pointer)
    }
    if (schema.if !== undefined) {
      const branch = this.#fits(schema.if, value) ? schema.then : schema.else
      if (branch !== undefined) this.visit(branch, value, pointer)
    }
  }

  #addForbidden(schema: Schema, pointer: string): void {
    const names = typeof schema === 'object' ? (schema.required ?? []) : []
    const [only] = names
    if (names.length > 1) {
      this.#add(pointer, 'mutually_exclusive', `${names.join(' and ')} exclude each other`)
    } else if (only !== undefined) {
      this.#add(child(pointer, only), 'unknown_member', 'is not allowed here')
    } else {
      this.#add(pointer, 'out_of_range', 'has a value that is not allowed')
    }
  }

  #visitAlternatives(
    branches: readonly Schema[],
    value: unknown,
    pointer: string,
    exactlyOne: boolean,
  ): void {
    const attempts = branches.map((branch) => this.#attempt(branch, value, pointer))
    const fitting = attempts.filter(({ faults }) => faults.length === 0).length
    if (fitting === 1 || (fitting > 1 && !exactlyOne)) return
    const names = alternativeNames(branches)
    if (fitting > 1) {
      const message = names ? `${names.join(', ')} exclude each other` : 'fits several alternatives'
      this.#add(pointer, 'mutually_exclusive', message)
      return
    }
    if (names !== undefined) {
      this.#add(pointer, 'required', `one of ${names.join(', ')} is required`)
      return
    }
    const closest = attempts.reduce((best, next) =>
      next.distanceAt(pointer) < best.distanceAt(pointer) ? next : best,
    )
    if (closest.isOfOtherType(pointer)) {
      const types = branches.flatMap((branch) => [...typesOf(branch, this.#options.definitions)])
      this.#add(pointer, 'wrong_type', `must be ${typeWords([...new Set(types)])}`)
    } else {
      this.faults.push(...closest.faults)
    }
  }

  isOfOtherType(pointer: string): boolean {
    return this.faults.some((one) => one.pointer === pointer && one.code === 'wrong_type')
  }

  /** How far the value is from this alternative: another type counts most, then another tag, then a foreign member. */
  distanceAt(pointer: string): number {
    const type = this.isOfOtherType(pointer) ? 10_000 : 0
    const weights: Readonly<Record<string, number>> = { unknown_member: 10, required: 5 }
    const members = this.faults.reduce((sum, { code }) => sum + (weights[code] ?? 1), 0)
    return type + this.tagMissCount * 1000 + members
  }

  #attempt(schema: Schema, value: unknown, pointer: string): Explainer {
    const attempt = new Explainer(this.#options, this.#steps)
    attempt.visit(schema, value, pointer)
    this.#steps = attempt.#steps
    return attempt
  }

  #fits(schema: Schema, value: unknown): boolean {
    return this.#attempt(schema, value, '').faults.length === 0
  }
}

/** The members of branches that say nothing but `required`; undefined when one says more. */
function alternativeNames(branches: readonly Schema[]): string[] | undefined {
  const names = new Set<string>()
  for (const branch of branches) {
    if (typeof branch === 'boolean' || Object.keys(branch).join() !== 'required') return undefined
    for (const name of branch.required ?? []) names.add(name)
  }
  return [...names]
}

const patterns = new Map<string, RegExp>()

/** Patterns come from the contracts, so there is an end to them. */
function patternOf(source: string): RegExp {
  let pattern = patterns.get(source)
  if (pattern === undefined) {
    pattern = new RegExp(source, 'u')
    patterns.set(source, pattern)
  }
  return pattern
}

function child(pointer: string, name: string): string {
  return `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
