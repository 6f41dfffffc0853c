import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JsonError, jsonDepthMax, parseJson } from './json.ts'

function reasonOf(body: string | Uint8Array): string {
  try {
    parseJson(typeof body === 'string' ? Buffer.from(body) : body)
    return 'accepted'
  } catch (error) {
    if (error instanceof JsonError) return error.fault
    throw error
  }
}

describe('a JSON body', () => {
  test('is given back as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!text.includes('__proto__') && !/\\u(0000|d[89a-f])/i.test(text))
        expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    ['an empty body', '', 'empty'],
    ['a byte order mark', '\ufeff{}', 'syntax'],
    ['trailing data', '{} {}', 'syntax'],
    ['a trailing comma', '{"a":1,}', 'syntax'],
    ['a comment', '{"a":1} // x', 'syntax'],
    ['single quotes', "{'a':1}", 'syntax'],
    ['NaN', '{"a":NaN}', 'syntax'],
    ['a string that does not end', '{"a":"x\\"}', 'syntax'],
    ['a member twice', '{"a":1,"a":1}', 'duplicate_member'],
    ['a member twice under different escapes', '{"a":1,"\\u0061":2}', 'duplicate_member'],
    ['a member twice deep inside', '[[{"b":{"a":1,"a":2}}]]', 'duplicate_member'],
    ['a member twice beside colons in strings', '{"a:":"::","a:":"{"}', 'duplicate_member'],
    ['the member __proto__', '{"__proto__":{"x":1}}', 'forbidden_member'],
    ['the member __proto__, escaped', '{"\\u005f_proto__":1}', 'forbidden_member'],
    ['a number beyond a double', '{"a":1e400}', 'number_too_large'],
    ['U+0000 in a value', '{"a":"\\u0000"}', 'forbidden_character'],
    ['U+0000 in a name', '{"\\u0000":1}', 'forbidden_character'],
    ['half of a surrogate pair', '{"a":"\\ud800"}', 'forbidden_character'],
    ['33 levels of arrays', '['.repeat(33) + ']'.repeat(33), 'too_deep'],
    ['a million open brackets', '['.repeat(1_000_000), 'too_deep'],
    ['a million open objects', '{"a":'.repeat(1_000_000), 'too_deep'],
  ])('with %s is refused', (_name, body, reason) => {
    expect(reasonOf(body)).toBe(reason)
  })

  test.each([
    ['an overlong form', [0x22, 0xc0, 0x80, 0x22]],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['a cut sequence', [0x22, 0xe2, 0x82]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('in another encoding (%s) is refused', (_name, bytes) => {
    expect(reasonOf(Uint8Array.from(bytes))).toBe('not_utf8')
  })

  test(`may have ${jsonDepthMax} levels, colons and quotes in strings, and names of Object.prototype`, () => {
    const deep = '['.repeat(jsonDepthMax) + ']'.repeat(jsonDepthMax)
    expect(reasonOf(deep)).toBe('accepted')
    expect(reasonOf('{"a":"\\\\","b":"\\":\\"","c":"x:y"}')).toBe('accepted')
    expect(reasonOf('{"constructor":1,"toString":{"hasOwnProperty":2}}')).toBe('accepted')
  })

  test('is refused exactly when a plain parser that keeps every member meets a name twice', () => {
    const name = fc.constantFrom('a', 'b', '\\u0061', 'x\\"', ':', '{')
    const { node } = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom('1', 'null', '"s"', '"a:b"', '"\\":{"', '"\\\\"'),
        fc
          .array(tie('node') as fc.Arbitrary<string>, { maxLength: 3 })
          .map((items) => `[${items.join()}]`),
        fc
          .array(fc.tuple(name, tie('node') as fc.Arbitrary<string>), { maxLength: 3 })
          .map((members) => `{${members.map(([key, value]) => `"${key}" : ${value}`).join()}}`),
      ),
    }))
    fc.assert(
      fc.property(node, (text) => {
        expect(reasonOf(text) === 'duplicate_member').toBe(new NaiveParser(text).hasDuplicate())
      }),
      { numRuns: 2000 },
    )
  })

  test('of a megabyte of members is read or refused within a second', () => {
    const text = `{${Array.from({ length: 60_000 }, (_, index) => `"member${index}":1`).join()}}`
    const startedAt = performance.now()
    expect(reasonOf(text)).toBe('accepted')
    expect(reasonOf(`"${'\\'.repeat(1_000_000)}"`)).toBe('accepted')
    expect(performance.now() - startedAt).toBeLessThan(1000)
  })

  test('never shows up in the refusal', () => {
    for (const body of ['{"pin":"secret-1234"', '{"secret-1234":1,"secret-1234":2}']) {
      expect(() => parseJson(Buffer.from(body))).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining('secret-1234') }),
      )
    }
  })
})

/** A parser written down from RFC 8259 without any cleverness, for valid JSON. */
class NaiveParser {
  readonly #text: string
  #position = 0
  #duplicate = false

  constructor(text: string) {
    this.#text = text
  }

  hasDuplicate(): boolean {
    this.#value()
    return this.#duplicate
  }

  #blanks(): void {
    while (this.#text[this.#position] === ' ') this.#position++
  }

  #value(): void {
    this.#blanks()
    const next = this.#text[this.#position]
    if (next === '{') this.#members()
    else if (next === '[') this.#items()
    else if (next === '"') this.#string()
    else while (/[\w.+-]/.test(this.#text[this.#position] ?? ' ')) this.#position++
    this.#blanks()
  }

  #members(): void {
    const names = new Set<string>()
    this.#list('}', () => {
      this.#blanks()
      const name = this.#string()
      if (names.has(name)) this.#duplicate = true
      names.add(name)
      this.#blanks()
      this.#position++
      this.#value()
    })
  }

  #items(): void {
    this.#list(']', () => this.#value())
  }

  #list(end: string, entry: () => void): void {
    this.#position++
    this.#blanks()
    while (this.#text[this.#position] !== end) {
      entry()
      if (this.#text[this.#position] === ',') this.#position++
    }
    this.#position++
  }

  #string(): string {
    const start = this.#position++
    while (this.#text[this.#position] !== '"') {
      this.#position += this.#text[this.#position] === '\\' ? 2 : 1
    }
    return JSON.parse(this.#text.slice(start, ++this.#position))
  }
}
