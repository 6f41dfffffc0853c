import { expect } from 'vitest'
import { PinHasher } from '#custody/pin-hasher.ts'
import { UserDomainService } from '#domain/users/user-domain-service.ts'
import { UserIdentifierService } from '#domain/users/user-identifier-service.ts'
import { UserLockService } from '#domain/users/user-lock-service.ts'
import { UserService } from '#domain/users/user-service.ts'
import { statement } from '#storage/statement.ts'
import type { TestCore } from './core.ts'

export interface UserServices {
  readonly domains: UserDomainService
  readonly users: UserService
  readonly identifiers: UserIdentifierService
  readonly locks: UserLockService
}

/** The services about users, over a test core. */
export function userServices({ storage, clock, nextId }: TestCore): UserServices {
  return {
    domains: new UserDomainService({ storage, clock, nextId }),
    users: new UserService({ storage, clock, nextId, pins: new PinHasher() }),
    identifiers: new UserIdentifierService({ storage, clock }),
    locks: new UserLockService({ storage, clock }),
  }
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

const waiting = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('journal_queue')
    .select(['head', 'middle', 'tail'])
    .where('tenant_id', '=', p.tenantId)
    .orderBy('id'),
)

/** What is told in the journal records of a tenant that no sealer has seen yet, in order. */
export async function recordsOf(core: TestCore, tenantId: string): Promise<object[]> {
  const rows = await core.test.database.reader.all(waiting, { tenantId })
  return rows.map(({ head, middle, tail }) => {
    const { action, target, userId, detail } = JSON.parse(head + middle + tail)
    return { action, target, userId, detail }
  })
}
