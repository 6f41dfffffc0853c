import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventStreamParser, type StreamPart } from './event-stream.ts'

const { sse } = JSON.parse(
  readFileSync(new URL('../protocol/test-vectors/device-vectors.json', import.meta.url), 'utf8'),
) as { sse: { text: string; expect: { id: string; type: string }[] } }

/** @param cuts where the bytes are cut into pieces. */
function read(text: string, cuts: readonly number[] = []): readonly StreamPart[] {
  const bytes = new TextEncoder().encode(text)
  const parser = new EventStreamParser()
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const bounds = [0, ...ends, bytes.length]
  return bounds.slice(1).flatMap((end, index) => parser.read(bytes.subarray(bounds[index], end)))
}

describe('EventStreamParser', () => {
  test('the published stream, cut anywhere', () => {
    const whole = read(sse.text)
    const events = whole.filter((part) => part.type === 'event')
    expect(events.map(({ data }) => JSON.parse(data))).toMatchObject(sse.expect)
    fc.assert(
      fc.property(fc.array(fc.nat(2_000), { maxLength: 20 }), (cuts) => {
        expect(read(sse.text, cuts)).toEqual(whole)
      }),
    )
  })

  test('lines end with LF, CR LF or CR; letters of several bytes are put together', () => {
    const wanted = [{ type: 'event', id: '1', data: 'ä\nb' }]
    for (const end of ['\n', '\r\n', '\r']) {
      const text = ['id: 1', 'data: ä', 'data:b', '', ': hb', ''].join(end)
      fc.assert(
        fc.property(fc.array(fc.nat(60), { maxLength: 8 }), (cuts) => {
          expect(read(text, cuts).slice(0, 1)).toEqual(wanted)
        }),
        { numRuns: 50 },
      )
    }
  })

  test('an id counts for its own event only; without data there is no event', () => {
    expect(read('id: 1\n\ndata: x\n\n')).toEqual([{ type: 'event', id: undefined, data: 'x' }])
  })

  test('comments and the time to retry are told', () => {
    expect(read(': hb\n\nretry: 3000\nretry: soon\n')).toEqual([
      { type: 'comment' },
      { type: 'retry', ms: 3000 },
    ])
  })

  test('a line or an event without end is refused', () => {
    expect(() => read('x'.repeat(300_000))).toThrow(RangeError)
    const lines = `data: ${'x'.repeat(100_000)}\n`
    expect(() => read(lines.repeat(3))).toThrow(RangeError)
  })
})
