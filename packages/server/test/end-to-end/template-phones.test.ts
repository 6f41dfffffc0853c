import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { rootId } from '#domain/certificates/issuer.ts'
import { documentOf, runCommand } from '#test/support/commands.ts'
import { createPhoneScene, type PhoneScene } from '#test/support/phone-scene.ts'

let scene: PhoneScene
let folder = ''
let secret = ''

beforeAll(async () => {
  scene = await createPhoneScene()
  folder = mkdtempSync(join(tmpdir(), 'countersign-languages-'))
  write('pin', '1234\n')
  const account = { tenantId: 'acme', scopes: ['ast:write'] }
  secret = String((await scene.call('POST', '/service-accounts', account)).secret)
  await ast('POST', '/v2/tenants/acme/signers', {})
})
afterAll(async () => {
  await scene?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** Calls the AST API. @throws unless it is done. */
async function ast(method: string, path: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${scene.url}/ast${path}`, {
    method,
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
}

function phone(name: string, ...args: readonly string[]) {
  const common = ['--json', '--state', join(folder, 'phones'), '--pin-file', join(folder, 'pin')]
  return ['simulate', 'phone', ...common, '--name', name, ...args]
}

/** A phone of a new user. */
async function enrol(name: string, ...args: readonly string[]) {
  const end = await runCommand(phone(name, '--enrol', '-', '--count', '0', ...args), {
    stdin: await scene.newCode(),
  })
  expect(end, end.stderr + end.stdout).toMatchObject({ code: 0 })
  const [one] = documentOf(end).phones as { userId: string; deviceId: string }[]
  if (one === undefined) throw new Error('No phone.')
  return one
}

async function start(userId: string, text: string): Promise<string> {
  const tmsData = { text, external: true, data: { amount: '500,00', payee: 'Söhne & Co' } }
  return String((await ast('POST', '/v1/tenants/acme/tms', { userId, tmsData })).id)
}

async function open(path: string): Promise<Uint8Array> {
  const response = await fetch(`${scene.url}/pki/acme${path}`)
  return new Uint8Array(await response.arrayBuffer())
}

test('phones in two languages sign two texts of one template, and files alone prove which', async () => {
  await ast('POST', '/v1/tenants/acme/templates', {
    key: 'com.acme.pay',
    defaultContent: 'Pay {{amount}} EUR to {{payee}}?',
    locales: [{ locale: 'de', content: '{{amount}} EUR an {{payee}} zahlen?' }],
  })
  const [hans, mary] = await Promise.all([enrol('hans', '--locale', 'de-AT,en'), enrol('mary')])
  const people = [
    { name: 'hans', user: hans, locale: 'de' },
    { name: 'mary', user: mary, locale: 'en' },
  ] as const
  const texts = { de: '500,00 EUR an Söhne & Co zahlen?', en: 'Pay 500,00 EUR to Söhne & Co?' }
  const asked = await Promise.all(
    people.map(async (person) => ({
      ...person,
      id: await start(person.user.userId, 'com.acme.pay'),
    })),
  )
  const end = await runCommand(phone('hans,mary', '--approve-all', '--count', '2'))
  expect(end, end.stderr).toMatchObject({ code: 0 })
  const decisions = documentOf(end).decisions as { phone: string }[]
  const jwks = write('jwks.json', await open('/jwks'))
  const anchor = write('root.der', await open(`/issuers/${rootId}/certificate`))
  await scene.call('POST', '/tenants/acme/audit/checkpoints')
  const proofs = asked.map(async ({ name, locale, id }) => {
    expect(decisions.find((one) => one.phone === name)).toMatchObject({
      approvalId: id,
      text: texts[locale],
      status: 'APPROVED',
    })
    const evidence = await scene.call('GET', `/tenants/acme/approvals/${id}/evidence`)
    expect(evidence.content).toMatchObject({ locale })
    const { bytes } = evidence.content as { bytes: string }
    expect(JSON.parse(Buffer.from(bytes, 'base64').toString())).toMatchObject({
      text: texts[locale],
    })
    const file = write(`${name}.json`, JSON.stringify(evidence))
    const options = ['--anchor', anchor, '--jwks', jwks, '--json']
    const verdict = await runCommand(['evidence', 'verify', file, ...options])
    const checks = documentOf(verdict).checks as { name: string; result: string }[]
    const failed = checks.filter(({ result }) => result !== 'passed').map((check) => check.name)
    // Records that came later stand between this one and the checkpoint.
    expect(failed.filter((check) => check !== 'checkpoint.covers')).toEqual([])
    expect(checks.map((check) => check.name)).toContain('signature.1.covers')
  })
  await Promise.all(proofs)

  // She has learned it since.
  const id = await start(mary.userId, 'com.acme.pay')
  const later = await runCommand(phone('mary', '--locale', 'de', '--reject-all', '--count', '1'))
  expect(documentOf(later).decisions).toMatchObject([
    { approvalId: id, text: texts.de, status: 'REJECTED' },
  ])
}, 120_000)
