import type { Queries } from '#storage/queries.ts'
import type { PolicyAssignmentTable, RegistrationPolicyTable } from '#storage/schema/apps.ts'
import { statement } from '#storage/statement.ts'
import type { AssignmentTarget, PolicyAssignment } from './policy.ts'
import { assignmentsPerTenantMax, policiesPerTenantMax } from './policy.ts'
import type { PolicyTarget, RegistrationPolicy } from './registration-policy.ts'

/** A policy without its assignments. */
export interface NamedRule {
  readonly name: string
  readonly rule: RegistrationPolicy
}

/** An assignment, and of which policy. */
export interface StoredAssignment {
  readonly policy: string
  readonly assignment: PolicyAssignment
}

/** An assignment that counts for a device; the rule is undefined where the policy is the built-in one. */
export interface CountingAssignment {
  readonly isOfPlatform: boolean
  readonly isOfArchitecture: boolean
  readonly rule: RegistrationPolicy | undefined
}

interface Key {
  readonly tenantId: string
  readonly name: string
}

/** In place of a platform or an architecture: all. */
const every = ''

const insert = statement((db, row: RegistrationPolicyTable) =>
  db.insertInto('registration_policy').values({
    tenant_id: row.tenant_id,
    name: row.name,
    type: row.type,
    quorum: row.quorum,
    user_id: row.user_id,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }),
)

const replace = statement(
  (db, p: Key & { type: string; quorum: number | null; userId: string | null; nowMs: number }) =>
    db
      .updateTable('registration_policy')
      .set({ type: p.type, quorum: p.quorum, user_id: p.userId, updated_at: p.nowMs })
      .where('tenant_id', '=', p.tenantId)
      .where('name', '=', p.name),
)

const hold = statement((db, p: Key) =>
  db
    .updateTable('registration_policy')
    .set(({ ref }) => ({ updated_at: ref('updated_at') }))
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const remove = statement((db, p: Key) =>
  db
    .deleteFrom('registration_policy')
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const find = statement((db, p: Key) =>
  db
    .selectFrom('registration_policy')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('name', '=', p.name),
)

const list = statement((db, p: { tenantId: string; limit: number }) =>
  db
    .selectFrom('registration_policy')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('name', '>', '')
    .orderBy('name')
    .limit(p.limit),
)

const count = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('registration_policy')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tenant_id', '=', p.tenantId)
    .where('name', '>', ''),
)

const countAssignments = statement((db, p: { tenantId: string }) =>
  db
    .selectFrom('policy_assignment')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', ''),
)

const assign = statement((db, row: PolicyAssignmentTable) =>
  db.insertInto('policy_assignment').values({
    tenant_id: row.tenant_id,
    id: row.id,
    app: row.app,
    platform: row.platform,
    architecture: row.architecture,
    policy: row.policy,
    created_at: row.created_at,
  }),
)

const findAssignment = statement((db, p: { tenantId: string; id: string }) =>
  db
    .selectFrom('policy_assignment')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '=', p.id),
)

const unassign = statement((db, p: { tenantId: string; id: string }) =>
  db.deleteFrom('policy_assignment').where('tenant_id', '=', p.tenantId).where('id', '=', p.id),
)

const unassignApp = statement((db, p: { tenantId: string; appName: string }) =>
  db
    .deleteFrom('policy_assignment')
    .where('tenant_id', '=', p.tenantId)
    .where('app', '=', p.appName),
)

const listAssignments = statement((db, p: { tenantId: string; limit: number }) =>
  db
    .selectFrom('policy_assignment')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('id', '>', '')
    .orderBy('id')
    .limit(p.limit),
)

const listAssignmentsOf = statement((db, p: Key & { limit: number }) =>
  db
    .selectFrom('policy_assignment')
    .selectAll()
    .where('tenant_id', '=', p.tenantId)
    .where('policy', '=', p.name)
    .orderBy('id')
    .limit(p.limit),
)

const counting = statement((db, p: PolicyTarget) =>
  db
    .selectFrom('policy_assignment as a')
    .leftJoin('registration_policy as r', (join) =>
      join.onRef('r.tenant_id', '=', 'a.tenant_id').onRef('r.name', '=', 'a.policy'),
    )
    .select(['a.platform', 'a.architecture', 'r.type', 'r.quorum', 'r.user_id'])
    .where('a.tenant_id', '=', p.tenantId)
    .where('a.app', '=', p.appName)
    .where('a.platform', 'in', [p.platform, every])
    .where('a.architecture', 'in', [p.architecture, every]),
)

