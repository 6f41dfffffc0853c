import { hkdfSync } from 'node:crypto'
import { z } from 'zod'
import type { MasterKey } from '#custody/master-key.ts'
import { CommandError, exitCodes } from '../failure.ts'

/**
 * A backup file (docs/operations.md describes it for whoever wants to read one without this program):
 *
 *     "countersign-backup\n"
 *     header length      32 bits, big-endian
 *     header             JSON
 *     chunk ...          flag (0: more follow, 1: the last), length (32 bits), AES-256-GCM ciphertext and tag
 *
 * The chunks' plain text is lines of JSON: for each table `{"table", "columns"}` and its rows, at the end `{"manifest"}`.
 */
export const magic = 'countersign-backup\n'
export const formatVersion = 1
export const headerBytesMax = 65_536
export const chunkBytesMax = 65_536
export const tagBytes = 16
export const lengthBytes = 4
export const flagBytes = 1
/** A manifest of many tenants is the longest line. */
export const lineCharactersMax = 134_217_728
export const manifestTyp = 'countersign-backup+jws'

const keyInfo = 'countersign backup v1'
const keyBytes = 32

const headerSchema = z.strictObject({
  format: z.literal('countersign-backup'),
  version: z.literal(formatVersion),
  /** ULID. */
  id: z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/),
  createdAt: z.iso.datetime(),
  engine: z.enum(['sqlite', 'postgres']),
  schemaVersion: z.int().min(1),
  masterKeyId: z.string().regex(/^[0-9a-f]{16}$/),
  /** The file's own secret, wrapped by the master key: it also tells at once whether a master key is the right one. */
  wrappedKey: z.base64(),
})

/** What a backup says of itself before anything is decrypted. */
export type BackupHeader = Readonly<z.infer<typeof headerSchema>>

/** The text of a table's first line. */
export const tableLineSchema = z.strictObject({
  table: z.string(),
  columns: z.array(z.string()),
})

export const manifestLineSchema = z.strictObject({ manifest: z.string() })

/** @throws CommandError for anything but a header of this version. */
export function parseHeader(bytes: Uint8Array): BackupHeader {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    value = undefined
  }
  const parsed = headerSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const version = z.object({ version: z.number() }).safeParse(value).data?.version
  throw damaged(
    version !== undefined && version !== formatVersion
      ? `The backup has format version ${version}; this program reads ${formatVersion}.`
      : 'The header of the backup is damaged.',
  )
}

/** Where a backup's own secret is bound to. */
export function wrapPlaceOf(backupId: string): string {
  return `backup\n${backupId}`
}

/**
 * The key of the chunks. The header's digest is its salt, so that no chunk opens under a changed header.
 *
 * @throws CommandError when the master key is another one.
 */
export function chunkKey(
  { id, masterKeyId, wrappedKey }: BackupHeader,
  headerDigest: Uint8Array,
  masterKey: MasterKey,
): Uint8Array {
  const secret = masterKey.unwrap(Buffer.from(wrappedKey, 'base64'), wrapPlaceOf(id))
  if (secret === undefined) {
    throw new CommandError(
      exitCodes.configuration,
      masterKeyId === masterKey.id
        ? 'The header of the backup was changed: its key does not open.'
        : `The backup was made with the master key ${masterKeyId}; the one that is configured is ${masterKey.id}.`,
    )
  }
  return deriveChunkKey(secret, headerDigest)
}

export function deriveChunkKey(secret: Uint8Array, headerDigest: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, headerDigest, keyInfo, keyBytes))
}

export function damaged(message: string): CommandError {
  return new CommandError(exitCodes.badData, message)
}
