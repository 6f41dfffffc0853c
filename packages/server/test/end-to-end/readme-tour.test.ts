import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createSocket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createClone } from '../support/clone.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { isAsDocumented, outputsOf, readTour, tourScript } from '../support/readme-tour.ts'

const readme = readFileSync(new URL('../../../../README.md', import.meta.url), 'utf8')
const curlStandIn = fileURLToPath(new URL('../support/curl-stand-in.ts', import.meta.url))
const hasCurl = spawnSync('curl', ['--version']).status === 0
const tourMsMax = 300_000

/** Steps as documented, with the port and the PostgreSQL database that this run has. */
function placed(markdown: string, { port, database }: { port: number; database: string }): string {
  return markdown
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
    .replaceAll('postgres://countersign@127.0.0.1/countersign', database)
}

/** The documented lines, those that were printed as documented in their printed form. */
function asPrinted(expected: readonly string[], printed: readonly string[]): readonly string[] {
  return expected.map((text, row) => {
    const found = printed[row]
    return found !== undefined && isAsDocumented(found, text) ? found : text
  })
}

async function freePort(): Promise<number> {
  const server = createSocket().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Runs a script in a shell of its own. */
async function runShell(
  script: string,
  { cwd, bin, port }: { cwd: string; bin: string; port: number },
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const file = join(cwd, 'tour.sh')
  writeFileSync(file, script)
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(COUNTERSIGN_|npm_|NODE_|VITEST)/i.test(name),
  )
  const child = spawn('bash', [file], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...Object.fromEntries(inherited),
      PATH: `${bin}:${process.env.PATH}`,
      COUNTERSIGN_PORT: String(port),
      npm_config_update_notifier: 'false',
      npm_config_offline: 'true',
      npm_config_cache: join(cwd, 'npm-cache'),
    },
  })
  // The shell then ends its jobs.
  const timer = setTimeout(() => child.kill('SIGTERM'), tourMsMax - 20_000)
  try {
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ])
    return { code, stdout, stderr }
  } finally {
    clearTimeout(timer)
  }
}

describe('the tour of the README', () => {
  test('prints what it says, from the first start to PostgreSQL', {
    timeout: tourMsMax,
  }, async () => {
    using clone = createClone({ withCurl: hasCurl })
    const database = await createTestDatabase()
    try {
      const port = await freePort()
      const steps = readTour(placed(readme, { port, database: database.url }))
      expect(steps.length).toBeGreaterThan(10)
      const { code, stdout, stderr } = await runShell(tourScript(steps), {
        cwd: clone.path,
        bin: clone.bin,
        port,
      })
      const outputs = outputsOf(stdout)
      for (const [index, { line, commands, expected }] of steps.entries()) {
        const printed = outputs[index] ?? { endedIn: stdout.slice(-1_000), stderr }
        const documented = asPrinted(expected, outputs[index] ?? [])
        expect({ line, commands, printed }).toEqual({ line, commands, printed: documented })
      }
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    } finally {
      await database.drop()
    }
  })

  test('shows the two commands that need nothing but npm', () => {
    expect(readme).toContain('\n```sh\nnpm ci && npm start\n```\n')
    expect(readme).toContain('\n```sh\nnpm ci && npm test\n```\n')
  })
})

describe('the check of the tour', () => {
  const markdown = [
    'Text.',
    '```sh',
    'not this',
    '```',
    '```sh tour',
    'A=1',
    'echo "$A"',
    '# → 1',
    'cat <<X',
    '# a comment',
    'X',
    '# → # a com…t',
    '```',
    '```sh tour again',
    'true',
    '```',
  ].join('\n')

  test('reads marked blocks only, and ends a step where its output is shown', () => {
    expect(readTour(markdown)).toEqual([
      { line: 6, commands: 'A=1\necho "$A"', expected: ['1'] },
      { line: 9, commands: 'cat <<X\n# a comment\nX', expected: ['# a com…t'] },
      { line: 15, commands: 'true', expected: [] },
    ])
  })

  test('finds what each step printed, in one shell', () => {
    const { stdout } = spawnSync('bash', ['-c', tourScript(readTour(markdown))], {
      encoding: 'utf8',
    })
    expect(outputsOf(stdout)).toEqual([['1'], ['# a comment'], []])
  })

  test('takes … for anything and every other character for itself', () => {
    expect(isAsDocumented('{"id":"x.y","n":1}', '{"id":"…","n":1}')).toBe(true)
    expect(isAsDocumented('{"id":"x.y","n":12}', '{"id":"…","n":1}')).toBe(false)
    expect(isAsDocumented('axb', 'a.b')).toBe(false)
    expect(isAsDocumented('ab and more', 'ab')).toBe(false)
  })

  test('has a stand-in that sends and prints what curl does', async () => {
    const server = createServer(async (request, reply) => {
      const body = await text(request)
      const { authorization = '', 'content-type': type = '' } = request.headers
      reply.statusCode = request.url === '/no' ? 404 : 200
      reply.end([request.method, request.url, authorization, type, body].join('|'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const cases = [
      ['-sf', `${url}/ok`],
      ['-sf', `${url}/no`],
      [
        '-sS',
        '-H',
        'Authorization: Bearer a:b',
        '-H',
        'Content-Type: application/json',
        '-d',
        '{"ä":1}',
        `${url}/no`,
      ],
      ['-sS', '-X', 'POST', `${url}/ok`],
      ['-s', 'http://127.0.0.1:1/'],
    ]
    const run = async (program: string, args: readonly string[]): Promise<unknown[]> => {
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
      const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
      return [code, out]
    }
    const ends = await Promise.all(
      cases.map((args) => run(process.execPath, [curlStandIn, ...args])),
    )
    expect(ends).toEqual([
      [0, 'GET|/ok|||'],
      [22, ''],
      [0, 'POST|/no|Bearer a:b|application/json|{"ä":1}'],
      [0, 'POST|/ok|||'],
      [7, ''],
    ])
    if (hasCurl) expect(await Promise.all(cases.map((args) => run('curl', args)))).toEqual(ends)
    server.close()
  })
})
