import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { sha256Hex } from '#custody/secrets.ts'
import type { Caller } from '../callers/caller.ts'
import { type Device, devicesPerUserMax } from '../devices/device.ts'
import type { DeviceWakeups } from '../devices/device-wakeups.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../push/push-announcement.ts'
import type { Storage, Stores } from '../storage.ts'
import { type Approval, approvalTarget, isAddressed } from './approval.ts'
import { approvalEvent } from './approval-event.ts'

/** Puts approvals into the world: reference, row, record and event, all of them or none. */
export class ApprovalOpening {
  readonly #storage: Storage
  readonly #wakeups: DeviceWakeups

  constructor(dependencies: { storage: Storage; wakeups: DeviceWakeups }) {
    this.#storage = dependencies.storage
    this.#wakeups = dependencies.wakeups
  }

  /**
   * @throws DomainError `user_not_found`, `user_disabled`; `already_exists` for a reference that was ever used;
   *   `no_matching_device`.
   */
  async open(
    caller: Caller,
    approval: Approval,
    auditNote?: { readonly [name: string]: JsonValue },
  ): Promise<void> {
    const devices = await this.#storage.transaction((stores) =>
      openIn(stores, caller, approval, auditNote),
    )
    this.#wakeups.wake(
      approval.tenantId,
      devices.map(({ id }) => id),
    )
  }
}

/** The same in a transaction of somebody else, who wakes the devices afterwards. @returns the devices that are asked. */
export async function openIn(
  stores: Stores,
  caller: Caller,
  approval: Approval,
  auditNote?: { readonly [name: string]: JsonValue },
): Promise<Device[]> {
  const { tenantId, id, userId, reference, kind } = approval
  // From here on nobody deletes the user before the approval is there to be ended with it.
  if (!(await stores.users.hold(tenantId, userId))) {
    throw new DomainError('user_not_found', 'No such user.', { pointer: '/user' })
  }
  const user = await stores.userViews.find(tenantId, userId, approval.createdAtMs)
  if (user?.status !== 'ACTIVE') throw new DomainError('user_disabled', 'The user is disabled.')
  const devices = await addressedDevices(stores, approval)
  // A Keyless backend may ask before the user has a device.
  if (devices.length === 0 && approval.surface !== 'keyless') {
    throw new DomainError('no_matching_device', 'No device of the user can be asked.')
  }
  if (reference !== null && !(await stores.approvals.takeReference(tenantId, reference, id))) {
    throw new DomainError('already_exists', 'The reference was used before.', {
      faults: [{ pointer: '/reference', code: 'not_unique', message: 'was used before' }],
    })
  }
  await stores.approvals.insert(approval)
  await stores.journal.append(caller, tenantId, {
    action: 'approval.created',
    target: approvalTarget(id),
    userId,
    detail: {
      reference,
      kind,
      // What a user is shown is nobody's else to read in a journal.
      textHash: approval.text === null ? null : sha256Hex(approval.text),
      ...(approval.templateKey === null ? {} : { template: approval.templateKey }),
      ...(auditNote === undefined ? {} : { note: auditNote }),
    },
  })
  await stores.events.append(tenantId, approvalEvent('approval.created', approval))
  await announce(stores, approval, devices)
  return devices
}

/** The user's devices that the approval is for, locked ones included: a lock may be lifted in time. */
export async function addressedDevices(
  stores: Stores,
  { tenantId, userId, devices }: Pick<Approval, 'tenantId' | 'userId' | 'devices'>,
): Promise<Device[]> {
  const all = await stores.devices.listOfUser(tenantId, userId, devicesPerUserMax)
  return all.filter((device) => isAddressed(devices, device))
}
