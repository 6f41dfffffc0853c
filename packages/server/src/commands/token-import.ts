import { createReadStream, readFileSync, statSync } from 'node:fs'
import { decodeHex } from '@countersign/protocol/encoding/hex.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { Vault } from '#custody/vault.ts'
import { Caller } from '#domain/callers/caller.ts'
import type { Clock } from '#domain/clock.ts'
import type { ImportReport } from '#domain/otp-tokens/import-report.ts'
import { ImportService, type StreamRequest } from '#domain/otp-tokens/import-service.ts'
import { parsePskcStream } from '#domain/otp-tokens/seed-files/pskc-file.ts'
import type { PskcKeys } from '#domain/otp-tokens/seed-files/pskc-protection.ts'
import type { SecretEncoding, SeedFormat } from '#domain/otp-tokens/seed-files/seed-file.ts'
import { Storage } from '#domain/storage.ts'
import { createIdSource } from '#domain/ulid.ts'
import { openDatabase } from '#storage/database.ts'
import { DatabaseInUseError } from '#storage/sqlite.ts'
import { CommandError, exitCodes } from './failure.ts'
import { getMasterKeyCheck, requireRightMasterKey } from './installation.ts'
import { configuredDatabase, readSecretFile, readSettings, requireMasterKey } from './settings.ts'
import type { Progress, Terminal } from './terminal.ts'

export interface TokenImportOptions {
  readonly tenant: string
  readonly product?: string
  readonly format?: string
  readonly encoding?: string
  readonly keyFile?: string
  readonly passwordFile?: string
  readonly dryRun?: boolean
  readonly skipDuplicates?: boolean
}

/** Larger files are not held in memory. They are PSKC, and stored in batches instead of all or none. */
const wholeBytesMax = 4_194_304

const formats: readonly SeedFormat[] = ['PSKC', 'CSV', 'DUALSHIELD']
const encodings: readonly SecretEncoding[] = ['BASE32', 'HEX', 'BASE64']
const clock: Clock = () => Date.now()

/** Everything that the options say, checked. */
interface ImportJob {
  readonly file: string
  readonly tenantId: string
  readonly product: { readonly manufacturerCode: string; readonly productCode: string } | undefined
  readonly format: SeedFormat | 'AUTO'
  readonly encoding: SecretEncoding
  /** AES key in hex. */
  readonly key: string | undefined
  readonly password: string | undefined
  readonly dryRun: boolean
  readonly duplicates: StreamRequest['duplicates']
}

/** Imports a seed file into the configured database; on SQLite no server may have it open. */
export async function tokenImport(
  terminal: Terminal,
  file: string,
  options: TokenImportOptions,
): Promise<void> {
  const job = readJob(file, options)
  const isLarge = statSync(file).size > wholeBytesMax
  const settings = readSettings()
  const masterKey = requireMasterKey(settings)
  const target = configuredDatabase(settings)
  const database = open(target.url)
  try {
    await database.migrate()
    const check = await getMasterKeyCheck(database.reader, target.name)
    await requireRightMasterKey(database.reader, masterKey, check)
    const nextId = createIdSource(clock, systemRandomness)
    const storage = new Storage(database, clock, nextId)
    const vault = new Vault(masterKey, storage.read.tenantKeys, systemRandomness)
    const imports = new ImportService({ storage, vault, clock, nextId })
    if (isLarge) await importLarge(terminal, imports, job)
    else await importWhole(terminal, imports, job)
  } finally {
    await database.close()
  }
}

async function importWhole(
  terminal: Terminal,
  imports: ImportService,
  job: ImportJob,
): Promise<void> {
  const { tenantId, product, format, encoding, key, password, dryRun, duplicates } = job
  const report = await imports.importFile(Caller.system(), tenantId, {
    file: { text: readText(job.file), format, encoding, key, password },
    ...(product === undefined ? {} : { product }),
    duplicates,
    dryRun,
  })
  terminal.result(report, describe(report))
  if (report.failed > 0) process.exitCode = exitCodes.badData
}

