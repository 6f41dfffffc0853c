import { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { DeviceWakeups } from '../devices/device-wakeups.ts'
import type { Storage, Stores } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { type Approval, approvalTarget } from './approval.ts'
import { approvalEvent } from './approval-event.ts'
import { addressedDevices } from './approval-opening.ts'
import type { Ending } from './approval-store.ts'

const dayMs = 24 * 3_600_000
const dueAtOnce = 100
const erasedAtOnce = 200

/** Deadlines pass by themselves. */
const systemCaller = Caller.system()

/** Why a dialog on a device must go. */
type GoneReason = 'cancelled' | 'decided_elsewhere' | 'expired'

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
    how: Omit<Ending, 'eraseAtMs' | 'nowMs'>,
    alongside: (stores: Stores, journalId: string, nowMs: number) => Promise<void> = async () => {},
  ): Promise<Approval | undefined> {
    const { tenantId, id } = approval
    const eraseAfterMs = await this.#eraseAfterMs(tenantId)
    const result = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      const ending = { ...how, eraseAtMs: nowMs + eraseAfterMs, nowMs }
      if (!(await stores.approvals.end(approval, ending))) return undefined
      const ended = await stores.approvals.find(tenantId, id)
      if (ended === undefined) return undefined
      const journalId = await this.#record(stores, caller, ended)
      await alongside(stores, journalId, nowMs)
      const reason = how.status === 'CANCELLED' ? 'cancelled' : 'decided_elsewhere'
      return { ended, told: await this.#tell(stores, ended, reason, how.deviceId) }
    })
    if (result === undefined) return undefined
    this.#wakeups.wake(tenantId, result.told)
    return result.ended
  }

  /** Ends what is open past its deadline in one tenant. */
  async expireDue(tenantId: string): Promise<void> {
    const eraseAfterMs = await this.#eraseAfterMs(tenantId)
    for (;;) {
      const due = await this.#storage.read.approvals.listDue(tenantId, this.#clock(), dueAtOnce)
      for (const approval of due) await this.#expire(approval, eraseAfterMs)
      if (due.length < dueAtOnce) return
    }
  }

  /** Removes approvals, deliveries and evidence whose retention time is over in one tenant. */
  async eraseDue(tenantId: string): Promise<void> {
    for (;;) {
      const ids = await this.#storage.read.approvals.listErasable(
        tenantId,
        this.#clock(),
        erasedAtOnce,
      )
      await this.#storage.transaction(async ({ approvals }) => {
        for (const id of ids) await approvals.erase(tenantId, id)
      })
      if (ids.length < erasedAtOnce) return
    }
  }

  /** For how long an approval is kept after its end. */
  async #eraseAfterMs(tenantId: string): Promise<number> {
    return (await this.#settings.settingsOf(tenantId)).retention.approvalDays * dayMs
  }

  async #expire(approval: Approval, eraseAfterMs: number): Promise<void> {
    const { tenantId, id } = approval
    const told = await this.#storage.transaction(async (stores) => {
      const nowMs = this.#clock()
      if (!(await stores.approvals.expire(approval, nowMs + eraseAfterMs, nowMs))) return []
      const ended = await stores.approvals.find(tenantId, id)
      if (ended === undefined) return []
      await this.#record(stores, systemCaller, ended)
      return this.#tell(stores, ended, 'expired', null)
    })
    this.#wakeups.wake(tenantId, told)
  }

  async #record(stores: Stores, caller: Caller, approval: Approval): Promise<string> {
    const { tenantId, id, userId, status, reference, decision, failureReason } = approval
    const name = status.toLowerCase() as 'approved' | 'rejected' | 'expired' | 'cancelled'
    const journalId = await stores.journal.append(caller, tenantId, {
      action: `approval.${name}`,
      target: approvalTarget(id),
      userId,
      detail: {
        reference,
        ...(decision === null ? {} : { deviceId: decision.deviceId, factor: decision.factor }),
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
