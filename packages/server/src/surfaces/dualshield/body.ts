import type { Operation } from '#http/contract.ts'
import { areUnique } from '#http/json-value.ts'
import { invalid } from './refusals.ts'

type Members = Readonly<Record<string, unknown>>

/** Members that refer to an object, and what kind of object. */
type References = Readonly<Record<string, Kind>>
type Kind = 'token' | 'user' | 'product' | 'repository' | 'domain'

interface BodyShape {
  /** References beside `attrs`. */
  readonly references: References
  /** References inside `attrs`. */
  readonly attrs: References
}

/** References inside a reference. */
const innerReferences: Readonly<Record<Kind, References>> = {
  token: { product: 'product' },
  user: { domain: 'domain' },
  product: {},
  repository: {},
  domain: {},
}

/** Of these the contract knows the dotted spelling only. */
const dottedReferences: Readonly<Record<string, readonly string[]>> = {
  repository: ['parent'],
  domainCreate: ['identitySource'],
}

const aliases: Readonly<Record<string, string>> = {
  Identifier: 'identifier',
  Status: 'status',
  loginNam: 'loginName',
}

const token = { token: 'token' } as const
const holder = { token: 'token', user: 'user' } as const
const none = {} as const

const shapes: Readonly<Record<string, BodyShape>> = {
  tokenCreate: {
    references: none,
    attrs: { product: 'product', user: 'user', repository: 'repository' },
  },
  tokenDelete: { references: holder, attrs: none },
  tokenReset: { references: token, attrs: none },
  tokenConfine: { references: token, attrs: none },
  tokenRelease: { references: token, attrs: none },
  tokenImport: { references: none, attrs: { product: 'product', repository: 'repository' } },
  tokenGetDownloadUrl: { references: holder, attrs: none },
  tokenRetrieveCredential: { references: holder, attrs: none },
  tokenSyncToken: { references: holder, attrs: none },
  tokenBatchAssignTokens: { references: none, attrs: none },
  tokenSet: { references: token, attrs: { repository: 'repository' } },
  tokenAssignmentCreate: { references: none, attrs: holder },
  tokenAssignmentSet: { references: holder, attrs: none },
  tokenAssignmentGetTokenQRCode: { references: holder, attrs: none },
  domainCreate: { references: none, attrs: { repository: 'repository' } },
  userCreate: { references: none, attrs: { domain: 'domain' } },
  userSet: { references: { user: 'user' }, attrs: none },
  productCreate: { references: none, attrs: none },
  repositoryCreate: { references: none, attrs: { parent: 'repository', domain: 'domain' } },
  authVerify: { references: holder, attrs: none },
  authLogon: { references: holder, attrs: none },
  authListTokens: { references: { user: 'user' }, attrs: none },
}

/**
 * Brings a request into the one form that handlers read, before it is held against the contract: the objects of an
 * `attrs` array merged into one, dotted references nested, aliases under their names. What cannot be brought into that
 * form is left for the contract to refuse.
 *
 * @throws DomainError `invalid_request` (1004) where two spellings disagree.
 */
export function prepareBody(body: unknown, operation: Operation): unknown {
  const shape = Object.hasOwn(shapes, operation.id) ? shapes[operation.id] : undefined
  if (shape === undefined || !isMembers(body)) return body
  // An ill-built unassign must not destroy a token: only attributes name the user there.
  const isIllBuilt = operation.id === 'tokenDelete' && Object.hasOwn(body, 'user')
  if (isIllBuilt && !isMembers(body.user)) return body
  const prepared = nest(body, shape.references, '')
  if (!Object.hasOwn(prepared, 'attrs')) return prepared
  const attrs = mergeAttrs(prepared.attrs)
  if (!isMembers(attrs)) return prepared
  const nested = nest(withoutAliases(attrs, 'attrs.'), shape.attrs, 'attrs.')
  return { ...prepared, attrs: flatten(nested, dottedReferences[operation.id] ?? [], 'attrs.') }
}

