import type { Content, Contract, Operation, Parameter, Response } from '../contract.ts'
import { type Html, html } from './html.ts'
import { page } from './layout.ts'
import { markdown } from './markdown.ts'
import { limitsView, membersTable, typeView } from './schema-view.ts'

/** The reference of one contract: operations by tag, then the schemas. */
export function contractPage(contract: Contract, names: readonly string[]): Html {
  const tags = [...new Set(contract.operations.map(({ tag }) => tag))]
  return page({
    title: contract.title,
    current: contract.name,
    names,
    sidebar: html`${tags.map((tag) => tagNavigation(contract, tag))}`,
    main: html`<h1>${contract.title} <small>${contract.version}</small></h1>
<p class="lead">${contract.summary}</p>
<p><a href="/openapi/${contract.name}.yaml">OpenAPI 3.1 document</a></p>
<div class="description">${markdown(contract.description)}</div>
${tags.map((tag) => tagSection(contract, tag))}
<h2 id="schemas">Schemas</h2>
${Object.entries(contract.schemas).map(([name, schema]) => schemaSection(name, schema))}`,
  })
}

function tagNavigation({ operations }: Contract, tag: string): Html {
  const items = operations
    .filter((operation) => operation.tag === tag)
    .map(
      (operation) => html`<li data-search="${searchText(operation)}"><a href="#${operation.id}">
<span class="method ${operation.method.toLowerCase()}">${operation.method}</span> ${operation.id}</a></li>`,
    )
  return html`<section data-group><h2>${tag}</h2><ul>${items}</ul></section>`
}

function tagSection({ operations, tags }: Contract, tag: string): Html {
  const description = tags.find(({ name }) => name === tag)?.description ?? ''
  const sections = operations.filter((operation) => operation.tag === tag).map(operationSection)
  return html`<section data-group><h2>${tag}</h2>${markdown(description)}${sections}</section>`
}

function searchText({ id, method, path, summary }: Operation): string {
  return `${id} ${method} ${path} ${summary}`.toLowerCase()
}

function operationSection(operation: Operation): Html {
  const { id, method, path, basePaths, requestBody } = operation
  return html`<article class="operation" id="${id}" data-search="${searchText(operation)}">
<h3><span class="method ${method.toLowerCase()}">${method}</span>
<code class="path">${basePaths[0] ?? ''}${path}</code></h3>
<p class="summary">${operation.summary} <span class="id">${id}</span>${
    operation.deprecated ? html` <span class="required">deprecated</span>` : undefined
  }</p>
${markdown(operation.description)}
${accessView(operation)}
${parametersView(operation.parameters)}
${
  requestBody &&
  html`<h4>Body${requestBody.required ? '' : ' (optional)'}</h4>${markdown(requestBody.description)}
${requestBody.contents.map(contentView)}`
}
<h4>Answers</h4>${operation.responses.map(responseView)}
</article>`
}

function accessView({ security, extensions }: Operation): Html {
  const schemes = security.flatMap((alternative) =>
    Object.entries(alternative).map(([name, scopes]) => [name, ...scopes].join(' ')),
  )
  const own = extensions['x-scope']
  const scopes = Array.isArray(own) && own.length > 0 ? `; scope ${own.join(' or ')}` : ''
  const who = schemes.length === 0 ? 'public' : schemes.join(' or ')
  return html`<p class="access">Access: ${who}${scopes}</p>`
}

function parametersView(parameters: readonly Parameter[]): Html | undefined {
  if (parameters.length === 0) return undefined
  const rows = parameters.map(
    (parameter) => html`<tr><td><code>${parameter.name}</code>${
      parameter.required ? html` <span class="required">required</span>` : undefined
    }</td><td>${parameter.in}</td><td>${typeView(parameter.schema)}</td>
<td>${markdown(parameter.description)}<div class="limits">${limitsView(parameter.schema)}</div></td></tr>`,
  )
  return html`<h4>Parameters</h4><div class="scroll"><table>
<thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>${rows}</tbody></table></div>`
}

function contentView({ mediaType, schema, examples }: Content): Html {
  // Problems look the same at every operation; their schema says all.
  const shown = mediaType === 'application/problem+json' ? [] : Object.entries(examples)
  return html`<p><code>${mediaType}</code>${schema === undefined ? '' : html`: ${typeView(schema)}`}</p>
${schema === undefined ? undefined : membersTable(schema)}
${shown.map(([name, value]) => exampleView(name, value))}`
}

function exampleView(name: string, value: unknown): Html {
  const text = typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
  return html`<details><summary>${name === 'example' ? 'Example' : `Example: ${name}`}</summary>
<pre><code>${text}</code></pre></details>`
}

function responseView({ status, description, headers, contents }: Response): Html {
  const names = Object.keys(headers)
  return html`<details class="answer"><summary><span class="status">${status}</span> ${description}</summary>
${names.length === 0 ? undefined : html`<p>Headers: ${names.join(', ')}</p>`}
${contents.map(contentView)}</details>`
}

function schemaSection(name: string, schema: Contract['schemas'][string]): Html {
  const description = typeof schema === 'object' ? (schema.description ?? '') : ''
  return html`<article class="schema" id="schema-${name}" data-search="${name.toLowerCase()}">
<h3><code>${name}</code></h3>${markdown(description)}
<p>${typeView(schema)}</p><div class="limits">${limitsView(schema)}</div>${membersTable(schema)}</article>`
}
