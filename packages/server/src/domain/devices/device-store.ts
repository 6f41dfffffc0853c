import type { Queries } from '#storage/queries.ts'
import type { DeviceTable } from '#storage/schema/devices.ts'
import { dynamicStatement, nothing, statement } from '#storage/statement.ts'
import { AuthenticationStore } from './authentication-store.ts'
import type { AppFacts, Device, DeviceFacts, EnrolledVia, LockState } from './device.ts'
import { asDevice } from './device-row-store.ts'
import { EnrolledDeviceStore } from './enrolled-device-store.ts'
import { PushTokenStore } from './push-token-store.ts'

export interface NewDevice extends DeviceFacts {
  readonly tenantId: string
  readonly id: string
  readonly keyThumbprint: string
  readonly publicKey: Device['publicKey']
  readonly enrolledVia: EnrolledVia
  readonly app: AppFacts
  readonly pushToken: string | null
  readonly locales: readonly string[]
  readonly createdAtMs: number
}

/** Conditions on a list; all of them together. */
export interface DeviceFilter {
  readonly userId?: string | undefined
  readonly lockState?: LockState | undefined
  readonly appName?: string | undefined
}

/** Members that an app changes; absent ones are left alone, null removes. */
export interface DeviceChange {
  readonly name?: string | null | undefined
  readonly model?: string | null | undefined
  readonly osName?: string | null | undefined
  readonly osVersion?: string | null | undefined
  readonly pushToken?: string | null | undefined
  readonly locales?: readonly string[] | undefined
}

interface Key {
  readonly tenantId: string
  readonly id: string
}

const insert = statement((db, row: DeviceTable) =>
  db.insertInto('device').values({
    tenant_id: row.tenant_id,
    id: row.id,
    key_thumbprint: row.key_thumbprint,
    public_jwk: row.public_jwk,
    status: 'ACTIVE',
    enrolled_via: row.enrolled_via,
    name: row.name,
    model: row.model,
    os_name: row.os_name,
    os_version: row.os_version,
    app_name: row.app_name,
    platform: row.platform,
    architecture: row.architecture,
    app_version: row.app_version,
    sdk_version: row.sdk_version,
    integrity: row.integrity,
    risks: row.risks,
    push_token: row.push_token,
    locales: row.locales,
    lock_state: 'NONE',
    session_epoch: 1,
    created_at: row.created_at,
    updated_at: row.created_at,
    last_seen_at: row.created_at,
  }),
)