/** Policies and their assignments; a tenant has a bounded number of both. */
export class PolicyStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /** @throws StorageError `taken` when the tenant has a policy of that name. */
  async insert(tenantId: string, { name, rule }: NamedRule, nowMs: number): Promise<void> {
    const { type, quorum, userId } = toColumns(rule)
    await this.#queries.run(insert, {
      tenant_id: tenantId,
      name,
      type,
      quorum,
      user_id: userId,
      created_at: nowMs,
      updated_at: nowMs,
    })
  }

  /** False when there is no such policy. */
  async replace(tenantId: string, { name, rule }: NamedRule, nowMs: number): Promise<boolean> {
    const p = { tenantId, name, ...toColumns(rule), nowMs }
    return (await this.#queries.run(replace, p)) === 1
  }

  /**
   * Keeps a policy from being deleted until the transaction ends, or waits until it is.
   *
   * @returns false when there is none.
   */
  async hold(tenantId: string, name: string): Promise<boolean> {
    return (await this.#queries.run(hold, { tenantId, name })) === 1
  }

  async remove(tenantId: string, name: string): Promise<void> {
    await this.#queries.run(remove, { tenantId, name })
  }

  async find(tenantId: string, name: string): Promise<NamedRule | undefined> {
    const row = await this.#queries.first(find, { tenantId, name })
    return row && asNamedRule(row)
  }

  /** All of them, by name. */
  async list(tenantId: string): Promise<NamedRule[]> {
    return (await this.#queries.all(list, { tenantId, limit: policiesPerTenantMax })).map(
      asNamedRule,
    )
  }

  async count(tenantId: string): Promise<number> {
    return Number((await this.#queries.first(count, { tenantId }))?.count ?? 0)
  }

  async countAssignments(tenantId: string): Promise<number> {
    return Number((await this.#queries.first(countAssignments, { tenantId }))?.count ?? 0)
  }

  /** @throws StorageError `taken` when a policy is assigned to exactly this. */
  async assign(
    tenantId: string,
    { policy, assignment }: StoredAssignment,
    nowMs: number,
  ): Promise<void> {
    await this.#queries.run(assign, {
      tenant_id: tenantId,
      id: assignment.id,
      app: assignment.appName,
      platform: assignment.platform ?? every,
      architecture: assignment.architecture ?? every,
      policy,
      created_at: nowMs,
    })
  }

  async findAssignment(tenantId: string, id: string): Promise<StoredAssignment | undefined> {
    const row = await this.#queries.first(findAssignment, { tenantId, id })
    return row && asStoredAssignment(row)
  }

  /** False when there is no such assignment. */
  async unassign(tenantId: string, id: string): Promise<boolean> {
    return (await this.#queries.run(unassign, { tenantId, id })) === 1
  }

  /** @returns how many assignments the app had. */
  async unassignApp(tenantId: string, appName: string): Promise<number> {
    return this.#queries.run(unassignApp, { tenantId, appName })
  }

  /** All of them, the oldest first. */
  async listAssignments(tenantId: string): Promise<StoredAssignment[]> {
    const limit = assignmentsPerTenantMax
    return (await this.#queries.all(listAssignments, { tenantId, limit })).map(asStoredAssignment)
  }

  /** Those of one policy, the oldest first. */
  async listAssignmentsOf(
    tenantId: string,
    name: string,
    limit: number = assignmentsPerTenantMax,
  ): Promise<PolicyAssignment[]> {
    const rows = await this.#queries.all(listAssignmentsOf, { tenantId, name, limit })
    return rows.map((row) => asStoredAssignment(row).assignment)
  }

  /** What counts for a device: at most four assignments. */
  async listCounting(target: PolicyTarget): Promise<CountingAssignment[]> {
    const rows = await this.#queries.all(counting, target)
    return rows.map(({ platform, architecture, type, quorum, user_id }) => ({
      isOfPlatform: platform !== every,
      isOfArchitecture: architecture !== every,
      rule: type === null ? undefined : asRule({ type, quorum, user_id }),
    }))
  }
}

function toColumns(rule: RegistrationPolicy) {
  return rule.type === 'quorum'
    ? { type: rule.type, quorum: rule.quorum, userId: null }
    : { type: rule.type, quorum: null, userId: rule.userId ?? null }
}

function asRule({
  quorum,
  user_id,
}: Pick<RegistrationPolicyTable, 'type' | 'quorum' | 'user_id'>): RegistrationPolicy {
  if (quorum !== null) return { type: 'quorum', quorum }
  return { type: 'registrationUser', ...(user_id === null ? {} : { userId: user_id }) }
}

function asNamedRule(row: RegistrationPolicyTable): NamedRule {
  return { name: row.name, rule: asRule(row) }
}

function asStoredAssignment(row: PolicyAssignmentTable): StoredAssignment {
  const target: AssignmentTarget = {
    appName: row.app,
    ...(row.platform === every ? {} : { platform: row.platform }),
    ...(row.architecture === every ? {} : { architecture: row.architecture }),
  }
  return { policy: row.policy, assignment: { id: row.id, ...target } }
}
