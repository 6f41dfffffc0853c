import { type Html, html } from './html.ts'

export interface PageParts {
  readonly title: string
  /** The contract that is shown; absent on the start page. */
  readonly current?: string
  /** All contracts. */
  readonly names: readonly string[]
  readonly sidebar: Html
  readonly main: Html
}

/** Everything a page loads comes from this server; nothing is inline, so that the policy can forbid it. */
export function page({ title, current, names, sidebar, main }: PageParts): Html {
  const links = names.map(
    (name) =>
      html`<a href="/docs/${name}"${name === current ? html` aria-current="page"` : undefined}>${name}</a>`,
  )
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Countersign</title>
<link rel="stylesheet" href="/docs/docs.css">
<script src="/docs/docs.js" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header><a class="brand" href="/docs">Countersign</a><nav aria-label="Contracts">${links}</nav></header>
<div class="columns">
<aside><label for="filter">Filter</label>
<input id="filter" type="search" placeholder="Path, name or schema ( / )" autocomplete="off">
<p id="nothing" role="status" hidden>Nothing fits.</p>
<nav aria-label="Operations">${sidebar}</nav></aside>
<main id="main">${main}</main>
</div>
</body>
</html>
`
}
