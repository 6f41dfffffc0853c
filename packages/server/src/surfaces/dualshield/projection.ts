import type { EntityName } from '#domain/directory/directory.ts'
import {
  type DirectoryRow,
  type Projection,
  projectedRelationsMax,
  relationDepthMax,
} from '#domain/directory/directory-query.ts'
import { invalid, unknownAttribute } from './refusals.ts'
import {
  type Attribute,
  attributeOf,
  type WireEntityName,
  type WireRelation,
  wireEntities,
  wireRelationOf,
} from './wire.ts'

/** What a `return` asks for: what to read, and how to show it. */
export interface Return {
  readonly projection: Projection
  readonly show: (row: DirectoryRow) => ShownObject
}

export type ShownObject = { readonly [name: string]: unknown }

/** Most items of one `return`, on all levels together. */
const itemsMax = 500

/** `a.b.c` under its whole name: relations to one object each, then an attribute. */
interface Leaf {
  readonly hops: readonly WireRelation[]
  readonly attribute: Attribute
}

/** What is asked of one object. */
class Node {
  readonly entity: WireEntityName
  readonly leaves = new Map<string, Leaf>()
  readonly relations = new Map<string, { readonly relation: WireRelation; readonly node: Node }>()

  constructor(entity: WireEntityName) {
    this.entity = entity
  }
}

/**
 * Reads a `return` (dualshield.md, section 6).
 *
 * @param wanted validated against the contract's schema `Return`.
 * @throws DomainError `invalid_request` for unknown names (1005), and for relations that are not asked for as such (1004).
 */
export function readReturn(entity: EntityName, wanted: unknown): Return {
  const root = new Node(entity)
  const reader = new ReturnReader()
  reader.readList(root, Array.isArray(wanted) ? wanted : [wanted], 0)
  return { projection: projectionOf(root), show: (row) => show(root, row) }
}

class ReturnReader {
  #itemsLeft = itemsMax
  #relationsLeft = projectedRelationsMax

  /** @param depth relations that lead to the node. */
  readList(node: Node, items: readonly unknown[], depth: number): void {
    for (const item of items) this.#readItem(node, item, depth)
  }

  #readItem(node: Node, item: unknown, depth: number): void {
    if (this.#itemsLeft-- <= 0) throw invalid('return')
    if (typeof item === 'string') this.#readPath(node, item, depth)
    else if (typeof item === 'object' && item !== null) this.#readRelations(node, item, depth)
    else throw invalid('return')
  }

  #readPath(node: Node, path: string, depth: number): void {
    if (path === '*') {
      for (const [name, attribute] of Object.entries(wireEntities[node.entity].attributes)) {
        if (attribute.alias === undefined) node.leaves.set(name, { hops: [], attribute })
      }
      return
    }
    const names = path.split('.')
    const last = names.pop() ?? ''
    const hops: WireRelation[] = []
    let entity = node.entity
    for (const name of names) {
      const relation = wireRelationOf(entity, name)
      if (relation === undefined) throw unknownAttribute('return', path)
      if (relation.isMany) throw invalid(`return.${path}`)
      hops.push(relation)
      entity = relation.to
    }
    const attribute = attributeOf(entity, last)
    if (attribute === undefined || attribute.alias === 'input') {
      const isRelation = wireRelationOf(entity, last) !== undefined
      throw isRelation ? invalid(`return.${path}`) : unknownAttribute('return', path)
    }
    if (depth + hops.length > relationDepthMax) throw invalid('return')
    this.#takeRelations(hops.length)
    node.leaves.set(path, { hops, attribute })
  }

  #readRelations(node: Node, relations: object, depth: number): void {
    for (const [name, items] of Object.entries(relations)) {
      const relation = wireRelationOf(node.entity, name)
      if (relation === undefined) {
        const isAttribute = attributeOf(node.entity, name) !== undefined
        throw isAttribute ? invalid(`return.${name}`) : unknownAttribute('return', name)
      }
      if (depth >= relationDepthMax || !Array.isArray(items)) throw invalid('return')
      const known = node.relations.get(name)
      if (known === undefined) this.#takeRelations(1)
      const inner = known?.node ?? new Node(relation.to)
      node.relations.set(name, { relation, node: inner })
      for (const item of items) this.#readMember(inner, item, depth + 1, relation.isMany)
    }
  }

  /** An item of a relation's list; `elements` there stands for the members of a to-many relation. */
  #readMember(node: Node, item: unknown, depth: number, isMany: boolean): void {
    const hasElements = typeof item === 'object' && item !== null && 'elements' in item
    if (!hasElements) {
      this.#readItem(node, item, depth)
      return
    }
    if (!isMany || !Array.isArray(item.elements)) throw invalid('return.elements')
    this.readList(node, item.elements, depth)
  }

  #takeRelations(count: number): void {
    this.#relationsLeft -= count
    if (this.#relationsLeft < 0) throw invalid('return')
  }
}

/** A projection that is still being put together. */
interface Draft {
  readonly fields: Set<string>
  readonly relations: Map<string, Draft>
}

function projectionOf(node: Node): Projection {
  const draft = emptyDraft()
  fill(draft, node)
  return finish(draft)
}

function fill(draft: Draft, node: Node): void {
  for (const { hops, attribute } of node.leaves.values()) {
    let target: Draft | undefined = draft
    for (const { relation } of hops) target = target && below(target, relation)
    if (attribute.field !== undefined) target?.fields.add(attribute.field)
  }
  for (const { relation, node: inner } of node.relations.values()) {
    const target = below(draft, relation.relation)
    if (target !== undefined) fill(target, inner)
  }
}

/** Undefined for what the directory does not have: the identity source, which all domains share. */
function below(draft: Draft, relation: string | undefined): Draft | undefined {
  if (relation === undefined) return undefined
  const known = draft.relations.get(relation)
  if (known !== undefined) return known
  const inner = emptyDraft()
  draft.relations.set(relation, inner)
  return inner
}

function emptyDraft(): Draft {
  return { fields: new Set(), relations: new Map() }
}

function finish({ fields, relations }: Draft): Projection {
  return {
    fields: [...fields],
    relations: Object.fromEntries([...relations].map(([name, inner]) => [name, finish(inner)])),
  }
}

function show(node: Node, row: DirectoryRow | undefined): ShownObject {
  const shown: Record<string, unknown> = {}
  for (const [name, leaf] of node.leaves) shown[name] = showLeaf(leaf, row)
  for (const [name, { relation, node: inner }] of node.relations) {
    shown[name] = showRelation(relation, inner, row)
  }
  return shown
}

function showLeaf({ hops, attribute }: Leaf, row: DirectoryRow | undefined): unknown {
  let target = row
  for (const { relation } of hops) {
    if (relation === undefined) return attribute.constant ?? null
    target = target?.one[relation] ?? undefined
  }
  if (target === undefined) return null
  const { constant, field, format } = attribute
  if (Array.isArray(constant)) return hops.length === 0 ? constant : constant.join()
  return constant ?? format.show(target.fields[field ?? ''] ?? null)
}

function showRelation(
  { relation, isMany }: WireRelation,
  node: Node,
  row: DirectoryRow | undefined,
): unknown {
  if (relation === undefined) return showConstants(node)
  if (isMany) {
    return { elements: (row?.many[relation] ?? []).map((member) => show(node, member)) }
  }
  const target = row?.one[relation]
  return target === null || target === undefined ? null : show(node, target)
}

function showConstants({ leaves }: Node): ShownObject {
  return Object.fromEntries(
    [...leaves].map(([name, { attribute }]) => [name, attribute.constant ?? null]),
  )
}
