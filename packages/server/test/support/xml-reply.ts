import { SaxesParser } from 'saxes'
import type { Contract } from '#http/contract.ts'
import { coercionOf } from '#http/parameters.ts'
import { definitionName, type Schema, type SchemaObject, toDefinition } from '#http/schema.ts'

interface Node {
  readonly name: string
  readonly attributes: Record<string, string>
  readonly children: Node[]
  text: string
}

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'

/**
 * Reads an XML reply into the value that its schema models (`xml` and `x-xml-text` of the contract). What the schema
 * does not know becomes a member that it does not know either.
 *
 * @throws for what is not well-formed, and for a DOCTYPE, a comment, a processing instruction, CDATA or a namespace.
 */
export function readXmlReply(bytes: Uint8Array, schema: Schema, contract: Contract): unknown {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  if (!text.startsWith(declaration)) throw new Error('The XML declaration is missing.')
  const root = parse(text)
  const { name } = xmlOf(schema, contract)
  if (name !== undefined && root.name !== name) throw new Error(`<${root.name}> is not <${name}>.`)
  return memberValues(root, schema, contract)
}

function parse(text: string): Node {
  const top: Node = { name: '', attributes: {}, children: [], text: '' }
  const open: Node[] = [top]
  const parser = new SaxesParser({ xmlns: false })
  const refuse = (what: string) => () => {
    throw new Error(`The reply holds ${what}.`)
  }
  parser.on('error', (error) => {
    throw error
  })
  parser.on('doctype', refuse('a DOCTYPE'))
  parser.on('comment', refuse('a comment'))
  parser.on('processinginstruction', refuse('a processing instruction'))
  parser.on('cdata', refuse('CDATA'))
  parser.on('opentag', ({ name, attributes }) => {
    if ([name, ...Object.keys(attributes)].some((one) => /:|^xmlns$/.test(one))) {
      refuse('a namespace')()
    }
    const node: Node = { name, attributes: { ...attributes }, children: [], text: '' }
    open.at(-1)?.children.push(node)
    open.push(node)
  })
  parser.on('text', (more) => {
    const node = open.at(-1)
    if (node !== undefined) node.text += more
  })
  parser.on('closetag', () => {
    open.pop()
  })
  parser.write(text).close()
  const [root] = top.children
  if (root === undefined) throw new Error('The reply has no element.')
  return root
}

function memberValues(node: Node, schema: Schema, contract: Contract): unknown {
  const members: Record<string, unknown> = {}
  const attributes = { ...node.attributes }
  let children = node.children
  let text = node.text
  const take = (name: string) => {
    const taken = children.filter((child) => child.name === name)
    children = children.filter((child) => child.name !== name)
    return taken
  }
  for (const [member, inner] of membersOf(schema, contract)) {
    const xml = xmlOf(inner, contract)
    const coerce = coercionOf(toDefinition(inner), contract.definitions)
    if (xml.attribute === true) {
      const attribute = attributes[member]
      if (attribute !== undefined) members[member] = coerce(attribute)
      delete attributes[member]
    } else if (typeof inner === 'object' && inner['x-xml-text'] === true) {
      members[member] = coerce(text)
      text = ''
    } else if (typeof inner === 'object' && inner.type === 'array') {
      const items = inner.items ?? true
      const wrappers = xml.wrapped === true ? take(xml.name ?? member) : undefined
      const found = wrappers?.flatMap((wrapper) => wrapper.children) ?? take(member)
      if (found.length > 0 || wrappers !== undefined) {
        members[member] = found.map((child) => named(child, items, contract))
      }
      if (wrappers?.length === 0) delete members[member]
    } else {
      const [first, ...more] = take(xml.name ?? member)
      if (first !== undefined) members[member] = memberValues(first, inner, contract)
      if (more.length > 0) members[`<${member}> again`] = more.length
    }
  }
  for (const name of Object.keys(attributes)) members[`@${name}`] = attributes[name]
  for (const { name } of children) members[`<${name}>`] = true
  if (text.trim() !== '') members['text()'] = text
  return members
}

function named(node: Node, schema: Schema, contract: Contract): unknown {
  const { name } = xmlOf(schema, contract)
  return name === undefined || name === node.name
    ? memberValues(node, schema, contract)
    : { [`<${node.name}>`]: true }
}

interface XmlHints {
  readonly name?: string
  readonly attribute?: boolean
  readonly wrapped?: boolean
}

/** What the contract says of the XML of a schema, seen through references. */
function xmlOf(schema: Schema, contract: Contract): XmlHints {
  if (typeof schema === 'boolean') return {}
  const own = (schema.xml ?? {}) as XmlHints
  return schema.$ref === undefined ? own : { ...xmlOf(target(schema, contract), contract), ...own }
}

/** Every member by name; where several parts speak of one, the part that says something. */
function membersOf(schema: Schema, contract: Contract): Map<string, Schema> {
  const members = new Map<string, Schema>()
  if (typeof schema === 'boolean') return members
  const parts = [...(schema.allOf ?? []), ...(schema.$ref ? [target(schema, contract)] : [])]
  for (const part of parts) {
    for (const [name, inner] of membersOf(part, contract)) {
      if (inner !== true || !members.has(name)) members.set(name, inner)
    }
  }
  for (const [name, inner] of Object.entries(schema.properties ?? {})) {
    if (inner !== true || !members.has(name)) members.set(name, inner)
  }
  return members
}

function target({ $ref = '' }: SchemaObject, contract: Contract): Schema {
  return contract.schemas[definitionName($ref)] ?? true
}
