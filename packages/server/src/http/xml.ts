/** What an attribute holds; undefined: the attribute is left out. */
export type XmlValue = string | number | boolean | undefined

/** One element: attributes in the order given, and inside either text or other elements, never both. */
export interface XmlElement {
  readonly name: string
  readonly attributes?: Readonly<Record<string, XmlValue>>
  readonly content?: string | Iterable<XmlElement> | undefined
}

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n'
const indentStep = '  '
/** Of names only what needs no thought: no namespaces, and nothing of what XML keeps for itself. */
const plainName = /^(?!xml)[A-Z_][A-Z0-9_.-]*$/i
/** Markup, white space that a parser would change, and code points that XML 1.0 cannot carry, escaped or not. */
const special = /[&<>"\t\n\r]|[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu
const replacementCharacter = '\u{FFFD}'

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

/**
 * Writes an XML 1.0 document that is well-formed whatever the texts in it are: control characters, halves of surrogate
 * pairs, U+FFFE and U+FFFF, for which XML has no spelling, become U+FFFD; every other text is read back as it was.
 *
 * @throws Error for names that are not plain; names come from the program, never from a request.
 */
export function writeXml(root: XmlElement): string {
  return [...xmlParts(root)].join('')
}

/** As {@link writeXml}, a child of the root at a time, so that a large document need never be whole in memory. */
export function* xmlParts(root: XmlElement): Generator<string, void, undefined> {
  const { content } = root
  if (content === undefined || typeof content === 'string') {
    yield declaration + elementText(root, '')
    return
  }
  const children = content[Symbol.iterator]()
  const first = children.next()
  if (first.done === true) {
    yield declaration + elementText({ ...root, content: undefined }, '')
    return
  }
  yield `${declaration}<${startOf(root)}>\n`
  for (let child: IteratorResult<XmlElement> = first; child.done !== true; ) {
    yield elementText(child.value, indentStep)
    child = children.next()
  }
  yield `</${root.name}>\n`
}

function elementText(element: XmlElement, indent: string): string {
  const { name, content } = element
  const start = `${indent}<${startOf(element)}`
  if (content === undefined || content === '') return `${start}/>\n`
  if (typeof content === 'string') return `${start}>${escaped(content)}</${name}>\n`
  let inner = ''
  for (const child of content) inner += elementText(child, indent + indentStep)
  return inner === '' ? `${start}/>\n` : `${start}>\n${inner}${indent}</${name}>\n`
}

function startOf({ name, attributes = {} }: XmlElement): string {
  let start = checkedName(name)
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) start += ` ${checkedName(attribute)}="${escaped(String(value))}"`
  }
  return start
}

function checkedName(name: string): string {
  if (!plainName.test(name)) throw new Error('A name that is not plain cannot be written as XML.')
  return name
}

function escaped(text: string): string {
  return text.replaceAll(special, (found) => escapes[found] ?? replacementCharacter)
}
