import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Answer } from './answer.ts'
import { readContent, type Shown } from './approval-content.ts'

const id = '01KS51D0WG000000000000TMS1'
const json = 'application/json'
const plain = 'text/plain; charset=utf-8'

function contentOf(mediaType: string, text: string | Uint8Array, changes: object = {}): Answer {
  const bytes = Buffer.from(text as string)
  const sha256 = createHash('sha256').update(bytes).digest('base64url')
  return new Answer({ mediaType, bytes: bytes.toString('base64'), sha256, ...changes })
}

async function shown(mediaType: string, text: string): Promise<Shown> {
  return (await readContent(contentOf(mediaType, text), id)).shown
}

describe('readContent', () => {
  test('JSON shows its text, and keeps its bytes as they came', async () => {
    const text = `{"id":"${id}" , "text":"\\u00dcberweisung","data":{"a":1}}`
    const content = await readContent(contentOf(json, text), id)
    expect(content.shown).toEqual({ form: 'text', text: 'Überweisung' })
    expect(Buffer.from(content.bytes).toString()).toBe(text)
  })

  test.each([
    ['[{"label":"Amount","value":"500 EUR"},{"label":"Payee","value":"1234"}]'],
    ['[{"Amount":"500 EUR"},{"Payee":"1234"}]'],
  ])('a table: %s', async (text) => {
    expect(await shown(plain, text)).toEqual({
      form: 'table',
      rows: [
        { label: 'Amount', value: '500 EUR' },
        { label: 'Payee', value: '1234' },
      ],
    })
  })

  test.each([
    ['plain text', 'Approve wire transfer'],
    ['nothing', ''],
    ['a row that hides a member', '[{"label":"a","value":"b","payee":"evil"}]'],
    ['a row with two names', '[{"a":"b","c":"d"}]'],
    ['a value that is no text', '[{"label":"a","value":500}]'],
    ['a name that comes twice', '[{"label":"a","value":"b","value":"c"}]'],
    ['an empty list', '[]'],
    ['too many rows', JSON.stringify(Array.from({ length: 200 }, () => ({ a: 'b' })))],
  ])('is shown as it is: %s', async (_name, text) => {
    expect(await shown(plain, text)).toEqual({ form: 'text', text })
  })

  test.each([
    ['another hash', contentOf(json, `{"id":"${id}","text":"a"}`, { sha256: 'A'.repeat(43) })],
    ['bytes under the hash of others', contentOf(plain, 'a', { bytes: 'Yg==' })],
    [
      'the id of another approval',
      contentOf(json, '{"id":"01KS51D0WG000000000000TMS2","text":"a"}'),
    ],
    ['a text that comes twice', contentOf(json, `{"id":"${id}","text":"a","text":"b"}`)],
    ['no text', contentOf(json, `{"id":"${id}"}`)],
    ['no JSON', contentOf(json, 'text')],
    ['no UTF-8', contentOf(plain, Uint8Array.of(0xff))],
    ['no Base64', contentOf(plain, 'a', { bytes: '*' })],
    ['too much', contentOf(plain, 'a'.repeat(70_000))],
  ])('refuses %s', async (_name, answer) => {
    await expect(readContent(answer, id)).rejects.toMatchObject({
      code: 'content_wrong',
      advice: 'distrust',
    })
  })
})
