import {
  type DeliveryKind,
  isTaken,
  type Performed,
  type Settlement,
} from '#domain/outbox/delivery-kind.ts'
import { type Attempt, type OutboxMessage, withAttempt } from '#domain/outbox/outbox-message.ts'

/** What an attempt makes of a message, ready to be written down. */
export type Outcome = Settlement & {
  readonly attempts: readonly Attempt[]
  readonly tries: number
  /** Of `retried`: when. */
  readonly dueAtMs: number
  /** Whether the receiver works; undefined: nothing was learnt of it. */
  readonly isReceiverWell?: boolean
}

/** Longer by up to a tenth: what failed together does not come back together. */
const jitterMax = 0.1

/**
 * Decides after an attempt.
 *
 * @param chance from 0 up to 1.
 */
export function outcomeOf(
  kind: DeliveryKind,
  message: OutboxMessage,
  performed: Performed,
  { nowMs, chance }: { nowMs: number; chance: number },
): Outcome {
  const { tries, deadlineMs } = message
  const { attempt, verdict, isReceiverWell, retryAfterMs = 0, effect } = performed
  const attempts = withAttempt(message.attempts, attempt)
  const base = { message, attempt, attempts, isReceiverWell, dueAtMs: 0, ...(effect && { effect }) }
  if (verdict === 'taken') return { ...base, outcome: 'delivered', tries }
  const failedTries = tries + 1
  const delayMs = verdict === 'final' ? undefined : kind.retry.delayAfter(failedTries)
  const waitMs = Math.max(delayMs ?? 0, retryAfterMs)
  const dueAtMs = nowMs + Math.round(waitMs * (1 + jitterMax * chance))
  const isOver = delayMs === undefined || dueAtMs >= deadlineMs
  return isOver
    ? { ...base, outcome: 'failed', tries: failedTries }
    : { ...base, outcome: 'retried', tries: failedTries, dueAtMs }
}

/** An answer over HTTP, where the status code says all. */
export function plainlyPerformed(attempt: Attempt): Performed {
  const isWell = isTaken(attempt)
  return {
    attempt,
    verdict: isWell ? 'taken' : isFinal(attempt) ? 'final' : 'again',
    isReceiverWell: isWell,
  }
}

/** 410 Gone: the receiver says that asking again is in vain. */
function isFinal({ statusCode, error }: Attempt): boolean {
  return error === null && statusCode === 410
}
