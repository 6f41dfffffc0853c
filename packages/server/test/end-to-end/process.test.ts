import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { createTestDatabase } from '../support/postgres.ts'
import { type ServerOptions, ServerProcess, startServer } from '../support/server-process.ts'
import { HttpClient } from './client.ts'
import { createInstallation, masterKeyText, verifyPath } from './installation.ts'
import { RawConnection } from './raw-connection.ts'

const exitConfiguration = 78
const testMs = 90_000

let folder = ''
const servers: ServerProcess[] = []
const drops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]()
  for (const drop of drops.splice(0)) await drop()
  if (folder !== '') rmSync(folder, { recursive: true, force: true })
  folder = ''
})

/** One working folder a test, for all servers of it. */
function inFolder(env: Readonly<Record<string, string>> = {}): ServerOptions {
  if (folder === '') folder = mkdtempSync(join(tmpdir(), 'countersign-process-'))
  return { folder, env }
}

function spawn(env?: Readonly<Record<string, string>>): ServerProcess {
  const server = new ServerProcess(inFolder(env))
  servers.push(server)
  return server
}

async function start(env?: Readonly<Record<string, string>>): Promise<ServerProcess> {
  const server = await startServer(inFolder(env))
  servers.push(server)
  return server
}

async function emptyPostgres(): Promise<string> {
  const database = await createTestDatabase()
  drops.push(() => database.drop())
  return database.url
}

/** The status that `/api/v1/tenants` gives for this secret: 200 for administrators only. */
async function statusFor(url: string, secret: string): Promise<number> {
  using client = new HttpClient(url)
  return (await client.call({ path: '/api/v1/tenants', secret })).status
}