function describe({
  dryRun,
  format,
  total,
  imported,
  skipped,
  failed,
  entries,
}: ImportReport): string[] {
  const failures = entries.filter(({ result }) => result === 'FAILED')
  const outcome =
    failed > 0 && !dryRun
      ? 'Nothing was imported.'
      : `${dryRun ? 'Importable' : 'Imported'}: ${imported}.`
  return [
    ...failures.map(
      ({ index, serial, message }) => `entry ${index} (${serial ?? '-'}): ${message}`,
    ),
    `${format}, ${total} entries. ${outcome} Skipped: ${skipped}. Failed: ${failed}.`,
  ]
}

async function importLarge(
  terminal: Terminal,
  imports: ImportService,
  job: ImportJob,
): Promise<void> {
  const { file, tenantId, product, duplicates } = job
  if (product === undefined) {
    throw new CommandError(exitCodes.usage, 'A file of more than 4 MiB needs --product.')
  }
  using progress = terminal.progress('importing', statSync(file).size)
  const entries = parsePskcStream(textOf(file, progress, terminal.signal), pskcKeys(job))
  if (job.dryRun) {
    let total = 0
    for await (const _ of entries) total += 1
    terminal.result({ dryRun: true, format: 'PSKC', total }, [
      `PSKC, ${total} entries can be read. Which of them are there already was not looked up.`,
    ])
    return
  }
  let reached = { imported: 0, skipped: 0 }
  try {
    await imports.importStream(
      Caller.system(),
      tenantId,
      entries,
      { product, duplicates },
      (now) => {
        reached = now
      },
    )
  } catch (error) {
    if (reached.imported > 0) {
      terminal.note(
        `${reached.imported} tokens were imported before; --skip-duplicates goes on behind them.`,
      )
    }
    throw error
  }
  const { imported, skipped } = reached
  terminal.result({ dryRun: false, format: 'PSKC', total: imported + skipped, imported, skipped }, [
    `PSKC, ${imported + skipped} entries. Imported: ${imported}. Skipped: ${skipped}.`,
  ])
}

function open(url: string): ReturnType<typeof openDatabase> {
  try {
    return openDatabase(url)
  } catch (error) {
    if (!(error instanceof DatabaseInUseError)) throw error
    throw new CommandError(
      exitCodes.unavailable,
      `${error.message} Stop it, or import through its API.`,
      { cause: error },
    )
  }
}

function readJob(file: string, options: TokenImportOptions): ImportJob {
  const { tenant, keyFile, passwordFile } = options
  if (keyFile !== undefined && passwordFile !== undefined) {
    throw usage('--key-file and --password-file exclude each other.')
  }
  return {
    file,
    tenantId: tenant,
    product: options.product === undefined ? undefined : readProduct(options.product),
    format: options.format === undefined ? 'AUTO' : oneOf('--format', options.format, formats),
    encoding: oneOf('--encoding', options.encoding ?? 'BASE32', encodings),
    key: keyFile === undefined ? undefined : readSecretFile(keyFile).trim(),
    password: passwordFile === undefined ? undefined : readSecretFile(passwordFile),
    dryRun: options.dryRun === true,
    duplicates: options.skipDuplicates === true ? 'SKIP' : 'REJECT',
  }
}

function readProduct(text: string): ImportJob['product'] {
  const [, manufacturerCode = '', productCode = ''] = /^([^/]+)\/([^/]+)$/.exec(text) ?? []
  if (productCode === '')
    throw usage('--product must be <manufacturer>/<product>, such as CS/TOTP.')
  return { manufacturerCode, productCode }
}

function oneOf<T extends string>(option: string, text: string, values: readonly T[]): T {
  const value = values.find((candidate) => candidate === text.toUpperCase())
  if (value === undefined) throw usage(`${option} must be one of ${values.join(', ')}.`)
  return value
}

function pskcKeys({ key, password }: ImportJob): PskcKeys {
  if (key === undefined) return { password }
  const bytes = decodeHex(key)
  if (bytes === undefined) throw usage('--key-file must name a file that holds a key in hex.')
  return { key: bytes }
}

function readText(path: string): string {
  return decode(() => new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)), path)
}

async function* textOf(
  path: string,
  progress: Progress,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    signal.throwIfAborted()
    yield decode(() => decoder.decode(chunk, { stream: true }), path)
    progress.add(chunk.length)
  }
  yield decode(() => decoder.decode(), path)
}

function decode(read: () => string, path: string): string {
  try {
    return read()
  } catch (error) {
    throw new CommandError(exitCodes.badData, `${path} is not UTF-8 text.`, { cause: error })
  }
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, message)
}
