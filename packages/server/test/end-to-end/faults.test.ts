import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HttpClient, type Reply } from './client.ts'
import { createInstallation, type Installation, tenantPath, verifyPath } from './installation.ts'
import { NetworkGate } from './network-gate.ts'

const testMs = 300_000
/** What a client may have to wait for the news that nothing can be decided. */
const answerMsMax = 60_000

/** The requests of a client that goes on whatever happens to the database. */
class Visitor implements Disposable {
  readonly #installation: Installation
  readonly #client: HttpClient
  #number = 0

  constructor(installation: Installation, url: string) {
    this.#installation = installation
    this.#client = new HttpClient(url)
  }

  verify(code: string): Promise<Reply> {
    const { verifier: secret } = this.#installation.seeds.secrets
    const body = { token: { serial: 'HOTP-1' }, code }
    return this.#client.call({ path: verifyPath, secret, body, timeoutMs: answerMsMax })
  }

  createUser(): Promise<Reply> {
    const body = { loginName: `visitor-${++this.#number}` }
    return this.#call('users', body)
  }

  readUsers(): Promise<Reply> {
    return this.#call('users')
  }

  readiness(): Promise<Reply> {
    return this.#client.call({ path: '/health/ready', timeoutMs: answerMsMax })
  }

  #call(collection: string, body?: unknown): Promise<Reply> {
    const { admin: secret } = this.#installation.seeds.secrets
    const path = `${tenantPath}/${collection}`
    return this.#client.call({ path, secret, body, timeoutMs: answerMsMax })
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
  }
}

function expectUnavailable(reply: Reply): void {
  expect(reply.status, reply.text).toBe(503)
  expect(reply.headers['content-type']).toContain('application/problem+json')
  expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
  expect(reply.json()).toMatchObject({ code: 'unavailable', status: 503 })
  expect(reply.text).not.toMatch(/sqlite|postgres|ECONN|disk|pg_|127\.0\.0\.1/i)
}

async function expectAcceptedOnce(visitor: Visitor, code: string): Promise<void> {
  expect((await visitor.verify(code)).json()).toMatchObject({ result: 'ACCEPTED' })
  expect((await visitor.verify(code)).json()).toMatchObject({ result: 'REJECTED' })
}

describe('a lost PostgreSQL', () => {
  test.each([
    ['stopped', (gate: NetworkGate) => gate.cut()],
    ['out of reach without a word', async (gate: NetworkGate) => gate.freeze()],
  ])(
    '503 while it is %s; nothing is accepted; the server recovers without a restart',
    async (_how, lose) => {
      await using installation = await createInstallation({ engine: 'postgres' })
      await using gate = await NetworkGate.open(installation.databaseUrl)
      const server = await installation.start({
        COUNTERSIGN_DATABASE_URL: gate.through(installation.databaseUrl),
      })
      using visitor = new Visitor(installation, server.url)
      const code = (counter: number) => installation.seeds.hotp[0]?.code(counter) ?? ''
      await expectAcceptedOnce(visitor, code(0))

      await lose(gate)
      const replies = await Promise.all([
        visitor.verify(code(1)),
        visitor.verify(code(1)),
        visitor.createUser(),
        visitor.readUsers(),
      ])
      for (const reply of replies) expectUnavailable(reply)
      const readiness = await visitor.readiness()
      expect(readiness.status).toBe(503)
      expect(readiness.json()).toMatchObject({
        status: 'unavailable',
        checks: { database: 'failed' },
      })

      await gate.restore()
      await expect
        .poll(async () => (await visitor.readiness()).status, { timeout: 30_000, interval: 200 })
        .toBe(200)
      await expectAcceptedOnce(visitor, code(2))
      expect((await visitor.createUser()).status).toBe(201)
      expect(await server.stop()).toMatchObject({ code: 0 })
    },
    testMs,
  )
})

/** Takes the space from a running server, and gives it back. */
interface Disk extends Disposable {
  readonly folder: string
  fill(pid: number): void
  free(pid: number): void
}

/** RLIMIT_FSIZE of the process: any file system, no privileges. */
function limitedDisk(): Disk {
  const setLimit = (pid: number, bytes: string) =>
    execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${bytes}:unlimited`])
  return {
    folder: tmpdir(),
    fill: (pid) => setLimit(pid, '1'),
    free: (pid) => setLimit(pid, 'unlimited'),
    [Symbol.dispose]: () => {},
  }
}

/** A small file system in memory; only where the tests may mount one. */
function smallDisk(): Disk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
  const filler = join(folder, 'filler')
  return {
    folder,
    fill() {
      // The server writes meanwhile, so the last block is nobody's to foresee.
      for (const bytes = Buffer.alloc(4096); ; ) {
        try {
          appendFileSync(filler, bytes)
        } catch (error) {
          if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return
          throw error
        }
      }
    },
    free: () => rmSync(filler),
    [Symbol.dispose]() {
      execFileSync('umount', [folder])
      rmSync(folder, { recursive: true })
    },
  }
}

function canMount(): boolean {
  using disk = smallDisk()
  return disk !== undefined
}

/**
 * Writes until three verifications in a row are 503, and gives the number of their code, which none of them spent. Until
 * then some writes may still be accepted, each of them truly: the write-ahead log has a last block of its own, and begins
 * anew in the space it has whenever it could be copied into the database without a new block.
 */
async function untilUnavailable(
  visitor: Visitor,
  code: (counter: number) => string,
  fill: () => void,
): Promise<number> {
  const deadline = Date.now() + 60_000
  for (let next = 1, refused = 0; ; ) {
    fill()
    const writes = await Promise.all(Array.from({ length: 50 }, () => visitor.createUser()))
    for (const reply of writes) if (reply.status !== 201) expectUnavailable(reply)
    const reply = await visitor.verify(code(next))
    if (reply.status === 200) {
      expect(reply.json()).toMatchObject({ result: 'ACCEPTED' })
      next++
      refused = 0
    } else {
      expectUnavailable(reply)
      refused++
    }
    if (refused === 3) return next
    expect(Date.now(), 'the disk is full').toBeLessThan(deadline)
  }
}

describe('R9: a full disk under SQLite', () => {
  async function fillAndFree(disk: Disk): Promise<void> {
    await using installation = await createInstallation({ engine: 'sqlite', folder: disk.folder })
    const server = await installation.start()
    using visitor = new Visitor(installation, server.url)
    const code = (counter: number) => installation.seeds.hotp[0]?.code(counter) ?? ''
    await expectAcceptedOnce(visitor, code(0))

    const next = await untilUnavailable(visitor, code, () => disk.fill(server.pid))
    expect((await visitor.readUsers()).status).toBe(200)

    disk.free(server.pid)
    await expect
      .poll(async () => (await visitor.createUser()).status, { timeout: 30_000, interval: 100 })
      .toBe(201)
    await expectAcceptedOnce(visitor, code(next))
    expect(await server.stop()).toMatchObject({ code: 0 })

    const again = await installation.start()
    using other = new Visitor(installation, again.url)
    expect((await other.verify(code(next))).json()).toMatchObject({ result: 'REJECTED' })
    await expectAcceptedOnce(other, code(next + 1))
  }

  test(
    'writes are 503 and nothing is spent, reads go on, and it recovers without a restart',
    async () => {
      using disk = limitedDisk()
      await fillAndFree(disk)
    },
    testMs,
  )

  test.skipIf(!canMount())(
    'the same on a file system without a free block',
    async () => {
      using disk = smallDisk()
      if (disk !== undefined) await fillAndFree(disk)
    },
    testMs,
  )
})
