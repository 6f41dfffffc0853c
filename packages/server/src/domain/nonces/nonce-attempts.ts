import { DomainError } from '../errors.ts'
import type { Stores } from '../storage.ts'
import { nonceFailuresMs } from './nonce-attempt-store.ts'

/** What a device tries for its user: counted as failed before it is known to be right, for both. */
export interface Attempts {
  /** @throws DomainError `too_many_requests`, which takes back what was counted. */
  take(nowMs: number): Promise<void>
  /** It was right. */
  giveBack(): Promise<void>
}

/** In the running transaction. */
export function attemptsOf(
  { nonces: { attempts } }: Stores,
  by: { readonly tenantId: string; readonly deviceId: string; readonly userId: string },
): Attempts {
  const { tenantId } = by
  const subjects = [`device/${by.deviceId}`, `user/${by.userId}`]
  return {
    async take(nowMs) {
      for (const subject of subjects) {
        if (await attempts.take({ tenantId, subject }, nowMs)) continue
        const endsAtMs = (await attempts.endOf({ tenantId, subject })) ?? nowMs + nonceFailuresMs
        throw new DomainError('too_many_requests', 'Too many nonces that are none.', {
          retryAfterSeconds: Math.ceil((endsAtMs - nowMs) / 1000),
        })
      }
    },
    async giveBack() {
      for (const subject of subjects) await attempts.giveBack({ tenantId, subject })
    },
  }
}
