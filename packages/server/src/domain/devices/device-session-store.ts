import type { EcPublicJwk } from '@countersign/protocol/message/device-jws.ts'
import type { Queries } from '#storage/queries.ts'
import { statement } from '#storage/statement.ts'
import type { Factor } from './device.ts'
import { asJwk } from './device-link-store.ts'

/** An access token as it was given out; the token itself is never stored. */
export interface NewSession {
  readonly tenantId: string
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string
  readonly deviceId: string
  readonly userId: string | null
  /** Space-separated, `device` first. */
  readonly scope: string
  readonly factor: Factor | null
  readonly verifiedAtMs: number | null
  readonly sessionEpoch: number
  readonly linkEpoch: number | null
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** How a device, its link and its user stand now. */
export interface Standing {
  readonly deviceStatus: string
  readonly lockState: string
  readonly lockReason: string | null
  readonly currentSessionEpoch: number
  readonly tenantStatus: string
  /** Null: the user is not linked any more, or the token has no user. */
  readonly currentLinkEpoch: number | null
  readonly userStatus: string | null
}

/** All that decides about a presented access token, read in one go. */
export interface Session extends NewSession, Standing {
  readonly keyThumbprint: string
  readonly publicKey: EcPublicJwk
  readonly settingsVersion: number
}

interface Proof {
  readonly tenantId: string
  readonly keyThumbprint: string
  readonly jti: string
  readonly untilMs: number
}

const insert = statement((db, p: NewSession) =>
  db.insertInto('device_token').values({
    tenant_id: p.tenantId,
    token_hash: p.tokenHash,
    device_id: p.deviceId,
    user_id: p.userId,
    scope: p.scope,
    factor: p.factor,
    verified_at: p.verifiedAtMs,
    session_epoch: p.sessionEpoch,
    link_epoch: p.linkEpoch,
    issued_at: p.issuedAtMs,
    expires_at: p.expiresAtMs,
  }),
)

const find = statement((db, p: { tokenHash: string }) =>
  db
    .selectFrom('device_token as token')
    .innerJoin('device', (join) =>
      join
        .onRef('device.tenant_id', '=', 'token.tenant_id')
        .onRef('device.id', '=', 'token.device_id'),
    )
    .innerJoin('tenant', 'tenant.tenant_id', 'token.tenant_id')
    .leftJoin('device_link as link', (join) =>
      join
        .onRef('link.tenant_id', '=', 'token.tenant_id')
        .onRef('link.device_id', '=', 'token.device_id')
        .onRef('link.user_id', '=', 'token.user_id')
        .on('link.ended_at', 'is', null),
    )
    .leftJoin('app_user as user', (join) =>
      join.onRef('user.tenant_id', '=', 'token.tenant_id').onRef('user.id', '=', 'token.user_id'),
    )
    .selectAll('token')
    .select([
      'device.key_thumbprint',
      'device.public_jwk',
      'device.status as device_status',
      'device.lock_state',
      'device.lock_reason',
      'device.session_epoch as current_session_epoch',
      'tenant.status as tenant_status',
      'tenant.settings_version',
      'link.epoch as current_link_epoch',
      'user.status as user_status',
    ])
    .where('token.token_hash', '=', p.tokenHash),
)

const findStanding = statement((db, p: { tenantId: string; deviceId: string; userId: string }) =>
  db
    .selectFrom('device')
    .innerJoin('tenant', 'tenant.tenant_id', 'device.tenant_id')
    .leftJoin('device_link as link', (join) =>
      join
        .onRef('link.tenant_id', '=', 'device.tenant_id')
        .onRef('link.device_id', '=', 'device.id')
        .on('link.user_id', '=', p.userId)
        .on('link.ended_at', 'is', null),
    )
    .leftJoin('app_user as user', (join) =>
      join.onRef('user.tenant_id', '=', 'link.tenant_id').onRef('user.id', '=', 'link.user_id'),
    )
    .select([
      'device.status as device_status',
      'device.lock_state',
      'device.lock_reason',
      'device.session_epoch as current_session_epoch',
      'tenant.status as tenant_status',
      'link.epoch as current_link_epoch',
      'user.status as user_status',
    ])
    .where('device.tenant_id', '=', p.tenantId)
    .where('device.id', '=', p.deviceId),
)

const remember = statement((db, p: Proof) =>
  db
    .insertInto('device_proof')
    .values({
      tenant_id: p.tenantId,
      key_thumbprint: p.keyThumbprint,
      jti: p.jti,
      until_ms: p.untilMs,
    })
    .onConflict((known) => known.doNothing()),
)

const removeTokens = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .deleteFrom('device_token')
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'token_hash'),
        'in',
        eb
          .selectFrom('device_token')
          .select(['tenant_id', 'token_hash'])
          .where('expires_at', '<=', p.nowMs)
          .orderBy('expires_at')
          .limit(p.limit)
          .$asTuple('tenant_id', 'token_hash'),
      ),
    ),
)

