import { SaxesParser, type SaxesTagNS, type XMLDecl } from 'saxes'
import { fileRejected } from './seed-file.ts'

/** An element with all that is in it. */
export interface XmlElement {
  /** Namespace name, empty for none. */
  readonly namespace: string
  readonly name: string
  /** Name of the element around it, empty for the root. */
  readonly parentName: string
  /** By local name; a name from another namespace is written `{namespace}name`. */
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** Its own text, without that of its children. */
  readonly text: string
  readonly line: number
}

interface OpenElement extends XmlElement {
  readonly attributes: Map<string, string>
  readonly children: XmlElement[]
  text: string
}

const depthMax = 32
const attributeCountMax = 32
/** Of one element below the root with all that is in it: names, attribute values and texts together. */
const elementLengthMax = 131_072
/** Of the elements in one element below the root. */
const elementCountMax = 2_000
/** Of a single tag, comment or run of text, while it is still incomplete. */
const markupLengthMax = 262_144
const messageLengthMax = 200

/** Elements that only hold a list: what is in them is delivered piece by piece, like the children of the root. */
export type IsList = (element: XmlElement) => boolean

/**
 * Reads XML that was made by somebody else: delivers the root element (empty) and then each child of the root, complete,
 * as soon as it is closed, so that a file of any length needs little memory.
 *
 * Refused are document type declarations (and with them every entity but the five of XML and character references),
 * processing instructions, encodings other than UTF-8, XML 1.1, and whatever is beyond the limits above.
 *
 * @throws DomainError `import_rejected`, its fault naming line and column.
 */
export async function* xmlElements(
  pieces: AsyncIterable<string>,
  isList: IsList = () => false,
): AsyncGenerator<XmlElement> {
  const reader = new XmlReader(isList)
  for await (const piece of pieces) yield* reader.write(piece)
  yield* reader.end()
}

class XmlReader {
  readonly #parser = new SaxesParser({ xmlns: true, position: true })
  readonly #isList: IsList
  readonly #open: OpenElement[] = []
  /** How many of the open elements, from the root on, only hold a list. */
  #listDepth = 0
  #completed: XmlElement[] = []
  #elementCount = 0
  #elementLength = 0
  #attributeCount = 0
  #lastEventPosition = 0

  constructor(isList: IsList) {
    this.#isList = isList
    const parser = this.#parser
    parser.ENTITIES = Object.assign(Object.create(null), {
      amp: '&',
      gt: '>',
      lt: '<',
      quot: '"',
      apos: "'",
    })
    parser.on('error', (error) => this.#reject(error.message.replace(/^\d+:\d+: /, '')))
    parser.on('xmldecl', (declaration) => this.#checkDeclaration(declaration))
    parser.on('doctype', () => this.#reject('a document type declaration is not allowed'))
    parser.on('processinginstruction', () =>
      this.#reject('a processing instruction is not allowed'),
    )
    parser.on('comment', () => this.#noteEvent())
    parser.on('attribute', () => this.#countAttribute())
    parser.on('opentag', (tag) => this.#enter(tag))
    parser.on('text', (text) => this.#addText(text))
    parser.on('cdata', (text) => this.#addText(text))
    parser.on('closetag', () => this.#leave())
  }

  write(piece: string): XmlElement[] {
    this.#parser.write(piece)
    if (this.#parser.position - this.#lastEventPosition > markupLengthMax) {
      this.#reject('a tag, comment or text is too long')
    }
    return this.#takeCompleted()
  }

  end(): XmlElement[] {
    this.#parser.close()
    return this.#takeCompleted()
  }

  #takeCompleted(): XmlElement[] {
    const completed = this.#completed
    this.#completed = []
    return completed
  }

  #enter(tag: SaxesTagNS): void {
    this.#noteEvent()
    this.#attributeCount = 0
    if (this.#open.length >= depthMax) this.#reject(`elements are nested deeper than ${depthMax}`)
    const element: OpenElement = {
      namespace: tag.uri,
      name: tag.local,
      parentName: this.#open.at(-1)?.name ?? '',
      attributes: new Map(),
      children: [],
      text: '',
      line: this.#parser.line,
    }
    this.#count(tag.name.length)
    for (const { prefix, local, uri, name, value } of Object.values(tag.attributes)) {
      this.#count(name.length + value.length)
      if (prefix === 'xmlns' || name === 'xmlns') continue
      element.attributes.set(uri === '' ? local : `{${uri}}${local}`, value)
    }
    if (++this.#elementCount > elementCountMax) this.#reject('an element holds too many others')

    const isListed = this.#open.length === this.#listDepth
    this.#open.push(element)
    if (this.#open.length === 1) {
      this.#listDepth = 1
      this.#completed.push(element)
    } else if (isListed && this.#isList(element)) {
      this.#listDepth++
    }
  }

  #leave(): void {
    this.#noteEvent()
    const element = this.#open.pop()
    if (!element) return
    if (this.#open.length < this.#listDepth) {
      this.#listDepth = this.#open.length
    } else if (this.#open.length === this.#listDepth) {
      this.#completed.push(element)
      this.#elementCount = 0
      this.#elementLength = 0
    } else {
      this.#open.at(-1)?.children.push(element)
    }
  }

  #addText(text: string): void {
    this.#noteEvent()
    const element = this.#open.at(-1)
    // White space between the parts of a list means nothing and may be of any amount.
    if (!element || this.#open.length <= this.#listDepth) return
    this.#count(text.length)
    element.text += text
  }

  #countAttribute(): void {
    this.#noteEvent()
    if (++this.#attributeCount > attributeCountMax) {
      this.#reject(`an element has more than ${attributeCountMax} attributes`)
    }
  }

  #count(length: number): void {
    this.#elementLength += length
    if (this.#elementLength > elementLengthMax) this.#reject('an element is too long')
  }

  #noteEvent(): void {
    this.#lastEventPosition = this.#parser.position
  }

  #checkDeclaration({ version, encoding }: XMLDecl): void {
    this.#noteEvent()
    if (version !== '1.0') this.#reject('only XML 1.0 is read')
    if (encoding !== undefined && encoding.toUpperCase() !== 'UTF-8') {
      this.#reject('the encoding must be UTF-8')
    }
  }

  #reject(reason: string): never {
    const { line, column } = this.#parser
    const message = `Line ${line}, column ${column}: ${reason.slice(0, messageLengthMax)}`
    throw fileRejected('bad_format', message)
  }
}
