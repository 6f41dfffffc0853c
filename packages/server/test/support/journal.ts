import type { Database } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

export interface JournalText {
  readonly action: string
  readonly outcome: string
  readonly surface: string
  readonly actor: { readonly type: string; readonly id: string | null }
  readonly target: { readonly type: string; readonly id: string } | null
  readonly userId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

const readQueue = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('journal_queue')
    .select(['head', 'middle', 'tail'])
    .where('tenant_id', '=', p.tenantId)
    .orderBy('id'),
)

const readChain = statement((db, p: { tenantId: string }) =>
  db.selectFrom('journal_record').select('body').where('tenant_id', '=', p.tenantId).orderBy('seq'),
)

/** All journal records of a tenant, oldest first, whether they are in the chain or still wait for the sealer. */
export async function writtenRecords(
  database: Database,
  tenantId: string,
): Promise<readonly JournalText[]> {
  const chained = await database.reader.all(readChain, { tenantId })
  const waiting = await database.reader.all(readQueue, { tenantId })
  return [
    ...chained.map(({ body }) => body),
    ...waiting.map(({ head, middle, tail }) => head + middle + tail),
  ].map((text) => JSON.parse(text) as JournalText)
}