const removeProofs = statement((db, p: { nowMs: number; limit: number }) =>
  db
    .deleteFrom('device_proof')
    .where(({ eb, refTuple }) =>
      eb(
        refTuple('tenant_id', 'key_thumbprint', 'jti'),
        'in',
        eb
          .selectFrom('device_proof')
          .select(['tenant_id', 'key_thumbprint', 'jti'])
          .where('until_ms', '<=', p.nowMs)
          .orderBy('until_ms')
          .limit(p.limit)
          .$asTuple('tenant_id', 'key_thumbprint', 'jti'),
      ),
    ),
)

/** Access tokens of devices, and the memory of what was signed for one use. */
export class DeviceSessionStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  async insert(session: NewSession): Promise<void> {
    await this.#queries.run(insert, session)
  }

  /** Its bearer names no tenant: the hash of 256 random bits names one token of the whole server. */
  async find(tokenHash: string): Promise<Session | undefined> {
    const row = await this.#queries.first(find, { tokenHash })
    return (
      row && {
        tenantId: row.tenant_id,
        tokenHash: row.token_hash,
        deviceId: row.device_id,
        userId: row.user_id,
        scope: row.scope,
        factor: row.factor as Factor | null,
        verifiedAtMs: row.verified_at,
        sessionEpoch: row.session_epoch,
        linkEpoch: row.link_epoch,
        issuedAtMs: row.issued_at,
        expiresAtMs: row.expires_at,
        keyThumbprint: row.key_thumbprint,
        publicKey: asJwk(row.public_jwk),
        deviceStatus: row.device_status,
        lockState: row.lock_state,
        lockReason: row.lock_reason,
        currentSessionEpoch: row.current_session_epoch,
        tenantStatus: row.tenant_status,
        settingsVersion: row.settings_version,
        currentLinkEpoch: row.current_link_epoch,
        userStatus: row.user_status,
      }
    )
  }

  /** For a session that outlives its token, such as an event stream. */
  async findStanding(of: {
    tenantId: string
    deviceId: string
    userId: string | null
  }): Promise<Standing | undefined> {
    const row = await this.#queries.first(findStanding, { ...of, userId: of.userId ?? '' })
    return (
      row && {
        deviceStatus: row.device_status,
        lockState: row.lock_state,
        lockReason: row.lock_reason,
        currentSessionEpoch: row.current_session_epoch,
        tenantStatus: row.tenant_status,
        currentLinkEpoch: row.current_link_epoch,
        userStatus: row.user_status,
      }
    )
  }

  /** @returns false when this key has used the `jti` before: the primary key decides. */
  async remember(proof: Proof): Promise<boolean> {
    return (await this.#queries.run(remember, proof)) === 1
  }

  /** Of all tenants. @returns how many rows went; none: nothing more is due. */
  async removeExpired(nowMs: number, limit: number): Promise<number> {
    const tokens = await this.#queries.run(removeTokens, { nowMs, limit })
    return tokens + (await this.#queries.run(removeProofs, { nowMs, limit }))
  }
}
