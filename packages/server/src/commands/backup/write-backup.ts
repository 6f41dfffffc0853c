import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { MasterKey } from '#custody/master-key.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { Signer } from '#custody/signer.ts'
import { platformTenantId } from '#domain/callers/caller.ts'
import { createIdSource } from '#domain/ulid.ts'
import type { Snapshot } from '#storage/snapshot.ts'
import { type Row, rowsOf } from '#storage/table-rows.ts'
import { listTables, type Table } from '#storage/tables.ts'
import { ChainInspector, type TableSummary } from '../inspection.ts'
import { storesOf, vaultOf } from '../installation.ts'
import { formatRow, RowsDigest } from '../row-lines.ts'
import type { Progress } from '../terminal.ts'
import {
  type BackupHeader,
  damaged,
  deriveChunkKey,
  formatVersion,
  lengthBytes,
  magic,
  manifestTyp,
  wrapPlaceOf,
} from './format.ts'
import { type BackupContents, formatManifest, type Manifest } from './manifest.ts'
import { SealedWriter } from './sealed-chunks.ts'

const secretBytes = 32

export interface WrittenBackup {
  readonly header: BackupHeader
  readonly contents: BackupContents
  /** Of chains that are broken in the database itself. */
  readonly chainFaults: readonly string[]
}

/** Writes everything that the snapshot shows, in a bounded amount of memory. */
export async function writeBackup(
  handle: FileHandle,
  snapshot: Snapshot,
  {
    masterKey,
    signal,
    progress,
  }: { masterKey: MasterKey; signal: AbortSignal; progress: Progress },
): Promise<WrittenBackup> {
  const { header, writer } = await begin(handle, snapshot, masterKey)
  const tables: TableSummary[] = []
  const tenants: Manifest['tenants'] = []
  const chains = new ChainInspector()
  for (const table of listTables()) {
    await writer.writeLine(
      JSON.stringify({ table: table.name, columns: table.columns.map(({ name }) => name) }),
    )
    const digest = new RowsDigest()
    for await (const rows of rowsOf(snapshot.queries, table)) {
      signal.throwIfAborted()
      for (const row of rows) {
        const line = formatRow(table, row)
        digest.add(line)
        chains.add(table, row)
        collectTenant(tenants, table, row)
        await writer.writeLine(line)
      }
      progress.add(rows.length)
    }
    tables.push({ name: table.name, rows: digest.count, sha256: digest.end() })
  }
  const contents = { tables, tenants, chains: chains.end() }
  const manifest = await sign(snapshot, masterKey, formatManifest(header, contents))
  await writer.writeLine(JSON.stringify({ manifest }))
  await writer.end()
  return { header, contents, chainFaults: chains.faults }
}

/** Notes the tenant that a row is of; rows of other tables are passed over. */
export function collectTenant(tenants: Manifest['tenants'], table: Table, row: Row): void {
  if (table.name !== 'tenant') return
  tenants.push({
    id: String(row.tenant_id),
    number: Number(row.number),
    name: String(row.name),
    status: String(row.status),
  })
}

async function begin(
  handle: FileHandle,
  { engine, schemaVersion }: Snapshot,
  masterKey: MasterKey,
): Promise<{ header: BackupHeader; writer: SealedWriter }> {
  const nowMs = Date.now()
  const id = createIdSource(() => nowMs, systemRandomness)()
  const secret = systemRandomness(secretBytes)
  const header: BackupHeader = {
    format: 'countersign-backup',
    version: formatVersion,
    id,
    createdAt: new Date(nowMs).toISOString(),
    engine,
    schemaVersion,
    masterKeyId: masterKey.id,
    wrappedKey: Buffer.from(masterKey.wrap(secret, wrapPlaceOf(id), systemRandomness)).toString(
      'base64',
    ),
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(text.length)
  const start = Buffer.concat([Buffer.from(magic), length, text])
  await handle.appendFile(start)
  const digest = createHash('sha256').update(start).digest()
  return { header, writer: new SealedWriter(handle, deriveChunkKey(secret, digest)) }
}

async function sign({ queries }: Snapshot, masterKey: MasterKey, text: string): Promise<string> {
  const key = await storesOf(queries).signingKeys.findActive(platformTenantId, 'audit')
  if (key === undefined) throw damaged('The database has no audit key of the platform.')
  const signer = new Signer(vaultOf(queries, masterKey))
  return signer.signCompact(platformTenantId, key, manifestTyp, Buffer.from(text))
}
