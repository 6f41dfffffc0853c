import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import type { JWK } from 'jose'
import type { MasterKey } from '#custody/master-key.ts'
import { platformTenantId } from '#domain/callers/caller.ts'
import { latestVersion } from '#storage/migrations/list.ts'
import type { Row } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
import { ChainInspector, type TableSummary } from '../inspection.ts'
import { parseRow, RowsDigest } from '../row-lines.ts'
import type { Progress } from '../terminal.ts'
import {
  type BackupHeader,
  chunkKey,
  damaged,
  headerBytesMax,
  lengthBytes,
  lineCharactersMax,
  magic,
  manifestLineSchema,
  parseHeader,
  tableLineSchema,
} from './format.ts'
import { type Manifest, requireManifest, type SignedManifest } from './manifest.ts'
import { openedChunks, readExactly } from './sealed-chunks.ts'
import { collectTenant } from './write-backup.ts'

/** One row as it stands in a backup. */
export interface BackupRow {
  readonly table: Table
  readonly row: Row
  readonly line: string
}

/** The end of a backup's rows. */
interface BackupEnd {
  readonly manifestJws: string
}

/** A backup that is open for reading, as often as needed. */
export class BackupFile implements AsyncDisposable {
  readonly header: BackupHeader
  readonly bytes: number
  readonly #handle: FileHandle
  readonly #key: Uint8Array
  readonly #start: number

  /** @throws CommandError when this is no backup, or the master key is not the one it was made with. */
  static async open(path: string, masterKey: MasterKey): Promise<BackupFile> {
    const handle = await open(path, 'r')
    try {
      const found = await readExactly(handle, 0, magic.length + lengthBytes).catch(() => undefined)
      if (found?.toString('latin1', 0, magic.length) !== magic) {
        throw damaged(`${path} is not a backup of this program.`)
      }
      const length = found.readUInt32BE(magic.length)
      if (length > headerBytesMax) throw damaged('The header of the backup is damaged.')
      const text = await readExactly(handle, found.length, length)
      const header = parseHeader(text)
      const digest = createHash('sha256').update(found).update(text).digest()
      const key = chunkKey(header, digest, masterKey)
      const { size } = await handle.stat()
      return new BackupFile({ handle, header, key, start: found.length + length, bytes: size })
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  private constructor(file: {
    handle: FileHandle
    header: BackupHeader
    key: Uint8Array
    start: number
    bytes: number
  }) {
    this.#handle = file.handle
    this.header = file.header
    this.#key = file.key
    this.#start = file.start
    this.bytes = file.bytes
  }

  /**
   * All rows in their order, and at last the manifest. What comes before an error is authentic but not whole.
   *
   * @throws CommandError when the file is damaged or holds anything unknown.
   */
  async *entries(progress: Progress, signal: AbortSignal): AsyncGenerator<BackupRow | BackupEnd> {
    if (this.header.schemaVersion !== latestVersion) {
      throw damaged(
        `The backup is of schema version ${this.header.schemaVersion} and this program of ${latestVersion}: restore it with the release that made it, then migrate.`,
      )
    }
    const expected = [...listTables()]
    let table: Table | undefined
    let isAtEnd = false
    for await (const line of this.#lines(progress)) {
      signal.throwIfAborted()
      if (isAtEnd) throw damaged('The backup goes on behind its manifest.')
      if (line.startsWith('[')) {
        const row = table && parseRow(table, line)
        if (table === undefined || row === undefined) throw damaged('A row has not its table.')
        yield { table, row, line }
      } else if (expected.length > 0) {
        table = requireTable(line, expected.shift())
      } else {
        isAtEnd = true
        yield { manifestJws: readManifestLine(line) }
      }
    }
    if (!isAtEnd) throw damaged('The backup has no manifest.')
  }

  async *#lines(progress: Progress): AsyncGenerator<string> {
    const decoder = new StringDecoder('utf8')
    let rest: string[] = []
    let restLength = 0
    for await (const chunk of openedChunks(this.#handle, this.#start, this.#key)) {
      progress.add(chunk.length)
      const [first = '', ...others] = decoder.write(chunk).split('\n')
      rest.push(first)
      restLength += first.length
      if (restLength > lineCharactersMax) throw damaged('A line of the backup is too long.')
      for (const next of others) {
        yield rest.join('')
        rest = [next]
        restLength = next.length
      }
    }
    if (restLength > 0) throw damaged('The last line of the backup is not whole.')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

function requireTable(line: string, expected: Table | undefined): Table {
  const parsed = tableLineSchema.safeParse(parseJson(line))
  const names = expected?.columns.map(({ name }) => name).join()
  if (expected && parsed.data?.table === expected.name && parsed.data.columns.join() === names) {
    return expected
  }
  throw damaged(`The backup has not the table ${expected?.name ?? ''} as this program knows it.`)
}

function readManifestLine(line: string): string {
  const parsed = manifestLineSchema.safeParse(parseJson(line))
  if (!parsed.success) throw damaged('The backup has no manifest.')
  return parsed.data.manifest
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Reads a backup to its end and checks everything: every piece, every table's count and digest, every chain's end, and
 * the signature over all of it.
 *
 * @param trustedKeys keys that were kept elsewhere; without them the ones in the backup itself are taken.
 * @throws CommandError
 */
export async function verifyBackup(
  file: BackupFile,
  {
    trustedKeys,
    progress,
    signal,
  }: { trustedKeys?: readonly JWK[] | undefined; progress: Progress; signal: AbortSignal },
): Promise<SignedManifest & { chainFaults: readonly string[] }> {
  const digests = new Map(listTables().map(({ name }) => [name, new RowsDigest()]))
  const tenants: Manifest['tenants'] = []
  const chains = new ChainInspector()
  const ownKeys: JWK[] = []
  let manifestJws = ''
  for await (const entry of file.entries(progress, signal)) {
    if ('manifestJws' in entry) {
      manifestJws = entry.manifestJws
      continue
    }
    digests.get(entry.table.name)?.add(entry.line)
    chains.add(entry.table, entry.row)
    collectTenant(tenants, entry.table, entry.row)
    collectAuditKey(ownKeys, entry)
  }
  const tables = [...digests].map(
    ([name, digest]): TableSummary => ({ name, rows: digest.count, sha256: digest.end() }),
  )
  const contents = { tables, tenants, chains: chains.end() }
  const signed = await requireManifest(manifestJws, trustedKeys ?? ownKeys, {
    header: file.header,
    contents,
  })
  return { ...signed, chainFaults: chains.faults }
}

function collectAuditKey(keys: JWK[], { table, row }: BackupRow): void {
  const isAuditKey =
    table.name === 'signing_key' && row.tenant_id === platformTenantId && row.purpose === 'audit'
  if (isAuditKey) keys.push(JSON.parse(String(row.public_jwk)) as JWK)
}
