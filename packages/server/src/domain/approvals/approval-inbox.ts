import type { Randomness } from '#custody/randomness.ts'
import { newTicket } from '#custody/secrets.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { getDevice } from '../devices/device-ending.ts'
import type { DeviceSession } from '../devices/device-gate.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { requireUser } from '../devices/own-device-service.ts'
import {
  namesLanguage,
  parseAcceptLanguage,
  priorityOf,
} from '../localization/language-priority.ts'
import type { RenderedText, TemplateTexts } from '../localization/template-texts.ts'
import type { Storage, Stores } from '../storage.ts'
import {
  type Approval,
  approvalAt,
  approvalTarget,
  isAddressed,
  isFinal,
  messageDeadline,
  secondDeadline,
} from './approval.ts'
import type { Delivery } from './approval-delivery-store.ts'
import { type ApprovalEnding, cancellation } from './approval-ending.ts'
import { approvalEvent } from './approval-event.ts'
import { contentBytesMax, contentOf } from './content.ts'

/** An approval as one device sees it. */
export interface InboxItem {
  readonly approval: Approval
  /** What the device was shown; absent when it ended before that, or has not been fetched. */
  readonly delivery: Delivery | undefined
}

type OfUserAndDevice = Pick<DeviceSession, 'tenantId' | 'deviceId' | 'userId'>

/** Most that waits for one user at a time on the wire. */
export const inboxItemsMax = 100
/** What is looked at to find them, in pages: more may be asked of a user's other devices. */
const inboxPagesMax = 50

/** Takes a withdrawal back. */
class ShownMeanwhile extends Error {
  override readonly name = 'ShownMeanwhile'
}

/** The end of what cannot be shown. */
const withdrawal = {
  ...cancellation,
  failureMessage: 'The text of the template can no longer be filled.',
} as const

