import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createPlatformApi } from '#test/support/platform-api.ts'

const page = readFileSync(
  new URL('../../../../../docs/surfaces/otp-server.md', import.meta.url),
  'utf8',
)
/** The shell commands of the page, in order. */
const steps = [...page.matchAll(/^ {3}```sh\n(.*?)^ {3}```$/gms)].map(([, step = '']) => step)
const run = promisify(execFile)
const hasTools = ['bash', 'curl'].every((tool) => spawnSync(tool, ['--version']).status === 0)

describe('docs/surfaces/otp-server.md', () => {
  test('has commands to follow', () => {
    expect(steps.length).toBeGreaterThanOrEqual(5)
    expect(steps.join('')).toContain('/user-info/_verify')
  })

  test.runIf(hasTools)(
    'can be followed as it is written',
    async () => {
      await using api = await createPlatformApi()
      const folder = mkdtempSync(join(tmpdir(), 'countersign-steps-'))
      try {
        const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', steps.join('\n')], {
          cwd: folder,
          env: {
            PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}`,
            HOST: api.origin,
            ADMIN: api.adminSecret,
          },
        })
        expect(stdout).not.toContain('<error')
        expect(stdout).not.toContain('urn:countersign:problem')
        expect(stdout).toContain('<user-info uniqueID="user1" login="john.smith">')
        expect(stdout).toContain('<verify-response result="accepted"')
        expect(stdout).toContain('<query-response count="2" page-size="2" next-page-token="')
        expect(readFileSync(join(folder, 'stock.xml'), 'utf8')).toContain('batch-size="100"')
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    60_000,
  )
})
