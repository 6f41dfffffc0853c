import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { type Storage, type Stores, takenKey } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { MemberCheck } from '../users/name-text.ts'
import { appNotFound, isAppName } from './app.ts'
import { listArchitecturesOf } from './platform.ts'
import {
  type AssignmentTarget,
  assignmentsPerTenantMax,
  defaultPolicyName,
  isPolicyName,
  type Policy,
  type PolicyAssignment,
  policiesPerTenantMax,
  policyNotFound,
} from './policy.ts'
import {
  defaultPolicy,
  quorumDefault,
  quorumMax,
  type RegistrationPolicy,
} from './registration-policy.ts'

/** What a policy is to be; a parameter of the other type is ignored. */
export interface PolicyDraft {
  readonly type: RegistrationPolicy['type']
  /** Default 10. */
  readonly quorum?: number | undefined
  /** Default: the user whom the version names. */
  readonly userId?: string | undefined
}

/** Rules of registration, and what they are assigned to. */
export class PolicyService {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: { storage: Storage; clock: Clock; nextId: IdSource }) {
    this.#storage = dependencies.storage
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /** The built-in one, then the others by name. @throws DomainError `forbidden`, `tenant_not_found`. */
  async list(caller: Caller, tenantId: string): Promise<readonly Policy[]> {
    caller.requireIn(tenantId, 'ast:read')
    const { tenants, policies } = this.#storage.read
    await tenants.requireFor(caller, tenantId)
    const own = await policies.list(tenantId)
    const assigned = Map.groupBy(await policies.listAssignments(tenantId), ({ policy }) => policy)
    return [builtIn, ...own].map(({ name, rule }) => ({
      name,
      rule,
      assignments: (assigned.get(name) ?? []).map(({ assignment }) => assignment),
    }))
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `policy_not_found`. */
  async get(caller: Caller, tenantId: string, name: string): Promise<Policy> {
    caller.requireIn(tenantId, 'ast:read')
    const { tenants, policies } = this.#storage.read
    await tenants.requireFor(caller, tenantId)
    if (!isPolicyName(name)) throw policyNotFound()
    const found = name === builtIn.name ? builtIn : await policies.find(tenantId, name)
    if (found === undefined) throw policyNotFound()
    return { ...found, assignments: await policies.listAssignmentsOf(tenantId, name) }
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `already_exists`, for the name of the
   *   built-in one too; `limit_reached` at 200 policies.
   */
  async create(caller: Caller, tenantId: string, name: string, draft: PolicyDraft): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const rule = checkedRule(name, draft)
    if (name === builtIn.name) throw nameTaken()
    try {
      await this.#storage.transaction(async (stores) => {
        // Held: who makes policies counts them one after the other.
        await stores.tenants.holdFor(caller, tenantId)
        if ((await stores.policies.count(tenantId)) >= policiesPerTenantMax) {
          const message = `A tenant has at most ${policiesPerTenantMax} policies.`
          throw new DomainError('limit_reached', message)
        }
        await stores.policies.insert(tenantId, { name, rule }, this.#clock())
        await report(stores, caller, tenantId, { action: 'policy.created', name, rule })
      })
    } catch (error) {
      throw takenKey(error) === undefined ? error : nameTaken()
    }
  }

