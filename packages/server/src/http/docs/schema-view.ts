import { definitionName, type Schema, type SchemaObject } from '../schema.ts'
import { Html, html } from './html.ts'
import { markdown } from './markdown.ts'

/** Deepest inline member that a table unfolds. */
const unfoldMax = 6

/** The type of a schema in one line, with links to the named ones. */
export function typeView(schema: Schema): Html {
  if (typeof schema === 'boolean') return html`${schema ? 'anything' : 'nothing'}`
  const parts: Html[] = []
  if (schema.$ref !== undefined) parts.push(linkTo(definitionName(schema.$ref)))
  for (const inner of schema.allOf ?? []) parts.push(typeView(inner))
  for (const branches of [schema.oneOf, schema.anyOf]) {
    const shown = (branches ?? []).filter((branch) => !isOnlyRequired(branch))
    if (shown.length > 0) parts.push(join(shown.map(typeView), ' or '))
  }
  const own = ownTypeView(schema)
  if (own !== undefined) parts.push(own)
  return parts.length === 0 ? html`anything` : join(parts, ' and ')
}

function ownTypeView(schema: SchemaObject): Html | undefined {
  if (schema.const !== undefined) return html`<code>${JSON.stringify(schema.const)}</code>`
  if (schema.enum !== undefined) {
    return join(
      schema.enum.map((value) => html`<code>${JSON.stringify(value)}</code>`),
      ' | ',
    )
  }
  const types = [schema.type ?? []].flat()
  if (types.length === 0) return schema.properties === undefined ? undefined : html`object`
  if (!types.includes('array')) return html`${types.join(' or ')}`
  const others = types.filter((type) => type !== 'array').map((type) => ` or ${type}`)
  return html`array of ${typeView(schema.items ?? true)}${others.join('')}`
}

function isOnlyRequired(schema: Schema): boolean {
  return typeof schema === 'object' && Object.keys(schema).join() === 'required'
}

function linkTo(name: string): Html {
  return html`<a href="#schema-${name}">${name}</a>`
}

/** What a value of the schema must keep to, besides its type. */
export function limitsView(schema: Schema): Html {
  if (typeof schema === 'boolean') return html``
  const limits: Html[] = []
  const add = (name: string, value: unknown) => {
    if (value !== undefined) limits.push(html`<span>${name} <code>${text(value)}</code></span>`)
  }
  add('format', schema.format)
  add('from', schema.minimum)
  add('to', schema.maximum)
  add('length from', schema.minLength)
  add('length to', schema.maxLength)
  add('entries from', schema.minItems)
  add('entries to', schema.maxItems)
  add('members from', schema.minProperties)
  add('members to', schema.maxProperties)
  add('default', schema.default ?? schema['x-default'])
  add('pattern', schema.pattern)
  if (schema.uniqueItems === true) limits.push(html`<span>no entry twice</span>`)
  return html`${limits}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** One row per member; members of unnamed objects follow the one that holds them. */
export function membersTable(schema: Schema): Html {
  const rows = memberRows(schema, '', 0)
  if (rows.length === 0) return html``
  return html`<div class="scroll"><table>
<thead><tr><th>Member</th><th>Type</th><th>Meaning</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

function memberRows(schema: Schema, prefix: string, depth: number): Html[] {
  if (typeof schema === 'boolean' || depth > unfoldMax) return []
  const rows: Html[] = []
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const path = prefix + name
    rows.push(memberRow(path, member, (schema.required ?? []).includes(name)))
    rows.push(...memberRows(member, `${path}.`, depth + 1))
    if (typeof member === 'object' && member.items !== undefined) {
      rows.push(...memberRows(member.items, `${path}[].`, depth + 1))
    }
  }
  const inner = [schema.allOf, schema.oneOf, schema.anyOf].flatMap((list) => list ?? [])
  for (const part of inner) rows.push(...memberRows(part, prefix, depth + 1))
  const others = schema.additionalProperties
  if (typeof others === 'object') rows.push(memberRow(`${prefix}*`, others, false))
  return rows
}

function memberRow(path: string, member: Schema, isRequired: boolean): Html {
  const description = typeof member === 'object' ? (member.description ?? '') : ''
  const mark = isRequired ? html` <span class="required">required</span>` : undefined
  return html`<tr><td><code>${path}</code>${mark}</td><td>${typeView(member)}</td>
<td>${markdown(description)}<div class="limits">${limitsView(member)}</div></td></tr>`
}

function join(parts: readonly Html[], separator: string): Html {
  return new Html(parts.map((part) => part.text).join(separator))
}