/** An array describes one object: its members are merged left to right. */
function mergeAttrs(attrs: unknown): unknown {
  if (!Array.isArray(attrs) || attrs.length === 0 || !attrs.every(isMembers)) return attrs
  const merged = new Map<string, unknown>()
  for (const part of attrs as readonly Members[]) {
    for (const [name, value] of Object.entries(part)) put(merged, name, value, `attrs.${name}`)
  }
  return Object.fromEntries(merged)
}

function withoutAliases(members: Members, place: string): Members {
  const renamed = new Map<string, unknown>()
  for (const [name, value] of Object.entries(members)) {
    const real = Object.hasOwn(aliases, name) ? aliases[name] : undefined
    put(renamed, real ?? name, value, `${place}${name}`)
  }
  return Object.fromEntries(renamed)
}

/** Dotted members of references go inside them: `{"user.id": "x"}` becomes `{"user": {"id": "x"}}`. */
function nest(members: Members, references: References, place: string): Members {
  const nested = new Map<string, unknown>()
  const parts = new Map<string, Map<string, unknown>>()
  for (const [name, value] of Object.entries(members)) {
    const dot = name.indexOf('.')
    const head = dot === -1 ? name : name.slice(0, dot)
    if (!Object.hasOwn(references, head)) {
      nested.set(name, value)
      continue
    }
    const given = dot === -1 ? asMembers(value) : { [name.slice(dot + 1)]: value }
    if (given === undefined) {
      // Neither an id nor attributes: the contract refuses it, whatever else is said of this reference.
      nested.set(head, value)
      continue
    }
    const part = parts.get(head) ?? new Map<string, unknown>()
    parts.set(head, part)
    for (const [inner, innerValue] of Object.entries(withoutAliases(given, `${place}${head}.`))) {
      put(part, inner, innerValue, `${place}${head}.${inner}`)
    }
  }
  for (const [head, part] of parts) {
    const kind = references[head]
    if (kind === undefined || nested.has(head)) continue
    const inside = `${place}${head}.`
    const reference = nest(Object.fromEntries(part), innerReferences[kind], inside)
    nested.set(head, flatten(reference, dottedReferences[kind] ?? [], inside))
  }
  return Object.fromEntries(nested)
}

/** The other way round, for references that the contract spells with dots. */
function flatten(members: Members, heads: readonly string[], place: string): Members {
  if (heads.length === 0) return members
  const flat = new Map<string, unknown>()
  for (const [name, value] of Object.entries(members)) {
    const given = heads.includes(name) ? asMembers(value) : undefined
    if (given === undefined) put(flat, name, value, `${place}${name}`)
    else {
      for (const [inner, innerValue] of Object.entries(given)) {
        put(flat, `${name}.${inner}`, innerValue, `${place}${name}.${inner}`)
      }
    }
  }
  return Object.fromEntries(flat)
}

/** The attributes of a reference; a bare id is the attribute `id`. */
function asMembers(reference: unknown): Members | undefined {
  if (typeof reference === 'string' || typeof reference === 'number') return { id: reference }
  return isMembers(reference) ? reference : undefined
}

/** @throws DomainError `invalid_request` when the name has another value already. */
function put(members: Map<string, unknown>, name: string, value: unknown, path: string): void {
  if (members.has(name) && areUnique([asText(members.get(name)), asText(value)])) {
    throw invalid(path)
  }
  members.set(name, value)
}

/** Ids are compared as text. */
function asText(value: unknown): unknown {
  return typeof value === 'number' ? String(value) : value
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Attributes in the one form that `prepareBody` left of the two that the contract allows. */
export function single<T>(attrs: T | readonly unknown[]): T {
  if (Array.isArray(attrs)) throw new Error('The attributes were not prepared.')
  return attrs as T
}
