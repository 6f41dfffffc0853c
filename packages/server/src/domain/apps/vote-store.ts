import type { Queries } from '#storage/queries.ts'
import { type Builder, statement } from '#storage/statement.ts'
import type { NewRegistration, RegistrationPlace } from './registration-store.ts'

/** The value that a device reports. */
export interface Vote extends RegistrationPlace {
  readonly deviceId: string
  readonly integrity: string
}

interface Counted extends RegistrationPlace {
  readonly integrity: string
  /** No more are counted. */
  readonly limit: number
}

/** Votes for one version and architecture; more than any quorum. Whoever comes when they are full has none. */
const votesMax = 2_000

function votesOf(db: Builder, p: RegistrationPlace) {
  return db
    .selectFrom('app_vote as o')
    .where('o.tenant_id', '=', p.tenantId)
    .where('o.version_id', '=', p.versionId)
    .where('o.architecture', '=', p.architecture)
}

/** How many devices report a value, up to a limit. */
function countOf(db: Builder, p: Counted) {
  const counted = votesOf(db, p)
    .select('o.device_id')
    .where('o.integrity', '=', p.integrity)
    .limit(p.limit)
  return db.selectFrom(counted.as('n')).select(({ fn }) => fn.countAll<number>().as('count'))
}

const put = statement((db, p: Vote & { votesMax: number; nowMs: number }) =>
  db
    .insertInto('app_vote')
    .columns(['tenant_id', 'device_id', 'version_id', 'architecture', 'integrity', 'voted_at'])
    .expression(
      db
        .selectFrom('app_version as v')
        .select((eb) => [
          'v.tenant_id',
          eb.val(p.deviceId).as('device_id'),
          'v.id as version_id',
          eb.val(p.architecture).as('architecture'),
          eb.val(p.integrity).as('integrity'),
          eb.val(p.nowMs).as('voted_at'),
        ])
        .where('v.tenant_id', '=', p.tenantId)
        .where('v.id', '=', p.versionId)
        .where((eb) => {
          const some = votesOf(db, p).select('o.device_id').limit(p.votesMax)
          const all = eb
            .selectFrom(some.as('n'))
            .select(({ fn }) => fn.countAll<number>().as('count'))
          return eb(all, '<', p.votesMax)
        }),
    )
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'device_id', 'version_id'])
        .doUpdateSet({ integrity: p.integrity, voted_at: p.nowMs })
        .where('app_vote.integrity', '<>', p.integrity),
    ),
)

const registerByQuorum = statement((db, p: NewRegistration & { quorum: number }) =>
  db
    .insertInto('app_registration')
    .columns([
      'tenant_id',
      'version_id',
      'architecture',
      'integrity',
      'registered_by',
      'sdk_version',
      'registered_at',
    ])
    .expression(
      db
        .selectFrom('app_version as v')
        .select((eb) => [
          'v.tenant_id',
          'v.id as version_id',
          eb.val(p.architecture).as('architecture'),
          eb.val(p.integrity).as('integrity'),
          eb.val(p.registeredBy).as('registered_by'),
          eb.val(p.sdkVersion).as('sdk_version'),
          eb.val(p.nowMs).as('registered_at'),
        ])
        .where('v.tenant_id', '=', p.tenantId)
        .where('v.id', '=', p.versionId)
        .where((eb) =>
          eb(
            countOf(db, { ...placeOf(p), integrity: p.integrity, limit: p.quorum }),
            '>=',
            p.quorum,
          ),
        ),
    )
    .onConflict((taken) => taken.doNothing()),
)

const find = statement((db, p: { tenantId: string; deviceId: string; versionId: string }) =>
  db
    .selectFrom('app_vote')
    .select('integrity')
    .where('tenant_id', '=', p.tenantId)
    .where('device_id', '=', p.deviceId)
    .where('version_id', '=', p.versionId),
)

const count = statement((db, p: Counted) => countOf(db, p))

const removeOf = statement((db, p: RegistrationPlace) =>
  db
    .deleteFrom('app_vote')
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', '=', p.versionId)
    .where('architecture', '=', p.architecture),
)

const removeAll = statement((db, p: { tenantId: string; versionId: string }) =>
  db
    .deleteFrom('app_vote')
    .where('tenant_id', '=', p.tenantId)
    .where('version_id', '=', p.versionId),
)

const removeOfDevice = statement((db, p: { tenantId: string; deviceId: string }) =>
  db.deleteFrom('app_vote').where('tenant_id', '=', p.tenantId).where('device_id', '=', p.deviceId),
)

/** What devices report while a quorum forms. Only for transactions that hold the version, so that votes are counted one after another. */
export class VoteStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** A device has one vote a version: the last value that it reported. A vote that there is no room for is not kept. */
  async put(vote: Vote, nowMs: number): Promise<void> {
    await this.#queries.run(put, { ...vote, votesMax, nowMs })
  }

  /**
   * Registers the value if enough devices report it and nothing is registered yet: one statement decides.
   *
   * @returns whether it did.
   */
  async register(registration: NewRegistration, quorum: number): Promise<boolean> {
    return (await this.#queries.run(registerByQuorum, { ...registration, quorum })) === 1
  }

  /** Whether the device's vote is in, and does not make a quorum. */
  async isWaiting({ deviceId, ...vote }: Vote, quorum: number): Promise<boolean> {
    const { tenantId, versionId, integrity } = vote
    const own = await this.#queries.first(find, { tenantId, deviceId, versionId })
    if (own?.integrity !== integrity) return false
    const row = await this.#queries.first(count, { ...vote, limit: quorum })
    return Number(row?.count ?? 0) < quorum
  }

  /** @returns how many there were. */
  async removeOf(place: RegistrationPlace): Promise<number> {
    return this.#queries.run(removeOf, place)
  }

  async removeAll(tenantId: string, versionId: string): Promise<void> {
    await this.#queries.run(removeAll, { tenantId, versionId })
  }

  /** A device that is gone speaks for nothing. */
  async removeOfDevice(tenantId: string, deviceId: string): Promise<void> {
    await this.#queries.run(removeOfDevice, { tenantId, deviceId })
  }
}

function placeOf(p: RegistrationPlace): RegistrationPlace {
  return { tenantId: p.tenantId, versionId: p.versionId, architecture: p.architecture }
}
