import { expect } from 'vitest'
import { PinHasher } from '#custody/pin-hasher.ts'
import { DeviceEnding } from '#domain/devices/device-ending.ts'
import { DeviceWakeups } from '#domain/devices/device-wakeups.ts'
import { UserDomainService } from '#domain/users/user-domain-service.ts'
import { UserIdentifierService } from '#domain/users/user-identifier-service.ts'
import { UserLockService } from '#domain/users/user-lock-service.ts'
import { UserService } from '#domain/users/user-service.ts'
import type { TestCore } from './core.ts'
import { writtenRecords } from './journal.ts'

export interface UserServices {
  readonly domains: UserDomainService
  readonly users: UserService
  readonly identifiers: UserIdentifierService
  readonly locks: UserLockService
}

/** The services about users, over a test core. */
export function userServices(core: TestCore): UserServices {
  const { storage, clock, nextId } = core
  const devices = deviceEnding(core)
  return {
    domains: new UserDomainService({ storage, clock, nextId }),
    users: new UserService({ storage, clock, nextId, pins: new PinHasher(), devices }),
    identifiers: new UserIdentifierService({ storage, clock }),
    locks: new UserLockService({ storage, clock }),
  }
}

/** What ends on devices with their users; nobody listens. */
export function deviceEnding({ pki, clock, nextId }: TestCore): DeviceEnding {
  const { certificates } = pki
  return new DeviceEnding({ certificates, wakeups: new DeviceWakeups(), clock, nextId })
}

/** The core's refusal: with a code and, if given, faults at these places in this order. */
export function refusal(code: string, pointers?: readonly string[]): unknown {
  return expect.objectContaining({
    name: 'DomainError',
    code,
    ...(pointers === undefined
      ? {}
      : { faults: pointers.map((pointer) => expect.objectContaining({ pointer })) }),
  })
}

/** What is told in the journal records of a tenant, in order. */
export async function recordsOf(core: TestCore, tenantId: string): Promise<object[]> {
  const records = await writtenRecords(core.test.database, tenantId)
  return records.map(({ action, target, userId, detail }) => ({ action, target, userId, detail }))
}