/** What waits for a user on a device. */
export class ApprovalInbox {
  readonly #storage: Storage
  readonly #ending: ApprovalEnding
  readonly #texts: TemplateTexts
  readonly #clock: Clock
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    ending: ApprovalEnding
    templateTexts: TemplateTexts
    clock: Clock
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#ending = dependencies.ending
    this.#texts = dependencies.templateTexts
    this.#clock = dependencies.clock
    this.#randomness = dependencies.randomness
  }

  /** Open approvals for the session's user on this device, and messages it has not fetched; oldest first. */
  async list(session: OfUserAndDevice): Promise<Approval[]> {
    const { tenantId, deviceId } = session
    const { read } = this.#storage
    const device = await getDevice(read, tenantId, deviceId)
    return listWaiting(read, { device, userId: requireUser(session), nowMs: this.#clock() })
  }

  /** True for whatever the session's user was ever asked, until it is erased. */
  async isKnown({ tenantId, userId }: OfUserAndDevice, id: string): Promise<boolean> {
    return (await this.#storage.read.approvals.find(tenantId, id))?.userId === userId
  }

  /**
   * Fetches an approval. The first device that does so starts the time for the decision; the bytes that a device is shown
   * are frozen, and later calls give the same. A template is rendered now, in the device's language; one that cannot be
   * filled any more is shown to nobody: the approval ends as CANCELLED, unless another device has been shown it already.
   *
   * @param acceptLanguage counts instead of the languages of the device, if it can be read and names any.
   * @throws DeviceRefusal `not_found` for another user's, for one that this device is not asked, and for one that it can no
   *   longer be shown.
   */
  async retrieve(session: DeviceSession, id: string, acceptLanguage?: string): Promise<InboxItem> {
    const { tenantId, deviceId } = session
    const found = await this.find(session, id)
    const isOver = isFinal(found.approval) && found.approval.kind !== 'MESSAGE'
    if (isOver || found.delivery !== undefined) return found
    const rendered = await this.#render(session, found.approval, acceptLanguage)
    if (rendered === 'unfillable') return this.#withdraw(session, found.approval)
    const content = contentOf(found.approval, rendered)
    const challenge = newTicket(this.#randomness)
    const eraseAfterMs = await this.#ending.eraseAfterMs(tenantId)
    return this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const stored = await stores.approvals.find(tenantId, id)
      const approval = stored && approvalAt(stored, nowMs)
      if (approval === undefined) throw new DeviceRefusal('not_found')
      if (!isRetrievable(approval, nowMs)) return { approval, delivery: undefined }
      const at = { nowMs, eraseAfterMs, rendered }
      if (approval.status === 'PENDING' && !(await this.#first(stores, session, approval, at))) {
        // Another device was the first, or the time has just run out: what is there now decides.
        const now = await stores.approvals.find(tenantId, id)
        const after = now && approvalAt(now, nowMs)
        if (after === undefined) throw new DeviceRefusal('not_found')
        if (!isRetrievable(after, nowMs)) return { approval: after, delivery: undefined }
      }
      const retrieved = await stores.approvals.find(tenantId, id)
      if (retrieved === undefined) throw new DeviceRefusal('not_found')
      const key = { tenantId, approvalId: id, deviceId }
      const delivery = { ...content, challenge, retrievedAtMs: nowMs }
      const isFrozen = await stores.approvals.deliveries.freeze(key, delivery)
      if (isFrozen) return { approval: retrieved, delivery }
      return { approval: retrieved, delivery: await stores.approvals.deliveries.find(key) }
    })
  }

  /**
   * An approval of the session's user that this device is asked, as it stands.
   *
   * @throws DeviceRefusal `not_found`.
   */
  async find(session: DeviceSession, id: string): Promise<InboxItem> {
    const { tenantId, deviceId } = session
    const { read } = this.#storage
    const approval = await read.approvals.find(tenantId, id)
    if (approval === undefined || approval.userId !== requireUser(session)) {
      throw new DeviceRefusal('not_found')
    }
    const key = { tenantId, approvalId: id, deviceId }
    const delivery = await read.approvals.deliveries.find(key)
    if (delivery === undefined) {
      const device = await getDevice(read, tenantId, deviceId)
      if (!isAddressed(approval.devices, device)) throw new DeviceRefusal('not_found')
    }
    return { approval: approvalAt(approval, this.#clock()), delivery }
  }

  /** The text of a template for a device; undefined for an approval that has a text of its own. */
  async #render(
    { tenantId, deviceId }: DeviceSession,
    approval: Approval,
    acceptLanguage: string | undefined,
  ): Promise<RenderedText | undefined | 'unfillable'> {
    const { templateKey, data } = approval
    if (templateKey === null) return undefined
    const given = acceptLanguage === undefined ? undefined : parseAcceptLanguage(acceptLanguage)
    const languages =
      given !== undefined && namesLanguage(given)
        ? given
        : priorityOf((await getDevice(this.#storage.read, tenantId, deviceId)).locales)
    const rendered = await this.#texts.text(tenantId, templateKey, languages, data ?? {})
    if (rendered === undefined) return 'unfillable'
    const { bytes } = contentOf(approval, rendered)
    return bytes.length > contentBytesMax ? 'unfillable' : rendered
  }

  /** What nobody was shown ends here, so that whoever asked learns of it at once. */
  async #withdraw(session: DeviceSession, approval: Approval): Promise<InboxItem> {
    const { tenantId, id } = approval
    if (approval.status === 'PENDING') {
      try {
        const ended = await this.#ending.end(
          Caller.system(),
          approval,
          withdrawal,
          async (stores) => {
            const now = await stores.approvals.find(tenantId, id)
            if (now?.retrievedAtMs !== null) throw new ShownMeanwhile()
          },
        )
        if (ended !== undefined) return { approval: ended, delivery: undefined }
      } catch (error) {
        // Who was shown it may still decide.
        if (!(error instanceof ShownMeanwhile)) throw error
      }
    }
    const now = await this.find(session, id)
    if (now.delivery !== undefined || isFinal(now.approval)) return now
    throw new DeviceRefusal('not_found')
  }

  /** @returns false for a device that was not the first, or came too late. */
  async #first(
    stores: Stores,
    { caller, tenantId, deviceId }: DeviceSession,
    approval: Approval,
    {
      nowMs,
      eraseAfterMs,
      rendered,
    }: { nowMs: number; eraseAfterMs: number; rendered: RenderedText | undefined },
  ): Promise<boolean> {
    const isMessage = approval.kind === 'MESSAGE'
    const isFirst = await stores.approvals.retrieveFirst(approval, {
      nowMs,
      expiresAtMs: isMessage ? null : secondDeadline(approval, nowMs),
      completedAtMs: isMessage ? nowMs : null,
      // Other devices may fetch a message until its time ends.
      eraseAtMs: isMessage ? Math.max(nowMs, messageDeadline(approval) ?? 0) + eraseAfterMs : null,
    })
    if (!isFirst) return false
    if (rendered !== undefined) await stores.approvals.keepText(approval, rendered.text)
    await stores.journal.append(caller, tenantId, {
      action: 'approval.retrieved',
      target: approvalTarget(approval.id),
      userId: approval.userId,
      detail: { deviceId, ...(rendered === undefined ? {} : { locale: rendered.locale }) },
    })
    const after = {
      ...approval,
      status: 'RETRIEVED' as const,
      retrievedAtMs: nowMs,
      text: rendered?.text ?? approval.text,
    }
    await stores.events.append(tenantId, approvalEvent('approval.retrieved', after))
    return true
  }
}

/** What waits for a user on a device, in the order in which it was asked; at most {@link inboxItemsMax}. */
export async function listWaiting(
  stores: Stores,
  {
    device,
    userId,
    nowMs,
  }: {
    readonly device: Parameters<typeof isAddressed>[1] & { readonly tenantId: string }
    readonly userId: string
    readonly nowMs: number
  },
): Promise<Approval[]> {
  const waiting: Approval[] = []
  let afterId = ''
  for (let page = 0; page < inboxPagesMax && waiting.length < inboxItemsMax; page++) {
    const open = await stores.approvals.listWaiting(
      device.tenantId,
      { userId, deviceId: device.id, afterId, nowMs },
      inboxItemsMax,
    )
    for (const approval of open) {
      if (isAddressed(approval.devices, device) && isRetrievable(approval, nowMs)) {
        waiting.push(approval)
      }
    }
    afterId = open.at(-1)?.id ?? ''
    if (open.length < inboxItemsMax) break
  }
  return waiting.slice(0, inboxItemsMax)
}

/** A transaction while it is open; a message until its time ends, whoever has read it. */
function isRetrievable(approval: Approval, nowMs: number): boolean {
  const now = approvalAt(approval, nowMs)
  if (approval.kind !== 'MESSAGE') return !isFinal(now)
  const deadlineMs = messageDeadline(approval)
  const isThere = now.status === 'PENDING' || now.status === 'RETRIEVED'
  return isThere && (deadlineMs === null || deadlineMs > nowMs)
}
