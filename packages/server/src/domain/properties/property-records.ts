import type { Caller } from '../callers/caller.ts'
import type { Stores } from '../storage.ts'
import type { PropertyHead } from './property.ts'

/** Puts a change into the journal; values never are in it. */
export async function recordChange(
  { journal }: Stores,
  caller: Caller,
  action: 'property.created' | 'property.updated' | 'property.deleted',
  property: PropertyHead,
  changed?: readonly string[],
): Promise<void> {
  const { tenantId, id, userId, deviceId, name, encryption } = property
  await journal.append(caller, tenantId, {
    action,
    target: { type: 'property', id },
    userId,
    detail: {
      name,
      encryption,
      ...(deviceId === null ? {} : { deviceId }),
      ...(changed === undefined ? {} : { changed: [...changed] }),
    },
  })
}

/** Whether the user can have one more. */
export async function hasRoom(
  { properties }: Stores,
  { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
  max: number,
): Promise<boolean> {
  return !(await properties.hasAsMany(tenantId, userId, max))
}
