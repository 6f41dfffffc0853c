import { type Definitions, definitionName, jsonTypeOf, type Schema } from './schema.ts'

/** Gives the value without what its schema does not declare. A value that needs no change is given back as it is. */
export type Pruner = (value: unknown) => unknown

/**
 * Makes functions that leave only declared members in replies, whatever an endpoint returns by mistake. An object schema
 * that declares nothing, and one with `additionalProperties` (other than false), is open. Of alternatives those count
 * whose tags (`const`, `enum`), required members and types fit the value.
 */
export class PrunerCompiler {
  readonly #definitions: Definitions
  readonly #shapes = new Map<string, Shape>()

  constructor(definitions: Definitions) {
    this.#definitions = definitions
  }

  compile(schema: Schema): Pruner {
    const shape = this.#shapeOf(schema)
    return (value) => prune([shape], value)
  }

  #shapeOf(schema: Schema): Shape {
    if (typeof schema === 'boolean') return anyShape
    if (schema.$ref !== undefined && Object.keys(schema).length === 1)
      return this.#named(schema.$ref)

    const parts: Shape[] = []
    if (schema.$ref !== undefined) parts.push(this.#named(schema.$ref))
    for (const inner of schema.allOf ?? []) parts.push(this.#shapeOf(inner))
    const conditional = [schema.then, schema.else]
      .filter((branch) => branch !== undefined)
      .map((branch) => this.#shapeOf(branch))
    const shape: Shape = {
      types: new Set([schema.type ?? []].flat()),
      constants: schema.const === undefined ? schema.enum : [schema.const],
      required: schema.required ?? [],
      members: new Map(),
      patterns: [],
      rest: undefined,
      items: schema.items === undefined ? undefined : this.#shapeOf(schema.items),
      prefixItems: (schema.prefixItems ?? []).map((item) => this.#shapeOf(item)),
      parts,
      conditional,
      choices: [schema.oneOf, schema.anyOf]
        .filter((branches) => branches !== undefined)
        .map((branches) => branches.map((branch) => this.#shapeOf(branch))),
      declares: false,
    }
    for (const [name, member] of Object.entries(schema.properties ?? {})) {
      shape.members.set(name, this.#shapeOf(member))
    }
    for (const [pattern, member] of Object.entries(schema.patternProperties ?? {})) {
      shape.patterns.push([new RegExp(pattern, 'u'), this.#shapeOf(member)])
    }
    const { additionalProperties: additional } = schema
    if (additional !== undefined && additional !== false) shape.rest = this.#shapeOf(additional)
    shape.declares =
      additional === false ||
      schema.unevaluatedProperties === false ||
      shape.members.size > 0 ||
      shape.patterns.length > 0 ||
      shape.rest !== undefined
    return shape
  }

  /** Definitions may refer to themselves: the shape is known before it is filled. */
  #named(ref: string): Shape {
    const name = definitionName(ref)
    const known = this.#shapes.get(name)
    if (known !== undefined) return known
    const shape = { ...anyShape }
    this.#shapes.set(name, shape)
    Object.assign(shape, this.#shapeOf(this.#definitions[name] ?? true))
    return shape
  }
}

interface Shape {
  types: ReadonlySet<string>
  constants: readonly unknown[] | undefined
  required: readonly string[]
  members: Map<string, Shape>
  patterns: (readonly [RegExp, Shape])[]
  /** Of members that are not named; undefined: there are none. */
  rest: Shape | undefined
  items: Shape | undefined
  prefixItems: readonly Shape[]
  /** All of these hold too. */
  parts: readonly Shape[]
  /** These may hold. */
  conditional: readonly Shape[]
  /** Of each list, one or some hold. */
  choices: readonly (readonly Shape[])[]
  /** Whether this shape itself says which members an object has. */
  declares: boolean
}

const anyShape: Shape = {
  types: new Set(),
  constants: undefined,
  required: [],
  members: new Map(),
  patterns: [],
  rest: undefined,
  items: undefined,
  prefixItems: [],
  parts: [],
  conditional: [],
  choices: [],
  declares: false,
}

/** @param shapes all of which describe the value. */
function prune(shapes: readonly Shape[], value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const applying = spread(shapes, value)
  if (Array.isArray(value)) return pruneArray(applying, value)
  return pruneObject(applying, value as Readonly<Record<string, unknown>>)
}

function pruneArray(shapes: readonly Shape[], value: readonly unknown[]): unknown {
  // Half a million numbers need not be looked at one by one.
  if (shapes.every(isArrayOfLeaves)) return value
  let copy: unknown[] | undefined
  for (let index = 0; index < value.length; index++) {
    const inner: Shape[] = []
    for (const { items, prefixItems } of shapes) {
      const shape = prefixItems[index] ?? items
      if (shape !== undefined) inner.push(shape)
    }
    const item = inner.length === 0 ? value[index] : prune(inner, value[index])
    if (item === value[index] && copy === undefined) continue
    copy ??= value.slice(0, index)
    copy.push(item)
  }
  return copy ?? value
}

function pruneObject(
  shapes: readonly Shape[],
  value: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const declaring = shapes.every(declares) ? shapes : shapes.filter(declares)
  if (declaring.length === 0) return value
  const names = Object.keys(value)
  let copy: Record<string, unknown> | undefined
  for (let index = 0; index < names.length; index++) {
    const name = names[index] ?? ''
    const member = value[name]
    const isKept = declaring.some((shape) => declaresMember(shape, name))
    const kept =
      isKept && typeof member === 'object' ? prune(memberShapes(declaring, name), member) : member
    if (isKept && kept === member && copy === undefined) continue
    copy ??= Object.fromEntries(names.slice(0, index).map((earlier) => [earlier, value[earlier]]))
    if (isKept) copy[name] = kept
  }
  return copy ?? value
}

function declares(shape: Shape): boolean {
  return shape.declares
}

function declaresMember({ members, patterns, rest }: Shape, name: string): boolean {
  return members.has(name) || rest !== undefined || patterns.some(([pattern]) => pattern.test(name))
}

/** What is said of one member. Being named counts for more than being one of the rest. */
function memberShapes(shapes: readonly Shape[], name: string): readonly Shape[] {
  const found: Shape[] = []
  for (const { members, patterns } of shapes) {
    const member = members.get(name)
    if (member !== undefined) found.push(member)
    for (const [pattern, shape] of patterns) if (pattern.test(name)) found.push(shape)
  }
  if (found.length > 0) return found
  for (const { rest } of shapes) if (rest !== undefined) found.push(rest)
  return found
}

/** A shape, its parts, and of its choices those that fit. */
function spread(shapes: readonly Shape[], value: object): readonly Shape[] {
  if (shapes.every(isPlain)) return shapes
  const all: Shape[] = []
  const pending = [...shapes]
  for (let shape = pending.pop(); shape !== undefined; shape = pending.pop()) {
    if (all.includes(shape)) continue
    all.push(shape)
    pending.push(...shape.parts, ...shape.conditional)
    for (const branches of shape.choices) {
      const fitting = branches.filter((branch) => fits(branch, value))
      pending.push(...(fitting.length > 0 ? fitting : branches))
    }
  }
  return all
}

function isArrayOfLeaves({ items, prefixItems }: Shape): boolean {
  return prefixItems.length === 0 && (items === undefined || isLeaf(items))
}

/** A shape that takes nothing away from any value. */
function isLeaf(shape: Shape): boolean {
  const { declares, items, prefixItems } = shape
  return !declares && items === undefined && prefixItems.length === 0 && isPlain(shape)
}

function isPlain({ parts, conditional, choices }: Shape): boolean {
  return parts.length === 0 && conditional.length === 0 && choices.length === 0
}

/** Whether an alternative can be meant: looks at types, tags and required members only, at this level and the next. */
function fits(shape: Shape, value: unknown): boolean {
  if (shape.types.size > 0) {
    const type = jsonTypeOf(value)
    if (!shape.types.has(type) && !(type === 'integer' && shape.types.has('number'))) return false
  }
  if (shape.constants !== undefined && typeof value !== 'object') {
    if (!shape.constants.includes(value)) return false
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const members = value as Readonly<Record<string, unknown>>
    if (!shape.required.every((name) => members[name] !== undefined)) return false
    for (const [name, member] of shape.members) {
      if (members[name] !== undefined && !tagFits(member, members[name])) return false
    }
  }
  return (
    shape.parts.every((part) => fits(part, value)) &&
    shape.choices.every((branches) => branches.some((branch) => fits(branch, value)))
  )
}

function tagFits(shape: Shape, value: unknown): boolean {
  if (shape.constants !== undefined && typeof value !== 'object') {
    if (!shape.constants.includes(value)) return false
  }
  return shape.parts.every((part) => tagFits(part, value))
}