const find = statement((db, p: Key) =>
  db.selectFrom('device').selectAll().where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const listOfUser = statement((db, p: { tenantId: string; userId: string; limit: number }) =>
  db
    .selectFrom('device_link as link')
    .crossJoin('device')
    .selectAll('device')
    .where('link.tenant_id', '=', p.tenantId)
    .where('link.user_id', '=', p.userId)
    .where('link.ended_at', 'is', null)
    .where('device.tenant_id', '=', p.tenantId)
    .whereRef('device.id', '=', 'link.device_id')
    .where('device.status', '=', 'ACTIVE')
    .orderBy('link.device_id')
    .limit(p.limit),
)

const findByKey = statement((db, p: { tenantId: string; keyThumbprint: string }) =>
  db
    .selectFrom('device')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('key_thumbprint', '=', p.keyThumbprint),
)

const lock = statement((db, p: Key & { reason: string | null; nowMs: number }) =>
  db
    .updateTable('device')
    .set((eb) => ({
      lock_state: 'LOCKED',
      lock_reason: p.reason,
      lock_changed_at: p.nowMs,
      session_epoch: eb('session_epoch', '+', 1),
      updated_at: p.nowMs,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'ACTIVE'),
)

const unlock = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('device')
    .set({
      lock_state: 'UNLOCKED',
      lock_reason: null,
      lock_changed_at: p.nowMs,
      updated_at: p.nowMs,
    })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'ACTIVE')
    .where('lock_state', '=', 'LOCKED'),
)

const endSessions = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('device')
    .set((eb) => ({ session_epoch: eb('session_epoch', '+', 1), updated_at: p.nowMs }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'ACTIVE'),
)

const remove = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('device')
    .set((eb) => ({
      status: 'DELETED',
      push_token: null,
      session_epoch: eb('session_epoch', '+', 1),
      deleted_at: p.nowMs,
      updated_at: p.nowMs,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('status', '=', 'ACTIVE'),
)

const recordLogin = statement(
  (
    db,
    p: Key & {
      sessionEpoch: number
      versionStr: string
      sdkVersion: string
      integrity: string | null
      risks: string | null
      nowMs: number
    },
  ) =>
    db
      .updateTable('device')
      .set({
        app_version: p.versionStr,
        sdk_version: p.sdkVersion,
        integrity: p.integrity,
        risks: p.risks,
        last_seen_at: p.nowMs,
        last_success_at: p.nowMs,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('id', '=', p.id)
      // Whoever locks, disconnects or deletes in the same moment comes first.
      .where('session_epoch', '=', p.sessionEpoch)
      .where('lock_state', '<>', 'LOCKED')
      .where('status', '=', 'ACTIVE'),
)

const holdSession = statement((db, p: Key & { sessionEpoch: number; nowMs: number }) =>
  db
    .updateTable('device')
    .set({ last_seen_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id)
    .where('session_epoch', '=', p.sessionEpoch)
    .where('lock_state', '<>', 'LOCKED')
    .where('status', '=', 'ACTIVE'),
)

const recordFailure = statement((db, p: Key & { nowMs: number }) =>
  db
    .updateTable('device')
    .set({ last_failure_at: p.nowMs, last_seen_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

/** Devices. Those that were deleted stay as rows; `find` gives them, lists do not. */
export class DeviceStore {
  readonly enrolled: EnrolledDeviceStore
  readonly authentications: AuthenticationStore
  readonly pushTokens: PushTokenStore
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
    this.enrolled = new EnrolledDeviceStore(queries)
    this.authentications = new AuthenticationStore(queries)
    this.pushTokens = new PushTokenStore(queries)
  }

  /** Its key must have been taken in `enrolledKeys` before, its push token from whoever had it. */
  async insert(device: NewDevice): Promise<void> {
    await this.#queries.run(insert, asRow(device))
  }

  async find(tenantId: string, id: string): Promise<Device | undefined> {
    const row = await this.#queries.first(find, { tenantId, id })
    return row && asDevice(row)
  }

  async findByKey(tenantId: string, keyThumbprint: string): Promise<Device | undefined> {
    const row = await this.#queries.first(findByKey, { tenantId, keyThumbprint })
    return row && asDevice(row)
  }

  /** A user's active devices, by id, which is the order of enrolment. */
  async listOfUser(tenantId: string, userId: string, limit: number): Promise<Device[]> {
    return (await this.#queries.all(listOfUser, { tenantId, userId, limit })).map(asDevice)
  }

  /** By id, which is the order of enrolment; active ones only. */
  async list(
    tenantId: string,
    filter: DeviceFilter & { afterId?: string | undefined; limit: number },
  ): Promise<Device[]> {
    const list = dynamicStatement((db) => {
      const { userId, lockState, appName, afterId } = filter
      let rows =
        userId === undefined
          ? db.selectFrom('device').selectAll('device').orderBy('device.id')
          : db
              .selectFrom('device_link as link')
              .crossJoin('device')
              .selectAll('device')
              .where('link.tenant_id', '=', tenantId)
              .where('link.user_id', '=', userId)
              .where('link.ended_at', 'is', null)
              .whereRef('device.id', '=', 'link.device_id')
              .orderBy('link.device_id')
      rows = rows.where('device.tenant_id', '=', tenantId).where('device.status', '=', 'ACTIVE')
      if (lockState !== undefined) rows = rows.where('device.lock_state', '=', lockState)
      if (appName !== undefined) rows = rows.where('device.app_name', '=', appName)
      if (afterId !== undefined) rows = rows.where('device.id', '>', afterId)
      return rows.limit(filter.limit)
    })
    return (await this.#queries.all(list, nothing)).map(asDevice)
  }

  /** Voids the device's sessions too. @returns false for a device that is gone. */
  async lock(tenantId: string, id: string, reason: string | null, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(lock, { tenantId, id, reason, nowMs })) === 1
  }

  /** @returns false when it was not locked. */
  async unlock(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(unlock, { tenantId, id, nowMs })) === 1
  }

  /** Voids every access token of the device. @returns false for a device that is gone. */
  async endSessions(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(endSessions, { tenantId, id, nowMs })) === 1
  }

  /** @returns false for whoever comes second. */
  async remove(tenantId: string, id: string, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(remove, { tenantId, id, nowMs })) === 1
  }

  /** `pushTokens.dropElsewhere` first when a push token comes. */
  async update(
    tenantId: string,
    id: string,
    change: DeviceChange & { nowMs: number },
  ): Promise<boolean> {
    const { name, model, osName, osVersion, pushToken, locales, nowMs } = change
    const update = dynamicStatement((db) =>
      db
        .updateTable('device')
        .set({
          ...(name !== undefined && { name }),
          ...(model !== undefined && { model }),
          ...(osName !== undefined && { os_name: osName }),
          ...(osVersion !== undefined && { os_version: osVersion }),
          ...(pushToken !== undefined && { push_token: pushToken }),
          ...(locales !== undefined && { locales: JSON.stringify(locales) }),
          updated_at: nowMs,
        })
        .where('tenant_id', '=', tenantId)
        .where('id', '=', id)
        .where('status', '=', 'ACTIVE'),
    )
    return (await this.#queries.run(update, nothing)) === 1
  }

  /**
   * Notes a login, if the device still stands as the login found it.
   *
   * @returns false when a lock, a disconnection or a deletion came first.
   */
  async recordLogin(device: Device, app: AppFacts, nowMs: number): Promise<boolean> {
    const changed = await this.#queries.run(recordLogin, {
      tenantId: device.tenantId,
      id: device.id,
      sessionEpoch: device.sessionEpoch,
      versionStr: app.versionStr,
      sdkVersion: app.sdkVersion,
      integrity: app.integrity ?? null,
      risks: app.risks ?? null,
      nowMs,
    })
    return changed === 1
  }

  /**
   * Keeps the device from being locked, disconnected or deleted until the transaction ends.
   *
   * @returns false when that has happened since the session began.
   */
  async holdSession(session: Key & { sessionEpoch: number; nowMs: number }): Promise<boolean> {
    return (await this.#queries.run(holdSession, session)) === 1
  }

  async recordFailure(tenantId: string, id: string, nowMs: number): Promise<void> {
    await this.#queries.run(recordFailure, { tenantId, id, nowMs })
  }
}

function asRow(device: NewDevice): DeviceTable {
  return {
    tenant_id: device.tenantId,
    id: device.id,
    key_thumbprint: device.keyThumbprint,
    public_jwk: JSON.stringify(device.publicKey),
    status: 'ACTIVE',
    enrolled_via: device.enrolledVia,
    name: device.name,
    model: device.model,
    os_name: device.osName,
    os_version: device.osVersion,
    app_name: device.app.name,
    platform: device.app.platform,
    architecture: device.app.architecture,
    app_version: device.app.versionStr,
    sdk_version: device.app.sdkVersion,
    integrity: device.app.integrity ?? null,
    risks: device.app.risks ?? null,
    push_token: device.pushToken,
    locales: JSON.stringify(device.locales),
    lock_state: 'NONE',
    lock_reason: null,
    lock_changed_at: null,
    session_epoch: 1,
    created_at: device.createdAtMs,
    updated_at: device.createdAtMs,
    last_seen_at: device.createdAtMs,
    last_success_at: null,
    last_failure_at: null,
    deleted_at: null,
  }
}
