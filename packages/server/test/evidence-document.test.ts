import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toPem } from '@countersign/protocol/certificate/pem.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ApprovalBench, createApprovalBench, tenantId } from './support/approvals.ts'
import { isAsDocumented, outputsOf, readTour, tourScript } from './support/readme-tour.ts'

const guide = readFileSync(new URL('../../../docs/evidence.md', import.meta.url), 'utf8')
const tools = ['openssl', 'jq', 'xxd', 'bash']
const hasTools = tools.every((tool) => spawnSync(tool, ['--version']).error === undefined)

let bench: ApprovalBench
let folder: string
/** By the name that the guide has for each. */
const evidence: Record<string, string> = {}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-guide-'))
  bench = await createApprovalBench()
  const { core, admin, ast } = bench
  const userId = await bench.createUser()
  const phone = await bench.enrol(userId, { pin: '4711' })
  await phone.certify()
  writeFileSync(
    join(folder, 'root.pem'),
    toPem('CERTIFICATE', await core.pki.roots.anchor(tenantId)),
  )
  for (const name of ['signed', 'decided']) {
    const text = 'Überweisung: 500,00 € an Max Muster'
    const { id } = await bench.ask(userId, { text }, name === 'signed' ? ast : admin)
    const item = await phone.retrieve(id)
    await phone.decide(
      id,
      name === 'signed' ? await phone.bySignature(item) : phone.byFactor('pin', item),
    )
    bench.clock.advance(1500)
    evidence[name] = JSON.stringify(await core.evidence.get(admin, tenantId, id))
  }
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** Runs the blocks of one kind, in their order, in one shell. */
function run(kind: string, text: string) {
  const steps = readTour(guide.replaceAll(`\`\`\`sh evidence ${kind}`, '```sh tour'))
  writeFileSync(join(folder, 'evidence.json'), text)
  const end = spawnSync('bash', ['-c', tourScript(steps)], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, FILE: 'evidence.json', TZ: 'UTC', LC_ALL: 'C.UTF-8' },
  })
  const outputs = outputsOf(end.stdout)
  const isDocumented = steps.map(
    ({ expected }, index) =>
      expected.length === outputs[index]?.length &&
      expected.every((line, row) => isAsDocumented(outputs[index]?.[row] ?? '', line)),
  )
  return { steps, outputs, isDocumented, said: end.stdout + end.stderr }
}

describe.skipIf(!hasTools && process.env.CI === undefined)('docs/evidence.md', () => {
  test.each(['signed', 'decided'])('openssl says of %s what the guide says', (kind) => {
    const { steps, isDocumented, said } = run(kind, evidence[kind] ?? '')
    expect(steps.length).toBeGreaterThan(4)
    expect(isDocumented, said).toEqual(steps.map(() => true))
  })

  test.each([
    ['signed', 'another amount'],
    ['decided', 'another amount'],
  ])('openssl does not say it of %s with %s', (kind) => {
    const changed = JSON.parse(evidence[kind] ?? '') as { content: { bytes: string } }
    const text = Buffer.from(changed.content.bytes, 'base64').toString().replace('500', '900')
    changed.content.bytes = Buffer.from(text).toString('base64')
    const { isDocumented } = run(kind, JSON.stringify(changed))
    expect(isDocumented).toContain(false)
  })
})
