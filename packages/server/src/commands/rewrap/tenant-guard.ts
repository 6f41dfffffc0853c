import { platformTenantId } from '#domain/callers/caller.ts'
import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'

const touch = statement((db, p: { tenantId: string }) =>
  db
    .updateTable('tenant')
    .set((column) => ({ updated_at: column.ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('status', '<>', 'DELETED'),
)

/**
 * Holds a tenant for the running transaction: whoever deletes it waits, and then also removes what this transaction
 * wrote. Without this a key could outlive the tenant whose deletion should have made everything unreadable.
 *
 * @returns false when the tenant is gone.
 */
export async function holdTenant(queries: Queries, tenantId: string): Promise<boolean> {
  return tenantId === platformTenantId || (await queries.run(touch, { tenantId })) === 1
}
