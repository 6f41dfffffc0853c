import type { Stores } from '../storage.ts'
import { type Caller, platformTenantId } from './caller.ts'
import type { ServiceAccount } from './service-account.ts'

interface Detail {
  readonly [name: string]: string | number | boolean | readonly string[]
}

/** Records a change of an account: in its tenant's journal, or in that of the platform. */
export async function reportAccount(
  { journal }: Stores,
  caller: Caller,
  action: `service-account.${string}`,
  { id, tenantId }: ServiceAccount,
  detail: Detail = {},
): Promise<void> {
  const target = { type: 'service-account', id }
  await journal.append(caller, tenantId ?? platformTenantId, { action, target, detail })
}
