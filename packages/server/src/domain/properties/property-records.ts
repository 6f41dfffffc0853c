import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import { type PropertyHead, propertiesPerUserMax } from './property.ts'

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

/** @throws DomainError `limit_reached` */
export async function requireRoom(
  { properties }: Stores,
  { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
  max = propertiesPerUserMax,
): Promise<void> {
  if ((await properties.countOfUser(tenantId, userId, max)) < max) return
  throw new DomainError('limit_reached', `A user has at most ${max} properties.`)
}
