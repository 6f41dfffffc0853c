import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { DeviceWakeups } from '../devices/device-wakeups.ts'
import { workInSteps } from '../stepwise-work.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { type Approval, approvalTarget } from './approval.ts'
import { approvalEvent } from './approval-event.ts'
import { addressedDevices } from './approval-opening.ts'
import type { Ending } from './approval-store.ts'
import { nativeFactor } from './approval-view.ts'

const dayMs = 24 * 3_600_000
const dueAtOnce = 100
const erasedAtOnce = 200

/** Deadlines pass by themselves. */
const systemCaller = Caller.system()

/** Why a dialog on a device must go. */
type GoneReason = 'cancelled' | 'decided_elsewhere' | 'expired'

const goneReasons = {
  APPROVED: 'decided_elsewhere',
  REJECTED: 'decided_elsewhere',
  EXPIRED: 'expired',
  CANCELLED: 'cancelled',
} as const satisfies Record<Ending['status'], GoneReason>

/** The end of what is taken back. */
export const cancellation = {
  status: 'CANCELLED',
  deviceId: null,
  factor: null,
  failureReason: 'CANCELLED',
  failureMessage: null,
} as const satisfies EndingRequest

/** How an approval ends, and by what proof. */
export interface EndingRequest extends Omit<Ending, 'eraseAtMs' | 'nowMs'> {
  /** Hex; of the bytes that a signature covers: ties the evidence to its record. */
  readonly contentSha256?: string | undefined
}

/** Ends approvals: by a decision, a cancellation, a deadline, and at last by their erasure. */
export class ApprovalEnding {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #wakeups: DeviceWakeups
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    wakeups: DeviceWakeups
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#wakeups = dependencies.wakeups
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Ends an open approval for ever.
   *
   * @param alongside writes what belongs to the ending, such as evidence; gets the id of its record.
   * @returns undefined when it was final, or its time over, before: then nothing was written.
   */
  async end(
    caller: Caller,
    approval: Approval,
    { contentSha256, ...how }: EndingRequest,
    alongside: (stores: Stores, journalId: string, nowMs: number) => Promise<void> = async () => {},
  ): Promise<Approval | undefined> {
    const { tenantId } = approval
    const eraseAfterMs = await this.eraseAfterMs(tenantId)
    const result = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const ending = { ...how, eraseAtMs: nowMs + eraseAfterMs, nowMs }
      const ended = await stores.approvals.end(approval, ending)
      if (ended === undefined) return undefined
      const journalId = await this.#record(stores, caller, ended, contentSha256)
      await alongside(stores, journalId, nowMs)
      const reason = goneReasons[how.status]
      return { ended, told: await this.#tell(stores, ended, reason, how.deviceId) }
    })
    if (result === undefined) return undefined
    this.#wakeups.wake(tenantId, result.told)
    return result.ended
  }

  /** Takes back what is open, with its user: in the running transaction, before the user's devices go. */
  async cancelOfUser(
    stores: Stores,
    caller: Caller,
    { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
  ): Promise<void> {
    const eraseAfterMs = await this.eraseAfterMs(tenantId)
    for (let afterId = ''; ; ) {
      const open = await stores.approvals.open.listOfUser({ tenantId, userId, afterId }, dueAtOnce)
      for (const approval of open) {
        const nowMs = this.#clock()
        const eraseAtMs = nowMs + eraseAfterMs
        const ended =
          (await stores.approvals.end(approval, { ...cancellation, eraseAtMs, nowMs })) ??
          (await stores.approvals.expire(approval, eraseAtMs, nowMs))
        if (ended !== undefined) await this.#record(stores, caller, ended)
      }
      afterId = open.at(-1)?.id ?? ''
      if (open.length < dueAtOnce) return
    }
  }

  /** Ends what is open past its deadline. To be called by one timer of the installation. */
  async expireDue(): Promise<void> {
    await workInSteps(async () => {
      const due = await this.#storage.read.approvals.listDue(this.#clock(), dueAtOnce)
      for (const approval of due) await this.#expire(approval)
      return due.length === dueAtOnce
    })
  }

  /** Removes approvals, deliveries and evidence whose retention time is over. To be called by one timer. */
  async eraseDue(): Promise<void> {
    await workInSteps(async () => {
      const over = await this.#storage.read.approvals.listErasable(this.#clock(), erasedAtOnce)
      await this.#storage.transaction(async ({ approvals }) => {
        for (const { tenantId, id } of over) await approvals.erase(tenantId, id)
      })
      return over.length === erasedAtOnce
    })
  }

  /** For how long an approval is kept after its end. */
  async eraseAfterMs(tenantId: string): Promise<number> {
    return (await this.#settings.settingsOf(tenantId)).retention.approvalDays * dayMs
  }

  async #expire(approval: Approval): Promise<void> {
    const { tenantId, id } = approval
    if ((await this.#storage.read.tenants.findSettings(tenantId)) === undefined) {
      // A tenant that is being deleted gets no more records, and may not hold up the others.
      await this.#storage.transaction(({ approvals }) => approvals.erase(tenantId, id))
      return
    }
    const eraseAfterMs = await this.eraseAfterMs(tenantId)
    const told = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const ended = await stores.approvals.expire(approval, nowMs + eraseAfterMs, nowMs)
      if (ended === undefined) return []
      await this.#record(stores, systemCaller, ended)
      return this.#tell(stores, ended, 'expired', null)
    })
    this.#wakeups.wake(tenantId, told)
  }

  async #record(
    stores: Stores,
    caller: Caller,
    approval: Approval,
    contentSha256?: string,
  ): Promise<string> {
    const { tenantId, id, userId, status, reference, decision, failureReason } = approval
    const name = status.toLowerCase() as 'approved' | 'rejected' | 'expired' | 'cancelled'
    const journalId = await stores.journal.append(caller, tenantId, {
      action: `approval.${name}`,
      target: approvalTarget(id),
      userId,
      detail: {
        reference,
        ...(decision === null
          ? {}
          : { deviceId: decision.deviceId, factor: nativeFactor(decision.factor) }),
        ...(contentSha256 === undefined ? {} : { contentSha256 }),
        ...(failureReason === null ? {} : { reason: failureReason }),
      },
    })
    await stores.events.append(tenantId, approvalEvent(`approval.${name}`, approval))
    return journalId
  }

  /** Tells the other devices that were asked. @returns them. */
  async #tell(
    stores: Stores,
    approval: Approval,
    reason: GoneReason,
    deciderId: string | null,
  ): Promise<string[]> {
    const { tenantId, id, userId } = approval
    const devices = await addressedDevices(stores, approval)
    const told = devices.map((device) => device.id).filter((deviceId) => deviceId !== deciderId)
    for (const deviceId of told) {
      await stores.deviceEvents.append(
        { tenantId, deviceId },
        {
          id: this.#nextId(),
          userId,
          type: 'approval.cancelled',
          data: { approvalId: id, reason },
          createdAtMs: this.#clock(),
        },
      )
    }
    return told
  }
}
