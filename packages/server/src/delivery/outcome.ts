import { type DeliveryKind, isTaken, type Settlement } from '#domain/outbox/delivery-kind.ts'
import { type Attempt, type OutboxMessage, withAttempt } from '#domain/outbox/outbox-message.ts'

/** What an attempt makes of a message, ready to be written down. */
export type Outcome = Settlement & {
  readonly attempts: readonly Attempt[]
  readonly tries: number
  /** Of `retried`: when. */
  readonly dueAtMs: number
}

/** Longer by up to a tenth: what failed together does not come back together. */
const jitterMax = 0.1

/**
 * Decides after an attempt. Undefined attempt: nobody wants the message any more.
 *
 * @param chance from 0 up to 1.
 */
export function outcomeOf(
  kind: DeliveryKind,
  message: OutboxMessage,
  attempt: Attempt | undefined,
  { nowMs, chance }: { nowMs: number; chance: number },
): Outcome {
  const { tries, deadlineMs } = message
  const attempts = attempt === undefined ? message.attempts : withAttempt(message.attempts, attempt)
  const base = { message, attempt, attempts, dueAtMs: 0 }
  if (attempt === undefined) return { ...base, outcome: 'failed', tries }
  if (isTaken(attempt)) return { ...base, outcome: 'delivered', tries }
  const failedTries = tries + 1
  const delayMs = isFinal(attempt) ? undefined : kind.retry.delayAfter(failedTries)
  const dueAtMs = nowMs + Math.round((delayMs ?? 0) * (1 + jitterMax * chance))
  const isOver = delayMs === undefined || dueAtMs >= deadlineMs
  return isOver
    ? { ...base, outcome: 'failed', tries: failedTries }
    : { ...base, outcome: 'retried', tries: failedTries, dueAtMs }
}

/** 410 Gone: the receiver says that asking again is in vain. */
function isFinal({ statusCode, error }: Attempt): boolean {
  return error === null && statusCode === 410
}
