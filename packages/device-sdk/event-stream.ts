/** One event of `text/event-stream`, or a sign of life. */
export type StreamPart =
  | { readonly type: 'event'; readonly id: string | undefined; readonly data: string }
  | { readonly type: 'retry'; readonly ms: number }
  | { readonly type: 'comment' }

/** Longer lines and events end the stream: nobody sends them. */
const charactersMax = 262_144

/** Reads `text/event-stream` (HTML standard, section 9.2.6) from pieces that may be cut anywhere. */
export class EventStreamParser {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  #rest = ''
  #id: string | undefined
  #data: string[] = []
  #dataLength = 0

  /** @throws TypeError for bytes that are no UTF-8; RangeError for lines or events that are too long. */
  read(bytes: Uint8Array): readonly StreamPart[] {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true })
    // A carriage return at the end may be half of a line end.
    const lines = text.split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > charactersMax) throw new RangeError('A line is too long.')
    return lines.flatMap((line) => this.#readLine(line))
  }

  #readLine(line: string): readonly StreamPart[] {
    if (line === '') return this.#end()
    if (line.startsWith(':')) return [{ type: 'comment' }]
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'id' && !value.includes('\0')) this.#id = value
    if (name === 'data') {
      this.#dataLength += value.length
      if (this.#dataLength > charactersMax) throw new RangeError('An event is too long.')
      this.#data.push(value)
    }
    const isRetry = name === 'retry' && /^\d{1,9}$/.test(value)
    return isRetry ? [{ type: 'retry', ms: Number(value) }] : []
  }

  /** An event without data is none. Its id counts for itself only: replayed events come without one. */
  #end(): readonly StreamPart[] {
    const id = this.#id
    const data = this.#data
    this.#id = undefined
    this.#data = []
    this.#dataLength = 0
    return data.length === 0 ? [] : [{ type: 'event', id, data: data.join('\n') }]
  }
}
