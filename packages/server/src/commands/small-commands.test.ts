import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '#storage/database.ts'
import { latestVersion } from '#storage/migrations/list.ts'
import { documentOf, runCommand } from '#test/support/commands.ts'
import { rfcCodes } from '#test/support/tokens.ts'
import { exitCodeHelp } from './failure.ts'

const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const hotpUri = (counter: number) => `otpauth://hotp/a?secret=${secret}&counter=${counter}`
const totpUri = `otpauth://totp/a?secret=${secret}&digits=8`

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-command-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('otp', () => {
  test('prints the codes of RFC 4226, appendix D', async () => {
    for (const counter of [0, 1, 9]) {
      const end = await runCommand(['otp', hotpUri(counter)])
      expect(end).toEqual({ code: 0, stdout: `${rfcCodes[counter]}\n`, stderr: '' })
    }
    const end = await runCommand(['otp', hotpUri(0), '--counter', '5', '--json'])
    expect(documentOf(end)).toEqual({ type: 'HOTP', code: rfcCodes[5], counter: 5 })
  })

  test.each([
    ['59', '94287082'],
    ['1970-01-01T00:00:59Z', '94287082'],
    ['1111111109', '07081804'],
    ['20000000000', '65353130'],
  ])('prints the code of RFC 6238, appendix B, at %s', async (at, code) => {
    expect(await runCommand(['otp', totpUri, '--at', at])).toMatchObject({ stdout: `${code}\n` })
  })

  test('reads the URI from standard input or a file, so that nobody sees it', async () => {
    const file = join(folder, 'uri')
    writeFileSync(file, `${hotpUri(0)}\n`)
    expect(await runCommand(['otp', '--file', file])).toMatchObject({ stdout: `${rfcCodes[0]}\n` })
    expect(await runCommand(['otp', '-'], { stdin: `${hotpUri(1)}\n` })).toMatchObject({
      stdout: `${rfcCodes[1]}\n`,
    })
  })

  test('65 for a wrong URI, without repeating it; 2 for wrong options', async () => {
    const end = await runCommand(['otp', `otpauth://hotp/a?secret=${secret}`])
    expect(end).toMatchObject({ code: 65, stdout: '' })
    expect(end.stderr).toContain('counter')
    expect(end.stderr).not.toContain(secret)
    expect(await runCommand(['otp'])).toMatchObject({ code: 2 })
    expect(await runCommand(['otp', totpUri, '--counter', '1'])).toMatchObject({ code: 2 })
    expect(await runCommand(['otp', totpUri, '--at', 'noon'])).toMatchObject({ code: 2 })
    expect(await runCommand(['otp', hotpUri(0), '--counter', '1e3'])).toMatchObject({ code: 2 })
  })
})

describe('config check', () => {
  test('0 and the settings, secrets hidden', async () => {
    const env = {
      COUNTERSIGN_DATABASE_URL: 'postgres://us:hunter2@db.example/countersign',
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 3).toString('base64'),
      COUNTERSIGN_ADMIN_TOKEN: 'a-token-that-nobody-knows-0123',
      COUNTERSIGN_TRUST_PROXY: '10.0.0.0/8',
    }
    for (const args of [
      ['config', 'check'],
      ['config', 'check', '--json'],
    ]) {
      const end = await runCommand(args, { env })
      expect(end).toMatchObject({ code: 0 })
      expect(end.stdout).toContain('10.0.0.0/8')
      for (const text of ['hunter2', env.COUNTERSIGN_MASTER_KEY, env.COUNTERSIGN_ADMIN_TOKEN]) {
        expect(end.stdout + end.stderr).not.toContain(text)
      }
    }
  })

  test('78 and all faults at once', async () => {
    const env = { COUNTERSIGN_PORT: 'http', COUNTERSIGN_COLOUR: 'red' }
    const end = await runCommand(['config', 'check', '--json'], { env })
    expect(end).toMatchObject({ code: 78 })
    expect(documentOf(end)).toMatchObject({
      error: {
        exitCode: 78,
        faults: [{ variable: 'COUNTERSIGN_COLOUR' }, { variable: 'COUNTERSIGN_PORT' }],
      },
    })
  })
})

describe('migrate', () => {
  test('0, also a second time; 69 while a server has the database', async () => {
    const url = `sqlite:${join(folder, 'migrated.db')}`
    const env = { COUNTERSIGN_DATABASE_URL: url }
    expect(await runCommand(['migrate'], { env })).toMatchObject({ code: 0 })
    expect(documentOf(await runCommand(['migrate', '--json'], { env }))).toMatchObject({
      schemaVersion: latestVersion,
    })
    const held = openDatabase(url)
    expect(await runCommand(['migrate'], { env })).toMatchObject({ code: 69 })
    await held.close()
  })

  test('69 for a PostgreSQL that does not answer, without its password', async () => {
    const env = {
      COUNTERSIGN_DATABASE_URL: 'postgres://us:hunter2@127.0.0.1:1/none',
      COUNTERSIGN_MASTER_KEY: Buffer.alloc(32, 3).toString('base64'),
    }
    const end = await runCommand(['migrate'], { env })
    expect(end).toMatchObject({ code: 69 })
    expect(end.stderr).not.toContain('hunter2')
  })
})

describe('the program', () => {
  test('0 for help, with the exit codes; 2 for what it does not know', async () => {
    const help = await runCommand(['--help'])
    expect(help).toMatchObject({ code: 0 })
    expect(help.stdout).toContain('65   the data is not as it must be')
    expect(await runCommand(['restore', '--help'])).toMatchObject({ code: 0 })
    expect(await runCommand([])).toMatchObject({ code: 2 })
    expect(await runCommand(['frobnicate'])).toMatchObject({ code: 2 })
    expect(await runCommand(['copy'])).toMatchObject({ code: 2 })
    expect(await runCommand(['otp', '--colour'])).toMatchObject({ code: 2 })
  })

  test('docs/operations.md has the same table of exit codes as --help', () => {
    const text = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8')
    const documented = [...text.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map((row) => row.slice(1))
    const helped = [...exitCodeHelp.matchAll(/^ {2}(\d+) +(.+)$/gm)].map((row) => row.slice(1))
    expect(helped).toHaveLength(7)
    expect(documented).toEqual(helped)
  })

  test('its bin starts it in this Node', async () => {
    const bin = fileURLToPath(new URL('../../bin/countersign.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [bin, 'otp', hotpUri(0)])
    expect(stdout).toBe(`${rfcCodes[0]}\n`)
  })
})
