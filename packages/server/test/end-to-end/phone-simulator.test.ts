import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentOf, endOf, runCommand, startCommand } from '#test/support/commands.ts'
import { until } from '#test/support/delivery.ts'
import { createPhoneScene, type PhoneScene } from '#test/support/phone-scene.ts'
import { type PhonePage, startPhonePage } from '../../src/commands/simulate/phone-page-server.ts'

let scene: PhoneScene
let folder = ''

beforeAll(async () => {
  scene = await createPhoneScene()
  folder = mkdtempSync(join(tmpdir(), 'countersign-phones-'))
  writeFileSync(join(folder, 'pin'), '1234\n')
})
afterAll(async () => {
  await scene[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

function phone(...args: readonly string[]): readonly string[] {
  return ['simulate', 'phone', '--json', '--state', join(folder, 'phones'), ...args]
}

async function enrol(name: string, ...args: readonly string[]): Promise<string> {
  const end = await runCommand(phone('--enrol', '-', '--name', name, '--count', '0', ...args), {
    stdin: await scene.newCode(),
    cwd: folder,
  })
  expect(end, end.stderr + end.stdout).toMatchObject({ code: 0 })
  const [{ userId = '' } = {}] = documentOf(end).phones as { userId: string }[]
  return userId
}

describe('countersign simulate phone', () => {
  test('enrols from standard input, approves with the PIN, and says what it saw', async () => {
    const userId = await enrol('alice', '--pin-file', 'pin')
    expect(statSync(join(folder, 'phones/alice.json')).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'phones')).mode & 0o777).toBe(0o700)
    const text = '500,00 EUR \u001b[2J\u202eto Max'
    const approvalId = await scene.ask(userId, text)
    const end = await runCommand(
      phone('--name', 'alice', '--approve-all', '--pin-file', 'pin', '--count', '1'),
      { cwd: folder },
    )
    expect(end.code).toBe(0)
    expect(documentOf(end).decisions).toEqual([
      { phone: 'alice', approvalId, text, status: 'APPROVED' },
    ])
    expect(await scene.statusOf(approvalId)).toBe('APPROVED')
    expect(end.stderr).toContain('│ 500,00 EUR ⟨U+001B⟩[2J⟨U+202E⟩to Max')
    expect(end.stderr).not.toContain('\u001b[2J')
  })

  test('several phones wait together; all reject', async () => {
    const [one, two] = [await enrol('bob', '--bio'), await enrol('carol', '--pin-file', 'pin')]
    const child = startCommand(phone('--name', 'bob,carol', '--reject-all', '--count', '2'))
    const ended = endOf(child)
    const ids = [await scene.ask(one, 'for bob'), await scene.ask(two, 'for carol')]
    const end = await ended
    expect(end.code).toBe(0)
    const decisions = documentOf(end).decisions as { phone: string; status: string }[]
    expect(decisions.map(({ phone: name }) => name).sort()).toEqual(['bob', 'carol'])
    for (const id of ids) expect(await scene.statusOf(id)).toBe('REJECTED')
  })

  test('writes and shows properties, nothing of them that a terminal would obey', async () => {
    await enrol('frank', '--pin-file', 'pin')
    const args = phone('--name', 'frank', '--count', '0', '--properties')
    const writes = ['user/limit=INTEGER:1000', 'device/theme=UTF8STRING:dark=\u001b[2J']
    const written = await runCommand([...args, '--write', ...writes])
    expect(written, written.stderr).toMatchObject({ code: 0 })
    const theme = { owner: 'device', name: 'theme', value: 'dark=\u001b[2J', version: 1 }
    const limit = { owner: 'user', name: 'limit', type: 'INTEGER', value: '1000', cpFlags: 0 }
    expect(documentOf(written).properties).toMatchObject([theme, limit])
    expect(written.stderr).toContain('device/theme = dark=⟨U+001B⟩[2J (UTF8STRING, version 1)')
    expect(written.stderr).not.toContain('\u001b')
    const wrong = await runCommand([...args, '--write', 'user/limit=INTEGER:many'])
    expect(wrong).toMatchObject({ code: 1 })
    expect(documentOf(wrong)).toMatchObject({ error: { code: 'value_invalid' } })
    expect(await runCommand([...args, '--write', 'limit=5'])).toMatchObject({ code: 2 })
  })

  test('what cannot be is told with an exit code', async () => {
    const noTerminal = await runCommand(phone('--name', 'alice'))
    expect(noTerminal.code).toBe(2)
    const unknown = await runCommand(phone('--name', 'nobody', '--approve-all'))
    expect(unknown).toMatchObject({ code: 2 })
    const noCode = await runCommand(phone('--enrol', 'otpauth://x', '--bio', '--count', '0'))
    expect(noCode.code).toBe(2)
    const spent = await scene.newCode()
    const args = phone('--enrol', spent, '--bio', '--count', '0', '--name')
    expect((await runCommand([...args, 'dave'])).code).toBe(0)
    const again = await runCommand([...args, 'erin'])
    expect(again.code).toBe(1)
    expect(documentOf(again)).toMatchObject({ error: { code: 'code_invalid', advice: 'new_code' } })
  })
})

describe('the phone as a page', () => {
  let page: PhonePage
  beforeAll(async () => {
    page = await startPhonePage({ server: scene.url, port: 0 })
  })
  afterAll(() => page[Symbol.asyncDispose]())

  const own = { 'sec-fetch-site': 'same-origin' }

  test('serves its modules without types, under a policy that runs nothing else', async () => {
    const html = await fetch(page.url)
    const policy = html.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    expect(await html.text()).toContain('phone-page.ts')
    const path = 'modules/device-sdk/device.ts'
    const code = await (await fetch(page.url + path)).text()
    expect(code).toContain('export class Device')
    expect(code).not.toMatch(/import type|: Promise</)
    expect((await fetch(`${page.url}modules/device-sdk/storage/file-storage.ts`)).status).toBe(404)
    expect((await fetch(`${page.url}modules/device-sdk/package.json`)).status).toBe(404)
    expect((await fetch(`${page.url}modules/%2e%2e/%2e%2e/package.json`)).status).toBe(404)
  })

  test('hands on the device protocol and nothing else, to its own page only', async () => {
    const path = `${page.url}device/v1/configuration`
    const facts = await fetch(path, { headers: own })
    expect(facts.status).toBe(200)
    expect(facts.headers.get('dpop-nonce')).toMatch(/^[\w-]+$/)
    expect((await fetch(path)).status).toBe(403)
    expect((await fetch(path, { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(403)
    expect((await fetch(`${page.url}api/v1/tenants`, { headers: own })).status).toBe(404)
    expect(
      (await fetch(`${page.url}device/v1/../../api/v1/tenants`, { headers: own })).status,
    ).toBe(404)
    const large = { method: 'POST', headers: own, body: 'x'.repeat(200_000) }
    expect((await fetch(`${page.url}device/v1/enrolments`, large)).status).toBe(413)
  })

  test('is not there under another name', async () => {
    const { port } = new URL(page.url)
    const { request } = await import('node:http')
    const status = await new Promise((resolve, reject) => {
      const headers = { ...own, host: `evil.test:${port}` }
      request({ port, host: '127.0.0.1', path: '/', headers }, (reply) => {
        reply.resume()
        resolve(reply.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(403)
  })

  test('a server that is gone is 502', async () => {
    await using other = await startPhonePage({ server: 'http://127.0.0.1:1', port: 0 })
    await until(async () => {
      const reply = await fetch(`${other.url}device/v1/configuration`, { headers: own })
      return reply.status === 502
    })
  })
})
