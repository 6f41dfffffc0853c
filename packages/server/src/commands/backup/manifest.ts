import type { JWK } from 'jose'
import { z } from 'zod'
import { JwsVerifier } from '#custody/signer.ts'
import type { ChainEnd, TableSummary } from '../inspection.ts'
import { type BackupHeader, damaged, manifestTyp } from './format.ts'

const manifestSchema = z.strictObject({
  v: z.literal(1),
  id: z.string(),
  createdAt: z.string(),
  engine: z.string(),
  schemaVersion: z.int(),
  masterKeyId: z.string(),
  tables: z.array(z.strictObject({ name: z.string(), rows: z.int(), sha256: z.string() })),
  tenants: z.array(
    z.strictObject({ id: z.string(), number: z.int(), name: z.string(), status: z.string() }),
  ),
  chains: z.array(z.strictObject({ tenantId: z.string(), seq: z.int(), hash: z.string() })),
})

/** What a backup holds, signed by the platform's audit key: which moment, which tenants, where their chains end. */
export type Manifest = Readonly<z.infer<typeof manifestSchema>>

/** What was found by reading a backup to its end. */
export interface BackupContents {
  readonly tables: readonly TableSummary[]
  readonly tenants: Manifest['tenants']
  readonly chains: readonly ChainEnd[]
}

export interface SignedManifest {
  readonly manifest: Manifest
  /** Of the key that signed it. */
  readonly kid: string
}

/** The manifest's text, to be signed. */
export function formatManifest(header: BackupHeader, contents: BackupContents): string {
  const { id, createdAt, engine, schemaVersion, masterKeyId } = header
  const manifest: Manifest = {
    v: 1,
    id,
    createdAt,
    engine,
    schemaVersion,
    masterKeyId,
    tables: [...contents.tables],
    tenants: contents.tenants,
    chains: [...contents.chains],
  }
  return JSON.stringify(manifest)
}

/**
 * Checks a manifest against the keys, the header and what was read.
 *
 * @throws CommandError unless everything agrees.
 */
export async function requireManifest(
  jws: string,
  keys: readonly JWK[],
  { header, contents }: { header: BackupHeader; contents: BackupContents },
): Promise<SignedManifest> {
  const verified = await new JwsVerifier().verify(jws, manifestTyp, keys)
  if (verified === undefined) {
    throw damaged('The manifest of the backup is not signed by a key that is known.')
  }
  const text = Buffer.from(verified.payload).toString('utf8')
  if (text !== formatManifest(header, contents)) {
    throw damaged('The backup does not hold what its manifest says.')
  }
  return { manifest: manifestSchema.parse(JSON.parse(text)), kid: String(verified.header.kid) }
}