describe('configuration', () => {
  test('78 and all faults in one fatal record; values are not repeated', async () => {
    const server = spawn({
      COUNTERSIGN_PORT: '70000',
      COUNTERSIGN_LOG_LEVEL: 'loud',
      COUNTERSIGN_ADMIN_TOKEN: 'MARKED-short',
      COUNTERSIGN_ADMIN_TOCKEN: 'MARKED-misspelt',
      COUNTERSIGN_MASTER_KEY: 'MARKED-no-key',
      COUNTERSIGN_DATABASE_URL: 'MARKED://nowhere',
    })
    expect(await server.ended).toEqual({ code: exitConfiguration, signal: null })
    expect(server.logs).toHaveLength(1)
    const [record] = server.logs
    expect(record).toMatchObject({ level: 'fatal', msg: 'configuration invalid' })
    const faults = record?.faults as readonly { variable: string; problem: string }[]
    expect(faults.map(({ variable }) => variable)).toEqual([
      'COUNTERSIGN_ADMIN_TOCKEN',
      'COUNTERSIGN_ADMIN_TOKEN',
      'COUNTERSIGN_DATABASE_URL',
      'COUNTERSIGN_LOG_LEVEL',
      'COUNTERSIGN_MASTER_KEY',
      'COUNTERSIGN_PORT',
    ])
    expect(server.output + server.errors).not.toContain('MARKED')
  })

  test('78 when the master key is missing with PostgreSQL', async () => {
    const server = spawn({ COUNTERSIGN_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' })
    expect(await server.ended).toMatchObject({ code: exitConfiguration })
    expect(server.logs[0]).toMatchObject({
      level: 'fatal',
      faults: [{ variable: 'COUNTERSIGN_MASTER_KEY', problem: 'must be given with PostgreSQL' }],
    })
  })

  test.each(['sqlite', 'postgres'] as const)(
    '78 when the master key does not fit the database: %s',
    async (engine) => {
      const database =
        engine === 'postgres' ? { COUNTERSIGN_DATABASE_URL: await emptyPostgres() } : {}
      const first = await start({ ...database, COUNTERSIGN_MASTER_KEY: masterKeyText })
      await first.stop()
      const otherKey = Buffer.alloc(32, 8).toString('base64')
      const second = spawn({ ...database, COUNTERSIGN_MASTER_KEY: otherKey })
      expect(await second.ended).toMatchObject({ code: exitConfiguration })
      expect(second.logs.at(-1)).toMatchObject({
        level: 'fatal',
        msg: 'configuration invalid',
        faults: [{ variable: 'COUNTERSIGN_MASTER_KEY', problem: 'does not fit the database' }],
      })
      expect(second.output + second.errors).not.toContain(otherKey)
    },
    testMs,
  )

  test(
    'port 0 takes a free port and names it; the data folder is 0700 and all in it 0600',
    async () => {
      const server = await start()
      expect(new URL(server.url).port).not.toBe('0')
      using client = new HttpClient(server.url)
      expect((await client.call({ path: '/health/ready' })).status).toBe(200)
      const data = join(server.folder, 'data')
      expect(statSync(data).mode & 0o777).toBe(0o700)
      for (const name of ['master.key', 'countersign.db', 'countersign.db-wal']) {
        expect(statSync(join(data, name)).mode & 0o777, name).toBe(0o600)
      }
      const key = readFileSync(join(data, 'master.key'), 'utf8').trim()
      expect(Buffer.from(key, 'base64')).toHaveLength(32)
      await server.stop()
      expect(server.output + server.errors).not.toContain(key)
    },
    testMs,
  )

  test('1 when the database cannot be reached, without its password in the log', async () => {
    const server = spawn({
      COUNTERSIGN_DATABASE_URL: 'postgres://someone:MARKED-password@127.0.0.1:1/none',
      COUNTERSIGN_MASTER_KEY: masterKeyText,
    })
    expect(await server.ended).toEqual({ code: 1, signal: null })
    expect(server.logs.at(-1)).toMatchObject({ level: 'fatal', msg: 'start failed' })
    expect(server.output + server.errors).not.toContain('MARKED')
  })
})

describe('the administrator', () => {
  test(
    'the first start makes one and tells the secret once; the second start does not',
    async () => {
      const first = await start()
      const created = await first.record('administrator created')
      expect(created).toMatchObject({ serviceAccountId: 'bootstrap' })
      expect(created.secret).toMatch(/^csk_[A-Za-z0-9_-]{43}$/)
      expect(await statusFor(first.url, String(created.secret))).toBe(200)
      expect(await first.stop()).toEqual({ code: 0, signal: null })
      expect(first.output.split(String(created.secret))).toHaveLength(2)

      const second = await start()
      expect(second.logs.filter(({ msg }) => msg === 'administrator created')).toEqual([])
      expect(await statusFor(second.url, String(created.secret))).toBe(200)
    },
    testMs,
  )

  test(
    'COUNTERSIGN_ADMIN_TOKEN is the secret while it is set, and stands in no log',
    async () => {
      const token = 'MARKED-administrator-token-0123456789'
      const first = await start({ COUNTERSIGN_ADMIN_TOKEN: token, COUNTERSIGN_LOG_LEVEL: 'trace' })
      expect(await statusFor(first.url, token)).toBe(200)
      expect(await statusFor(first.url, `${token}0`)).toBe(401)
      await first.stop()
      expect(first.output + first.errors).not.toContain('MARKED')
      expect(first.logs.filter(({ msg }) => msg === 'administrator created')).toEqual([])

      const second = await start()
      expect(await statusFor(second.url, token)).toBe(401)
      expect(await second.record('administrator created')).toMatchObject({
        serviceAccountId: 'bootstrap',
      })
    },
    testMs,
  )
})

describe('several processes', () => {
  test(
    'a second server on the same SQLite file exits with 1, says why, and the first goes on',
    async () => {
      const first = await start()
      const second = spawn()
      expect(await second.ended).toEqual({ code: 1, signal: null })
      expect(second.logs.at(-1)).toMatchObject({
        level: 'fatal',
        msg: 'start failed',
        err: {
          type: 'DatabaseInUseError',
          message: expect.stringContaining('Another server has the database'),
        },
      })
      using client = new HttpClient(first.url)
      expect((await client.call({ path: '/health/ready' })).status).toBe(200)
    },
    testMs,
  )

  test(
    'four servers that start at once on one empty PostgreSQL database all serve, with one administrator',
    async () => {
      const env = {
        COUNTERSIGN_DATABASE_URL: await emptyPostgres(),
        COUNTERSIGN_MASTER_KEY: masterKeyText,
      }
      const nodes = [spawn(env), spawn(env), spawn(env), spawn(env)]
      await Promise.all(nodes.map((node) => node.ready()))
      const created = nodes.flatMap(({ logs }) =>
        logs.filter(({ msg }) => msg === 'administrator created'),
      )
      expect(created).toHaveLength(1)
      for (const { url } of nodes) {
        expect(await statusFor(url, String(created[0]?.secret))).toBe(200)
        using client = new HttpClient(url)
        expect((await client.call({ path: '/health/ready' })).status).toBe(200)
      }
    },
    testMs,
  )

  test(
    'servers that start at once in one new folder agree on one master key: one serves, the others exit with 1',
    async () => {
      const nodes = [spawn(), spawn(), spawn()]
      const ends = await Promise.all(
        nodes.map((node) => Promise.race([node.ready().then(() => 'serves'), node.ended])),
      )
      expect(ends.filter((end) => end === 'serves')).toHaveLength(1)
      for (const end of ends) {
        if (end !== 'serves') expect(end).toEqual({ code: 1, signal: null })
      }
    },
    testMs,
  )
})

describe('the end', () => {
  const half = '{"token":{"serial":"HOTP-1"},'

  /** A request that the server has begun, and whose body is still on its way. */
  async function beginRequest(
    url: string,
    secret: string,
    code: string,
  ): Promise<{ connection: RawConnection; rest: string }> {
    const rest = `"code":"${code}"}`
    const connection = await RawConnection.open(url)
    connection.send(
      `POST ${verifyPath} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${secret}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${half.length + rest.length}\r\n` +
        `Expect: 100-continue\r\n\r\n${half}`,
    )
    expect(await connection.answers(1)).toEqual([100])
    return { connection, rest }
  }

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: running requests finish, readiness turns 503, no new connections, exit 0',
    async (signal) => {
      await using installation = await createInstallation({ engine: 'sqlite' })
      const { seeds } = installation
      const server = await installation.start()
      const { url } = server
      const code = seeds.hotp[0]?.code(0) ?? ''
      const { connection, rest } = await beginRequest(url, seeds.secrets.verifier, code)
      using open = connection

      server.signal(signal)
      await server.record('stopping')
      await expect
        .poll(() => RawConnection.open(url).then(String, String), { timeout: 5000 })
        .toContain('ECONNREFUSED')
      open.send(`${rest}GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      expect(await open.answers(3)).toEqual([100, 200, 503])
      expect(open.received).toContain('"result":"ACCEPTED"')
      expect(open.received).toContain('"status":"unavailable"')
      expect(await server.ended).toEqual({ code: 0, signal: null })
      expect(server.logs.map(({ msg }) => msg).slice(-2)).toEqual(['stopping', 'stopped'])
    },
    testMs,
  )

  test(
    'a request that does not end is cut off after COUNTERSIGN_SHUTDOWN_SECONDS, exit 0',
    async () => {
      await using installation = await createInstallation({ engine: 'sqlite' })
      const { seeds } = installation
      const server = await installation.start({ COUNTERSIGN_SHUTDOWN_SECONDS: '1' })
      const { connection } = await beginRequest(server.url, seeds.secrets.verifier, '000000')
      using _open = connection
      const startedAt = performance.now()
      expect(await server.stop()).toEqual({ code: 0, signal: null })
      expect(performance.now() - startedAt).toBeGreaterThan(900)
      expect(performance.now() - startedAt).toBeLessThan(8000)
    },
    testMs,
  )

  test(
    'connections on which nothing runs any more do not hold the end up',
    async () => {
      await using installation = await createInstallation({ engine: 'sqlite' })
      const { seeds } = installation
      const server = await installation.start({ COUNTERSIGN_SHUTDOWN_SECONDS: '60' })
      const { connection, rest } = await beginRequest(server.url, seeds.secrets.verifier, '000000')
      using open = connection
      server.signal('SIGTERM')
      await server.record('stopping')
      open.send(rest)
      expect(await open.answers(2)).toEqual([100, 200])
      const startedAt = performance.now()
      expect(await server.ended).toEqual({ code: 0, signal: null })
      expect(performance.now() - startedAt).toBeLessThan(15_000)
    },
    testMs,
  )

  test(
    'idle connections do not hold the end up',
    async () => {
      const server = await start({ COUNTERSIGN_SHUTDOWN_SECONDS: '30' })
      using idle = await RawConnection.open(server.url)
      using client = new HttpClient(server.url)
      expect((await client.call({ path: '/health/live' })).status).toBe(200)
      const startedAt = performance.now()
      expect(await server.stop()).toEqual({ code: 0, signal: null })
      expect(performance.now() - startedAt).toBeLessThan(10_000)
      await idle.end(1000)
    },
    testMs,
  )
})
