import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, request as httpRequest, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pairsOn, readPdf } from '#printing/printing.fixture.ts'
import { type CommandEnd, documentOf, runCommand } from '#test/support/commands.ts'
import { createPlatformApi, type PlatformApi } from '#test/support/platform-api.ts'

let api: PlatformApi
let folder: string
let secretFile: string
let runs = 0

const tenant = '/api/v1/tenants/acme'

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-sheets-'))
  api = await createPlatformApi()
  await api.createTenant('acme')
  secretFile = join(folder, 'secret')
  writeFileSync(secretFile, `${await api.createAccount('acme', ['tenant:write'])}\n`)
})
afterAll(async () => {
  await api[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** A list method of its own for each test; its name. */
async function newMethod(listSize = 5): Promise<string> {
  const name = `otp.${++runs}`
  const { status } = await api.call(`POST ${tenant}/otp-list-methods`, { body: { name, listSize } })
  expect(status).toBe(201)
  return name
}

function print(method: string, options: readonly string[], url = api.origin): Promise<CommandEnd> {
  const fixed = ['--tenant', 'acme', '--method', method, '--url', url, '--secret-file', secretFile]
  return runCommand(['otp-list', 'print', ...fixed, ...options], { cwd: folder })
}

async function idsOf(method: string): Promise<string[]> {
  const { body } = await api.call(`GET ${tenant}/otp-lists?method=${method}&limit=200`)
  return body.items.map(({ id }: { id: string }) => id)
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\r\n').slice(1, -1)

/** Stands before the server and does something else with one of the answers. */
async function spoilingProxy(
  number: number,
  spoil: (response: ServerResponse, headers: Record<string, string>) => void,
): Promise<{ url: string; server: Server }> {
  let count = 0
  const server = createServer((asked, reply) => {
    const isSpoilt = ++count === number
    const { method, headers } = asked
    const sent = httpRequest(api.origin + asked.url, { method, headers }, (answer) => {
      if (isSpoilt) {
        answer.resume().on('end', () => spoil(reply, answer.headers as Record<string, string>))
      } else {
        reply.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(reply)
      }
    })
    asked.pipe(sent)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

describe('otp-list print', { timeout: 60_000 }, () => {
  test('writes every sheet once, for its owner alone, and says which is where', async () => {
    const method = await newMethod()
    const to = join(folder, 'run-1')
    const end = await print(method, [
      '--count',
      '5',
      '--sheets-per-file',
      '2',
      '--to',
      to,
      '--json',
    ])
    expect(end.code).toBe(0)
    const files = ['sheets-0001.pdf', 'sheets-0002.pdf', 'sheets-0003.pdf']
    expect(documentOf(end)).toEqual({ folder: to, lists: 5, files })
    expect(readdirSync(to).sort()).toEqual(['lists.csv', ...files])
    const ids = await idsOf(method)
    expect(linesOf(join(to, 'lists.csv'))).toEqual(
      ids.map((id, index) => `${id},${files[Math.floor(index / 2)]},${(index % 2) + 1}`),
    )
    expect(statSync(to).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(to)) expect(statSync(join(to, name)).mode & 0o777).toBe(0o600)
    const pages = await readPdf(readFileSync(join(to, files[1] ?? '')))
    expect(pages).toHaveLength(2)
    for (const [index, page] of pages.entries()) {
      const pairs = pairsOn(page)
      expect(pairs).toHaveLength(5)
      expect(page.words.map(({ text }) => text)).toContain(ids[2 + index])
      for (const { otp } of pairs) expect(end.stdout + end.stderr).not.toContain(otp)
    }
  })

  test('writes one document into a pipe', async () => {
    const method = await newMethod()
    const end = await print(method, ['--count', '2', '--form', 'csv', '--output', '-'])
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout.match(/^\w{26},\d,\d{6},.*\r$/gm)).toHaveLength(10)
  })

  test('takes title, notice, paper and expiry', async () => {
    const method = await newMethod()
    writeFileSync(join(folder, 'notice'), 'Never tell a code.\n')
    const to = join(folder, 'run-2')
    const texts = ['--title', 'Банк', '--notice-file', join(folder, 'notice'), '--max-age', '60']
    const end = await print(method, [...texts, '--paper', 'letter', '--to', to])
    expect(end.code).toBe(0)
    const [page] = await readPdf(readFileSync(join(to, 'sheets-0001.pdf')))
    expect(page?.width).toBe(612)
    const words = page?.words.map(({ text }) => text).join(' ')
    for (const text of ['Банк', 'Never tell a code.', '2026-11-21 10:01 UTC']) {
      expect(words).toContain(text)
    }
  })

  test('writes over nothing', async () => {
    const method = await newMethod()
    const to = join(folder, 'taken')
    mkdirSync(to)
    const end = await print(method, ['--to', to])
    expect(end).toMatchObject({ code: 2, stdout: '' })
    expect(end.stderr).toContain('must be new')
    expect(await idsOf(method)).toEqual([])
  })

  test.each([
    [['--to', 'x', '--output', '-'], /exclude each other/],
    [[], /--to <folder>/],
    [['--output', 'sheet.pdf'], /takes "-" only/],
    [['--to', 'x', '--count', '0'], /--count must be/],
    [['--to', 'x', '--sheets-per-file', '101'], /--sheets-per-file must be/],
    [['--to', 'x', '--form', 'docx'], /--form must be one of pdf, html, csv/],
    [['--to', 'x', '--max-age', '1', '--expires-at', '2027-01-01T00:00:00Z'], /exclude each other/],
  ])('refuses %j as wrong use', async (options, message) => {
    const end = await print('otp.1', options)
    expect(end).toMatchObject({ code: 2, stdout: '' })
    expect(end.stderr).toMatch(message)
    expect(existsSync(join(folder, 'x'))).toBe(false)
  })

  test('says what the server refused, and leaves nothing', async () => {
    const to = join(folder, 'refused')
    const method = await newMethod()
    const unprintable = await print(method, ['--to', to, '--title', 'ธนาคาร'])
    expect(unprintable.code).toBe(1)
    expect(unprintable.stderr).toContain('/title contains U+0E18')
    const unknown = await print('nothing', ['--to', to, '--json'])
    expect(documentOf(unknown)).toMatchObject({
      error: { exitCode: 1, status: 400, code: 'reference_not_found', lists: 0, unprinted: [] },
    })
    const { url, server } = await spoilingProxy(0, () => {})
    await new Promise((resolve) => server.close(resolve))
    const away = await print(method, ['--to', to], url)
    expect(away.code).toBe(69)
    expect(away.stderr).not.toContain('If it made')
    expect(existsSync(to)).toBe(false)
    expect(await idsOf(method)).toEqual([])
  })

  test('a connection that breaks in the middle of a file: names exactly the lists without sheet', async () => {
    const method = await newMethod()
    const { url, server } = await spoilingProxy(2, (reply, headers) => {
      reply.writeHead(201, { 'x-list-ids': headers['x-list-ids'] ?? '', 'content-length': '10000' })
      reply.write('%PDF-1.3\n')
      setTimeout(() => reply.destroy(), 50)
    })
    const to = join(folder, 'broken')
    const options = ['--count', '6', '--sheets-per-file', '2', '--to', to, '--json']
    const end = await print(method, options, url)
    server.close()
    expect(end.code).not.toBe(0)
    const ids = await idsOf(method)
    expect(ids).toHaveLength(4)
    expect(linesOf(join(to, 'lists.csv')).map((line) => line.split(',')[0])).toEqual(
      ids.slice(0, 2),
    )
    expect(linesOf(join(to, 'unprinted.csv'))).toEqual(ids.slice(2))
    expect(readdirSync(to).sort()).toEqual(['lists.csv', 'sheets-0001.pdf', 'unprinted.csv'])
    expect(documentOf(end)).toMatchObject({ error: { lists: 2, unprinted: ids.slice(2) } })
  })

  test('an answer that never comes: the request is repeated, made once, and its lists are named', async () => {
    const method = await newMethod()
    const { url, server } = await spoilingProxy(1, (reply) => reply.destroy())
    const to = join(folder, 'lost')
    const end = await print(method, ['--count', '3', '--to', to], url)
    server.close()
    expect(end.code).not.toBe(0)
    const ids = await idsOf(method)
    expect(ids).toHaveLength(3)
    expect(linesOf(join(to, 'unprinted.csv'))).toEqual(ids)
    for (const id of ids) expect(end.stderr).toContain(id)
  })
})
