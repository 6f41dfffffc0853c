/** Why an attempt brought no answer, in the contract's words; a status code stands beside it for REDIRECT. */
export type AttemptError = 'TIMEOUT' | 'CONNECTION' | 'TLS' | 'ADDRESS_REFUSED' | 'REDIRECT'

/** One attempt to deliver. `error` is null when an answer came, good or bad. */
export interface Attempt {
  readonly atMs: number
  readonly statusCode: number | null
  readonly error: AttemptError | null
  readonly durationMs: number
  /** What the receiver called it, a word of its own; only where it has such words. */
  readonly reason?: string
}

export type MessageStatus = 'WAITING' | 'DELIVERED' | 'FAILED'

/** Names a message for good. */
export interface MessageKey {
  readonly tenantId: string
  readonly target: string
  readonly id: string
}

/** Something that is to be sent, or was. */
export interface OutboxMessage extends MessageKey {
  readonly kind: string
  readonly orderKey: string
  readonly topic: string
  readonly status: MessageStatus
  /** When it is tried next; while a worker has it, when that worker's claim ends. */
  readonly dueAtMs: number
  readonly deadlineMs: number
  /** How often it was claimed. */
  readonly claim: number
  /** Failed attempts of the present series. */
  readonly tries: number
  /** The last ones, oldest first. */
  readonly attempts: readonly Attempt[]
  /** What the kind wrote beside the payload. */
  readonly envelope: string
  readonly payload: Uint8Array
  readonly createdAtMs: number
  readonly settledAtMs: number | null
}

/** What a feature hands over. */
export interface NewMessage {
  /** Name of a registered kind. */
  readonly kind: string
  /** Who gets it; messages for one target share its bounds and its misfortune. */
  readonly target: string
  /** In ordered kinds: messages with the same target and key go out one after the other, in the order of creation. */
  readonly orderKey?: string
  readonly topic: string
  /** Any text of the kind's own; never a secret. */
  readonly envelope?: string
  /** Never a secret. */
  readonly payload: Uint8Array
  /** From now; then it is given up. */
  readonly lifetimeMs: number
}

/** Attempts that are kept with a message: the contract's bound. */
export const attemptsKeptMax = 20

/** What waits for one receiver, as one text. It sorts by tenant, then kind. */
export function queueOf(tenantId: string, kind: string, target: string): string {
  return `${tenantId}/${kind}/${encodeURIComponent(target)}`
}

/** The parts of {@link queueOf}. */
export function readQueue(queue: string): { tenantId: string; kind: string; target: string } {
  const [tenantId = '', kind = '', target = ''] = queue.split('/')
  return { tenantId, kind, target: decodeURIComponent(target) }
}

export function withAttempt(attempts: readonly Attempt[], attempt: Attempt): readonly Attempt[] {
  return [...attempts, attempt].slice(-attemptsKeptMax)
}

/** The text is our own. */
export function readAttempts(text: string): readonly Attempt[] {
  return text === '' ? [] : (JSON.parse(text) as Attempt[])
}
