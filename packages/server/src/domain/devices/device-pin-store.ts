import type { Queries } from '#storage/queries.ts'
import { integerParameter, statement } from '#storage/statement.ts'

/** A user's PIN on all devices, and the lock of all the user's factors. */
export interface DevicePin {
  /** See PinHasher; null: no PIN. */
  readonly pinHash: string | null
  /** When the PIN was set; without one, of no meaning. */
  readonly changedAtMs: number
  readonly failures: number
  readonly lockedUntilMs: number | null
}

interface Key {
  readonly tenantId: string
  readonly userId: string
}

const find = statement((db, p: Key) =>
  db
    .selectFrom('device_pin')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId),
)

const setFirst = statement((db, p: Key & { pinHash: string; nowMs: number }) =>
  db
    .insertInto('device_pin')
    .values({
      tenant_id: p.tenantId,
      user_id: p.userId,
      pin_hash: p.pinHash,
      failures: 0,
      locked_until: null,
      updated_at: p.nowMs,
    })
    .onConflict((former) =>
      former
        .columns(['tenant_id', 'user_id'])
        .doUpdateSet({ pin_hash: p.pinHash, updated_at: p.nowMs })
        .where('device_pin.pin_hash', 'is', null),
    ),
)

const change = statement((db, p: Key & { formerHash: string; pinHash: string; nowMs: number }) =>
  db
    .updateTable('device_pin')
    .set({ pin_hash: p.pinHash, updated_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('pin_hash', '=', p.formerHash),
)

const remove = statement((db, p: Key) =>
  db.deleteFrom('device_pin').where('tenant_id', '=', p.tenantId).where('user_id', '=', p.userId),
)

const fail = statement(
  (
    db,
    p: Key & {
      failuresMax: number
      firstLockUntil: number | null
      lockUntilMs: number
      nowMs: number
    },
  ) =>
    db
      .insertInto('device_pin')
      .values({
        tenant_id: p.tenantId,
        user_id: p.userId,
        pin_hash: null,
        failures: 1,
        locked_until: p.firstLockUntil,
        updated_at: p.nowMs,
      })
      .onConflict((conflict) =>
        conflict
          .columns(['tenant_id', 'user_id'])
          .doUpdateSet((eb) => {
            // A lock that is still on the row has ended: counting starts anew.
            const count = eb
              .case()
              .when('device_pin.locked_until', 'is not', null)
              .then(1)
              .else(eb('device_pin.failures', '+', 1))
              .end()
            return {
              failures: count,
              locked_until: eb
                .case()
                .when(count, '>=', p.failuresMax)
                .then(integerParameter(p.lockUntilMs))
                .else(null)
                .end(),
            }
          })
          .where((eb) =>
            eb.or([
              eb('device_pin.locked_until', 'is', null),
              eb('device_pin.locked_until', '<=', p.nowMs),
            ]),
          ),
      )
      .returning(['failures', 'locked_until']),
)

const succeed = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('device_pin')
    .set({ failures: 0, locked_until: null })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where((eb) => eb.or([eb('failures', '>', 0), eb('locked_until', '<=', p.nowMs)]))
    // A lock that wrong factors set in the same moment stays.
    .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<=', p.nowMs)])),
)

const succeedByPin = statement((db, p: Key & { pinHash: string; nowMs: number }) =>
  db
    .updateTable('device_pin')
    .set({ failures: 0, locked_until: null })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('pin_hash', '=', p.pinHash)
    .where((eb) => eb.or([eb('locked_until', 'is', null), eb('locked_until', '<=', p.nowMs)])),
)

/** PINs of users on their devices, and what wrong factors do to them. */
export class DevicePinStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async find(tenantId: string, userId: string): Promise<DevicePin | undefined> {
    const row = await this.#queries.first(find, { tenantId, userId })
    return (
      row && {
        pinHash: row.pin_hash,
        changedAtMs: row.updated_at,
        failures: row.failures,
        lockedUntilMs: row.locked_until,
      }
    )
  }

  /** @returns false when the user has a PIN: two enrolments at once do not both set one. */
  async setFirst(
    tenantId: string,
    userId: string,
    pinHash: string,
    nowMs: number,
  ): Promise<boolean> {
    return (await this.#queries.run(setFirst, { tenantId, userId, pinHash, nowMs })) === 1
  }

  /** @returns false when the PIN is another one than `formerHash` by now. */
  async change(
    tenantId: string,
    userId: string,
    { formerHash, pinHash, nowMs }: { formerHash: string; pinHash: string; nowMs: number },
  ): Promise<boolean> {
    return (await this.#queries.run(change, { tenantId, userId, formerHash, pinHash, nowMs })) === 1
  }

  /** PIN, failures and lock. @returns false when there was nothing. */
  async remove(tenantId: string, userId: string): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, userId })) === 1
  }

  /**
   * Counts a wrong factor; the one that reaches `failuresMax` locks.
   *
   * @returns undefined when a lock stands: nothing is counted then.
   */
  async fail(
    tenantId: string,
    userId: string,
    {
      failuresMax,
      lockUntilMs,
      nowMs,
    }: { failuresMax: number; lockUntilMs: number; nowMs: number },
  ): Promise<{ failures: number; lockedUntilMs: number | null } | undefined> {
    const row = await this.#queries.first(fail, {
      tenantId,
      userId,
      failuresMax,
      firstLockUntil: failuresMax <= 1 ? lockUntilMs : null,
      lockUntilMs,
      nowMs,
    })
    return row && { failures: row.failures, lockedUntilMs: row.locked_until }
  }

  async succeed(tenantId: string, userId: string, nowMs: number): Promise<void> {
    await this.#queries.run(succeed, { tenantId, userId, nowMs })
  }

  /**
   * The same for a PIN, which cannot change until the transaction is over.
   *
   * @returns false when a lock stands, or the PIN is another one than `pinHash` by now.
   */
  async succeedByPin(
    tenantId: string,
    userId: string,
    { pinHash, nowMs }: { pinHash: string; nowMs: number },
  ): Promise<boolean> {
    return (await this.#queries.run(succeedByPin, { tenantId, userId, pinHash, nowMs })) === 1
  }
}
