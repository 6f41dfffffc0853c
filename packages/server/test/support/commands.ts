import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { MasterKey } from '#custody/master-key.ts'
import { JwsVerifier } from '#custody/signer.ts'
import { CheckpointService } from '#domain/journal/checkpoint-service.ts'
import { openSnapshot } from '#storage/snapshot.ts'
import { rowsOf } from '#storage/table-rows.ts'
import { listTables } from '#storage/tables.ts'
import { formatRow } from '../../src/commands/row-lines.ts'
import { createTokenBench, type TokenBench, tenantId } from './otp-tokens.ts'
import { createTestDatabase } from './postgres.ts'

const program = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** How a command ended. */
export interface CommandEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly cwd?: string
}

/** Starts `countersign` as a process of its own. */
export function startCommand(args: readonly string[], options: CommandOptions = {}): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('COUNTERSIGN_'))
  return spawn(process.execPath, [program, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export async function runCommand(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandEnd> {
  return endOf(startCommand(args, options), options.stdin)
}

export async function endOf(child: ChildProcess, stdin = ''): Promise<CommandEnd> {
  if (!child.stdin || !child.stdout || !child.stderr) throw new Error('The process has no pipes.')
  child.stdin.end(stdin)
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

/** The JSON document that a command printed. */
export function documentOf({ stdout }: CommandEnd): Record<string, unknown> {
  return JSON.parse(stdout) as Record<string, unknown>
}

/** A folder with a master key and a database as servers leave them. */
export interface Installation extends AsyncDisposable {
  readonly folder: string
  readonly url: string
  readonly keyFile: string
  /** Of the settings; other databases can be named. */
  env(url?: string): Record<string, string>
  /** A path inside the folder. */
  path(name: string): string
  /** An empty database of the engine; dropped at the end. */
  emptyDatabase(engine: 'sqlite' | 'postgres'): Promise<string>
}

/** Writes a master key file of its own. */
export function writeKeyFile(path: string, byte: number): MasterKey {
  const bytes = Buffer.alloc(32, byte)
  writeFileSync(path, `${bytes.toString('base64')}\n`, { mode: 0o600 })
  return new MasterKey(bytes)
}

/**
 * Two tenants with users, tokens, a sealed journal and a checkpoint.
 *
 * @param fill makes more of it.
 */
export async function createInstallation(
  engine: 'sqlite' | 'postgres',
  fill: (bench: TokenBench) => Promise<void> = async () => {},
): Promise<Installation> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-command-'))
  const dropped: (() => Promise<void>)[] = []
  let count = 0
  const emptyDatabase = async (kind: 'sqlite' | 'postgres'): Promise<string> => {
    if (kind === 'sqlite') return `sqlite:${join(folder, `database-${++count}.db`)}`
    const database = await createTestDatabase()
    dropped.push(() => database.drop())
    return database.url
  }
  const url = await emptyDatabase(engine)
  const keyFile = join(folder, 'master.key')
  const masterKey = writeKeyFile(keyFile, 7)
  {
    await using bench = await createTokenBench({ url, masterKey })
    await bench.addToken()
    await fill(bench)
    await sealJournal(bench)
  }
  return {
    folder,
    url,
    keyFile,
    env: (other = url) => ({
      COUNTERSIGN_DATABASE_URL: other,
      COUNTERSIGN_MASTER_KEY_FILE: keyFile,
    }),
    path: (name) => join(folder, name),
    emptyDatabase,
    async [Symbol.asyncDispose]() {
      for (const drop of dropped) await drop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Chains all records and signs a checkpoint over those of `acme`. */
export async function sealJournal({ core }: TokenBench): Promise<void> {
  await core.sealer.sealAll()
  const head = await core.storage.read.chain.findHead(tenantId)
  if (head === undefined) throw new Error('The tenant has no records.')
  const { storage, signer, clock, nextId } = core
  const verifier = new JwsVerifier()
  const checkpoints = new CheckpointService({ storage, signer, verifier, clock, nextId })
  await checkpoints.create(tenantId, head, 'REQUESTED')
}

/** Every row of every table, in order of key, as lines; of a database that others may be writing to. */
export async function allRows(url: string): Promise<Record<string, string[]>> {
  await using snapshot = await openSnapshot(url)
  const rows: Record<string, string[]> = {}
  for (const table of listTables()) {
    const lines: string[] = []
    for await (const page of rowsOf(snapshot.queries, table)) {
      lines.push(...page.map((row) => formatRow(table, row)))
    }
    rows[table.name] = lines
  }
  return rows
}
