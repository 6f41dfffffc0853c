import { escapeHtml, Html, html } from './html.ts'

/** The little Markdown that contracts use in descriptions: headings, lists, code, emphasis, links. Never raw HTML. */
export function markdown(text: string): Html {
  const blocks: Html[] = []
  let lines: string[] = []
  let fence: string[] | undefined
  const flush = () => {
    if (lines.length > 0) blocks.push(block(lines))
    lines = []
  }
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) {
      flush()
      if (fence !== undefined) blocks.push(codeBlock(fence))
      fence = fence === undefined ? [] : undefined
    } else if (fence !== undefined) fence.push(line)
    else if (line.trim() === '') flush()
    else {
      if (/^#{1,4} /.test(line)) flush()
      lines.push(line)
    }
  }
  flush()
  if (fence !== undefined) blocks.push(codeBlock(fence))
  return html`${blocks}`
}

const listItem = /^\s*[-*] /

function block(lines: readonly string[]): Html {
  const [first = '', ...rest] = lines
  const heading = /^#{1,4} (.*)$/.exec(first)
  if (heading !== null) {
    const title = html`<h4>${inline(heading[1] ?? '')}</h4>`
    return rest.length === 0 ? title : html`${title}${block(rest)}`
  }
  if (lines.every((line) => line.startsWith('    '))) {
    return codeBlock(lines.map((line) => line.slice(4)))
  }
  const firstItem = lines.findIndex((line) => listItem.test(line))
  if (firstItem === -1) return html`<p>${inline(lines.join('\n'))}</p>`
  const before = firstItem === 0 ? undefined : block(lines.slice(0, firstItem))
  return html`${before}${list(lines.slice(firstItem))}`
}

function list(lines: readonly string[]): Html {
  const items: string[] = []
  for (const line of lines) {
    if (listItem.test(line)) items.push(line.replace(listItem, ''))
    else items.push(`${items.pop() ?? ''}\n${line.trim()}`)
  }
  return html`<ul>${items.map((item) => html`<li>${inline(item)}</li>`)}</ul>`
}

function codeBlock(lines: readonly string[]): Html {
  return html`<pre><code>${lines.join('\n')}</code></pre>`
}

/** Code first: nothing inside it means anything else. */
function inline(text: string): Html {
  const parts = text.split(/(`[^`]+`)/)
  return new Html(
    parts
      .map((part) =>
        part.startsWith('`') && part.length > 2
          ? `<code>${escapeHtml(part.slice(1, -1))}</code>`
          : escapeHtml(part)
              .replaceAll(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
              .replaceAll(/(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])/g, '<em>$1</em>')
              .replaceAll(/\[([^\]]+)\]\((https:\/\/[^)\s"]+)\)/g, '<a href="$2">$1</a>'),
      )
      .join(''),
  )
}
