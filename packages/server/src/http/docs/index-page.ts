import type { Contract } from '../contract.ts'
import { type Html, html } from './html.ts'
import { page } from './layout.ts'

/** The start page: what each contract is for, and its tags. */
export function indexPage(contracts: readonly Contract[]): Html {
  const names = contracts.map(({ name }) => name)
  return page({
    title: 'API reference',
    names,
    sidebar: html`<section data-group><ul>${contracts.map(
      ({ name, title }) =>
        html`<li data-search="${`${name} ${title}`.toLowerCase()}"><a href="/docs/${name}">${title}</a></li>`,
    )}</ul></section>`,
    main: html`<h1>API reference</h1>
<p class="lead">Every interface of this server. Each page is made from the contract that the server itself runs on.</p>
${contracts.map(contractCard)}`,
  })
}

function contractCard({ name, title, version, summary, operations, tags }: Contract): Html {
  const search = `${name} ${title} ${summary}`.toLowerCase()
  return html`<article class="card" data-search="${search}">
<h2><a href="/docs/${name}">${title}</a> <small>${version}</small></h2>
<p>${summary}</p>
<p class="access">${operations.length} operations · <a href="/openapi/${name}.yaml">${name}.yaml</a></p>
<ul>${tags.map((tag) => html`<li><strong>${tag.name}</strong> ${tag.description}</li>`)}</ul>
</article>`
}
