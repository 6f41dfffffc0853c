import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { webhookLifetimeMs } from '../webhooks/event-store.ts'
import { webhookKindName } from '../webhooks/webhook-endpoint.ts'
import type { MessageStatus, OutboxMessage } from './outbox-message.ts'

/** What a look at the outbox is narrowed down to; all that are given must hold. */
export interface OutboxFilter {
  readonly kind?: string | undefined
  readonly status?: MessageStatus | undefined
  readonly id?: string | undefined
}

/** As long as callbacks are tried when they are new. */
const callbackLifetimeMs = 86_400_000
const pageSize = 100
/** Behind every ULID. */
const behindAllIds = 'Z'

/** What waits for receivers and what was given up, of every kind: for operators. */
export class OutboxService {
  readonly #storage: Storage
  readonly #clock: Clock

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /**
   * Target by target, in each the newest first; read page by page, so that whoever stops has looked at little.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async *messages(
    caller: Caller,
    tenantId: string,
    { kind, status, id }: OutboxFilter,
  ): AsyncGenerator<OutboxMessage> {
    caller.requireIn(tenantId, 'tenant:read')
    const { outbox } = this.#storage.read
    let found = await outbox.findNextTarget(tenantId, '')
    while (found !== undefined) {
      const { target } = found
      let beforeId: string | undefined = behindAllIds
      while (beforeId !== undefined) {
        const place = { tenantId, target }
        const page = { beforeId, limit: pageSize }
        const part = await outbox.listLog(place, { status }, page)
        for (const message of part.messages) {
          const isWanted =
            (kind === undefined || message.kind === kind) && (id === undefined || message.id === id)
          if (isWanted) yield message
        }
        beforeId = part.messages.length === pageSize ? part.messages.at(-1)?.id : part.lookedDownTo
      }
      found = await outbox.findNextTarget(tenantId, target)
    }
  }

  /**
   * Begins a new series of attempts for a message that was given up: the same id and payload, and as long a time as a new
   * one has.
   *
   * @returns false when it is not FAILED any more.
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async redeliver(caller: Caller, { tenantId, target, id }: OutboxMessage): Promise<boolean> {
    caller.requireIn(tenantId, 'tenant:write')
    return this.#storage.transaction(async ({ outbox, journal }) => {
      const message = await outbox.find({ tenantId, target, id })
      if (message?.status !== 'FAILED') return false
      const { kind, topic } = message
      const lifetimeMs = kind === webhookKindName ? webhookLifetimeMs : callbackLifetimeMs
      const deadlineMs = this.#clock() + lifetimeMs
      if (!(await outbox.restart({ tenantId, target, id }, { deadlineMs }))) return false
      await journal.append(caller, tenantId, {
        action: 'outbox-message.restarted',
        target: { type: 'outbox-message', id },
        detail: { kind, topic },
      })
      return true
    })
  }
}
