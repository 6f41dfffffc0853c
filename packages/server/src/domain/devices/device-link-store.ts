import type { EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import type { Queries } from '#storage/queries.ts'
import type { DeviceLinkTable } from '#storage/schema/devices.ts'
import { type Builder, dynamicStatement, nothing, statement } from '#storage/statement.ts'
import type { DeviceLink, Factor } from './device.ts'

export interface NewLink {
  readonly tenantId: string
  readonly deviceId: string
  readonly userId: string
  readonly bio: BioKey | null
  readonly keyStatement: string
  readonly linkedAtMs: number
}

/** A biometric key and the statement that it signed. */
export interface BioKey {
  readonly jwk: EcPublicJwk
  readonly thumbprint: string
  readonly statement: string
}

export interface LinkKey {
  readonly tenantId: string
  readonly deviceId: string
  readonly userId: string
}

type Row = DeviceLinkTable & { readonly pin_hash: string | null }

function links(db: Builder) {
  return db
    .selectFrom('device_link as link')
    .leftJoin('device_pin as pin', (join) =>
      join.onRef('pin.tenant_id', '=', 'link.tenant_id').onRef('pin.user_id', '=', 'link.user_id'),
    )
    .selectAll('link')
    .select('pin.pin_hash')
}

const put = statement((db, p: Omit<DeviceLinkTable, 'epoch' | 'ended_at'>) =>
  db
    .insertInto('device_link')
    .values({
      tenant_id: p.tenant_id,
      device_id: p.device_id,
      user_id: p.user_id,
      epoch: 1,
      linked_at: p.linked_at,
      ended_at: null,
      bio_jwk: p.bio_jwk,
      bio_thumbprint: p.bio_thumbprint,
      key_statement: p.key_statement,
      bio_statement: p.bio_statement,
      verified_at: null,
      verified_factor: null,
      last_success_at: null,
      last_failure_at: null,
    })
    .onConflict((former) =>
      former
        .columns(['tenant_id', 'device_id', 'user_id'])
        .doUpdateSet((eb) => ({
          epoch: eb('device_link.epoch', '+', 1),
          linked_at: p.linked_at,
          ended_at: null,
          bio_jwk: p.bio_jwk,
          bio_thumbprint: p.bio_thumbprint,
          key_statement: p.key_statement,
          bio_statement: p.bio_statement,
          verified_at: null,
          verified_factor: null,
        }))
        .where('device_link.ended_at', 'is not', null),
    ),
)

const find = statement((db, p: LinkKey) =>
  links(db)
    .where('link.tenant_id', '=', p.tenantId)
    .where('link.device_id', '=', p.deviceId)
    .where('link.user_id', '=', p.userId)
    .where('link.ended_at', 'is', null),
)

const listOfDevice = statement((db, p: { tenantId: string; deviceId: string; limit: number }) =>
  links(db)
    .where('link.tenant_id', '=', p.tenantId)
    .where('link.device_id', '=', p.deviceId)
    .where('link.ended_at', 'is', null)
    .orderBy('link.linked_at')
    .orderBy('link.user_id')
    .limit(p.limit),
)

const countOfUser = statement((db, p: { tenantId: string; userId: string }) =>
  db
    .selectFrom('device_link')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('ended_at', 'is', null),
)

const listDevicesOfUser = statement((db, p: { tenantId: string; userId: string; limit: number }) =>
  db
    .selectFrom('device_link')
    .select('device_id')
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('ended_at', 'is', null)
    .orderBy('device_id')
    .limit(p.limit),
)

const end = statement((db, p: LinkKey & { nowMs: number }) =>
  db
    .updateTable('device_link')
    .set((eb) => ({
      epoch: eb('epoch', '+', 1),
      ended_at: p.nowMs,
      verified_at: null,
      verified_factor: null,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('user_id', '=', p.userId)
    .where('ended_at', 'is', null),
)

const endOfDevice = statement((db, p: { tenantId: string; deviceId: string; nowMs: number }) =>
  db
    .updateTable('device_link')
    .set((eb) => ({
      epoch: eb('epoch', '+', 1),
      ended_at: p.nowMs,
      verified_at: null,
      verified_factor: null,
    }))
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('ended_at', 'is', null),
)

const setBio = statement(
  (
    db,
    p: LinkKey & {
      jwk: string | null
      thumbprint: string | null
      keyStatement: string
      statement: string | null
    },
  ) =>
    db
      .updateTable('device_link')
      .set({
        bio_jwk: p.jwk,
        bio_thumbprint: p.thumbprint,
        key_statement: p.keyStatement,
        bio_statement: p.statement,
      })
      .where('tenant_id', '=', p.tenantId)
      .where('device_id', '=', p.deviceId)
      .where('user_id', '=', p.userId)
      .where('ended_at', 'is', null),
)

const recordSuccess = statement(
  (
    db,
    p: LinkKey & {
      epoch: number
      verifiedAtMs: number | null
      factor: string | null
      nowMs: number
    },
  ) =>
    db
      .updateTable('device_link')
      .set((eb) => ({
        verified_at: eb.fn.coalesce(eb.val(p.verifiedAtMs), 'verified_at'),
        verified_factor: eb.fn.coalesce(eb.val(p.factor), 'verified_factor'),
        last_success_at: p.nowMs,
      }))
      .where('tenant_id', '=', p.tenantId)
      .where('device_id', '=', p.deviceId)
      .where('user_id', '=', p.userId)
      .where('epoch', '=', p.epoch)
      .where('ended_at', 'is', null)
      .returning(['verified_at', 'verified_factor']),
)

const recordFailure = statement((db, p: LinkKey & { nowMs: number }) =>
  db
    .updateTable('device_link')
    .set({ last_failure_at: p.nowMs })
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('user_id', '=', p.userId),
)

const hold = statement((db, p: LinkKey & { epoch: number }) =>
  db
    .updateTable('device_link')
    .set({ epoch: p.epoch })
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('user_id', '=', p.userId)
    .where('epoch', '=', p.epoch)
    .where('ended_at', 'is', null),
)

const forgetVerificationOfDevice = statement((db, p: { tenantId: string; deviceId: string }) =>
  db
    .updateTable('device_link')
    .set({ verified_at: null, verified_factor: null })
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId),
)

const forgetVerificationElsewhere = statement((db, p: LinkKey) =>
  db
    .updateTable('device_link')
    .set({ verified_at: null, verified_factor: null })
    .where('tenant_id', '=', p.tenantId)
    .where('user_id', '=', p.userId)
    .where('device_id', '<>', p.deviceId),
)

/** Which users a device speaks for. */
export class DeviceLinkStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @returns false when the user is linked already: the primary key decides. An ended link stands again. */
  async put({
    tenantId,
    deviceId,
    userId,
    bio,
    keyStatement,
    linkedAtMs,
  }: NewLink): Promise<boolean> {
    const changed = await this.#queries.run(put, {
      tenant_id: tenantId,
      device_id: deviceId,
      user_id: userId,
      linked_at: linkedAtMs,
      bio_jwk: bio === null ? null : JSON.stringify(bio.jwk),
      bio_thumbprint: bio?.thumbprint ?? null,
      key_statement: keyStatement,
      bio_statement: bio?.statement ?? null,
      verified_at: null,
      verified_factor: null,
      last_success_at: null,
      last_failure_at: null,
    })
    return changed === 1
  }

  async find(key: LinkKey): Promise<DeviceLink | undefined> {
    const row = await this.#queries.first(find, key)
    return row && asLink(row)
  }

  /** Oldest first. */
  async listOfDevice(tenantId: string, deviceId: string, limit: number): Promise<DeviceLink[]> {
    return (await this.#queries.all(listOfDevice, { tenantId, deviceId, limit })).map(asLink)
  }

  /** Those of all the devices of a page, in one statement. */
  async listOfDevices(tenantId: string, deviceIds: readonly string[]): Promise<DeviceLink[]> {
    if (deviceIds.length === 0) return []
    const list = dynamicStatement((db) =>
      links(db)
        .where('link.tenant_id', '=', tenantId)
        .where('link.device_id', 'in', deviceIds)
        .where('link.ended_at', 'is', null)
        .orderBy('link.device_id')
        .orderBy('link.linked_at')
        .orderBy('link.user_id'),
    )
    return (await this.#queries.all(list, nothing)).map(asLink)
  }

  async countOfUser(tenantId: string, userId: string): Promise<number> {
    return Number((await this.#queries.first(countOfUser, { tenantId, userId }))?.count ?? 0)
  }

  /** Ids of the devices to which a user is linked, oldest first. */
  async listDevicesOfUser(tenantId: string, userId: string, limit: number): Promise<string[]> {
    const rows = await this.#queries.all(listDevicesOfUser, { tenantId, userId, limit })
    return rows.map((row) => row.device_id)
  }

  /** @returns false when it had ended already. */
  async end(key: LinkKey, nowMs: number): Promise<boolean> {
    return (await this.#queries.run(end, { ...key, nowMs })) === 1
  }

  async endOfDevice(tenantId: string, deviceId: string, nowMs: number): Promise<void> {
    await this.#queries.run(endOfDevice, { tenantId, deviceId, nowMs })
  }

  /** Null takes the biometric key away. @returns false when the link has ended. */
  async setBio(key: LinkKey, bio: BioKey | null, keyStatement: string): Promise<boolean> {
    const changed = await this.#queries.run(setBio, {
      ...key,
      jwk: bio === null ? null : JSON.stringify(bio.jwk),
      thumbprint: bio?.thumbprint ?? null,
      keyStatement,
      statement: bio?.statement ?? null,
    })
    return changed === 1
  }

  /**
   * Notes a login, and with which factor if one was brought.
   *
   * @returns the verification that a login carries from now on; undefined when the link has ended since it was read.
   */
  async recordSuccess(
    key: LinkKey,
    { epoch, factor, nowMs }: { epoch: number; factor: Factor | null; nowMs: number },
  ): Promise<Pick<DeviceLink, 'verified'> | undefined> {
    const { tenantId, deviceId, userId } = key
    const verifiedAtMs = factor === null ? null : nowMs
    const row = await this.#queries.first(recordSuccess, {
      tenantId,
      deviceId,
      userId,
      epoch,
      verifiedAtMs,
      factor,
      nowMs,
    })
    return row && { verified: verifiedOf(row) }
  }

  async recordFailure(key: LinkKey, nowMs: number): Promise<void> {
    await this.#queries.run(recordFailure, { ...key, nowMs })
  }

  /** Keeps the link from ending until the transaction does. @returns false when it has ended. */
  async hold(key: LinkKey, epoch: number): Promise<boolean> {
    return (await this.#queries.run(hold, { ...key, epoch })) === 1
  }

  /** After it, a login without a factor carries no verification on this device. */
  async forgetVerificationOfDevice(tenantId: string, deviceId: string): Promise<void> {
    await this.#queries.run(forgetVerificationOfDevice, { tenantId, deviceId })
  }

  /** The same for the user's other devices. */
  async forgetVerificationElsewhere(key: LinkKey): Promise<void> {
    await this.#queries.run(forgetVerificationElsewhere, key)
  }
}

export function asJwk(json: string): EcPublicJwk {
  return JSON.parse(json) as EcPublicJwk
}

function verifiedOf(row: {
  readonly verified_at: number | null
  readonly verified_factor: string | null
}): DeviceLink['verified'] {
  const { verified_at: atMs, verified_factor: factor } = row
  return atMs === null || factor === null ? null : { atMs, factor: factor as Factor }
}

function asLink(row: Row): DeviceLink {
  return {
    deviceId: row.device_id,
    userId: row.user_id,
    epoch: row.epoch,
    linkedAtMs: row.linked_at,
    endedAtMs: row.ended_at,
    bioKey: row.bio_jwk === null ? null : asJwk(row.bio_jwk),
    bioThumbprint: row.bio_thumbprint,
    keyStatement: row.key_statement,
    bioStatement: row.bio_statement,
    verified: verifiedOf(row),
    lastSuccessAtMs: row.last_success_at,
    lastFailureAtMs: row.last_failure_at,
    hasPin: row.pin_hash !== null,
  }
}
