import type { BackupHeader } from './format.ts'
import type { BackupContents } from './manifest.ts'

const linesMax = 20

/** Tells a person which backup this is, before anything is done with it. */
export function describeBackup({
  header,
  tables,
  tenants,
  chains,
}: BackupContents & { header: BackupHeader }): { document: object; lines: string[] } {
  const { id, createdAt, engine, schemaVersion, masterKeyId } = header
  const ends = new Map(chains.map(({ tenantId, seq, hash }) => [tenantId, { seq, hash }]))
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  const tenantLines = tenants.map(({ id, name, status }) => {
    const end = ends.get(id)
    const chain = end ? `journal ends at ${end.seq} (${end.hash.slice(0, 16)})` : 'no journal'
    return `  ${id} "${name}" ${status}, ${chain}`
  })
  return {
    document: {
      id,
      createdAt,
      engine,
      schemaVersion,
      masterKeyId,
      rows,
      tables: tables.map(({ name, rows }) => ({ name, rows })),
      tenants,
      chains,
    },
    lines: [
      `backup ${id}`,
      `made at ${createdAt} from ${engine}, schema version ${schemaVersion}, master key ${masterKeyId}`,
      `${rows} rows, ${tenants.length} tenants:`,
      ...tenantLines.slice(0, linesMax),
      ...(tenantLines.length > linesMax ? [`  and ${tenantLines.length - linesMax} more`] : []),
    ],
  }
}