  /**
   * Replaces the rule; what it is assigned to stays. Values that are registered stay registered.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `policy_not_found`; `state_conflict` for
   *   the built-in one.
   */
  async update(caller: Caller, tenantId: string, name: string, draft: PolicyDraft): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    const rule = checkedRule(name, draft)
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      if (name === builtIn.name) throw builtInStays()
      if (!(await stores.policies.replace(tenantId, { name, rule }, this.#clock()))) {
        throw policyNotFound()
      }
      await report(stores, caller, tenantId, { action: 'policy.updated', name, rule })
    })
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`, `policy_not_found`; `in_use` while it is assigned to anything;
   *   `state_conflict` for the built-in one.
   */
  async delete(caller: Caller, tenantId: string, name: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.transaction(async (stores) => {
      const { policies } = stores
      await stores.tenants.requireFor(caller, tenantId)
      if (name === builtIn.name) throw builtInStays()
      // Held first, so that nobody assigns it between the look and the removal.
      if (!isPolicyName(name) || !(await policies.hold(tenantId, name))) throw policyNotFound()
      if ((await policies.listAssignmentsOf(tenantId, name, 1)).length > 0) {
        throw new DomainError('in_use', 'The policy is assigned.')
      }
      await policies.remove(tenantId, name)
      await report(stores, caller, tenantId, { action: 'policy.deleted', name })
    })
  }

  /**
   * Makes a policy count for an app, or for a platform or an architecture of it.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`, `policy_not_found`, `app_not_found`,
   *   `platform_not_found`; `already_exists` when a policy is assigned to exactly this; `limit_reached` at 2,000 assignments.
   */
  async assign(
    caller: Caller,
    tenantId: string,
    name: string,
    target: AssignmentTarget,
  ): Promise<PolicyAssignment> {
    caller.requireIn(tenantId, 'ast:write')
    const { appName, platform, architecture } = target
    const check = new MemberCheck()
    check.text('/platform', platform)
    check.text('/architectureName', architecture)
    check.finish()
    if (platform !== undefined && listArchitecturesOf(platform) === undefined) {
      throw new DomainError('platform_not_found', 'No such platform.', { pointer: '/platform' })
    }
    const assignment = { ...target, id: this.#nextId() }
    try {
      await this.#storage.transaction(async (stores) => {
        const { policies, apps } = stores
        // Held: who makes assignments counts them one after the other.
        await stores.tenants.holdFor(caller, tenantId)
        const isThere =
          name === builtIn.name || (isPolicyName(name) && (await policies.hold(tenantId, name)))
        if (!isThere) throw policyNotFound()
        if (!isAppName(appName) || !(await apps.hold(tenantId, appName))) throw appNotFound()
        if ((await policies.countAssignments(tenantId)) >= assignmentsPerTenantMax) {
          const message = `A tenant has at most ${assignmentsPerTenantMax} assignments.`
          throw new DomainError('limit_reached', message)
        }
        await policies.assign(tenantId, { policy: name, assignment }, this.#clock())
        await stores.journal.append(caller, tenantId, {
          action: 'policy.assigned',
          target: { type: 'policy', id: name },
          detail: detailOf(assignment),
        })
      })
    } catch (error) {
      if (takenKey(error) === undefined) throw error
      throw new DomainError('already_exists', 'A policy is assigned to exactly this.')
    }
    return assignment
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `policy_assignment_not_found`. */
  async unassign(caller: Caller, tenantId: string, assignmentId: string): Promise<void> {
    caller.requireIn(tenantId, 'ast:write')
    await this.#storage.transaction(async (stores) => {
      await stores.tenants.requireFor(caller, tenantId)
      const found = await stores.policies.findAssignment(tenantId, assignmentId)
      if (found === undefined || !(await stores.policies.unassign(tenantId, assignmentId))) {
        throw new DomainError('policy_assignment_not_found', 'No such assignment.')
      }
      await stores.journal.append(caller, tenantId, {
        action: 'policy.unassigned',
        target: { type: 'policy', id: found.policy },
        detail: detailOf(found.assignment),
      })
    })
  }
}

const builtIn = { name: defaultPolicyName, rule: defaultPolicy } as const

function checkedRule(name: string, { type, quorum, userId }: PolicyDraft): RegistrationPolicy {
  const check = new MemberCheck()
  if (!isPolicyName(name)) {
    check.add('path:policyName', 'bad_format', 'must have no control characters')
  }
  if (type === 'quorum') {
    const count = quorum ?? quorumDefault
    if (!Number.isInteger(count) || count < 1 || count > quorumMax) {
      check.add('/parameters/quorum', 'out_of_range', `must be 1 to ${quorumMax}`)
    }
    check.finish()
    return { type, quorum: count }
  }
  check.text('/parameters/userId', userId)
  check.finish()
  return { type, ...(userId === undefined ? {} : { userId }) }
}

function detailOf({ id, appName, platform, architecture }: PolicyAssignment) {
  return {
    assignment: id,
    app: appName,
    platform: platform ?? null,
    architecture: architecture ?? null,
  }
}

async function report(
  { journal }: Stores,
  caller: Caller,
  tenantId: string,
  { action, name, rule }: { action: string; name: string; rule?: RegistrationPolicy | undefined },
): Promise<void> {
  await journal.append(caller, tenantId, {
    action,
    target: { type: 'policy', id: name },
    ...(rule === undefined ? {} : { detail: ruleDetail(rule) }),
  })
}

function ruleDetail(rule: RegistrationPolicy) {
  return rule.type === 'quorum' ? { ...rule } : { type: rule.type, userId: rule.userId ?? null }
}

function nameTaken(): DomainError {
  return new DomainError('already_exists', 'A policy of this name exists.')
}

function builtInStays(): DomainError {
  return new DomainError('state_conflict', 'The built-in policy stays as it is.')
}
