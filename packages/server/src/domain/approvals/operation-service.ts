import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Factor } from '../devices/device.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { onceOnlyScheme } from '../users/identifier.ts'
import { type Approval, approvalAt } from './approval.ts'
import { requireApprovalReader } from './approval-rights.ts'
import type { ApprovalService } from './approval-service.ts'
import { isOperation, type Operation, operationIdOf } from './operation.ts'

/** Most operations that one answer lists; of more, the oldest. */
export const pendingOperationsMax = 1_000

export interface OperationDraft {
  readonly keylessUserId: string
  readonly operationId: string
  readonly payload: string | undefined
  readonly externalUserId: string | undefined
  readonly factor: Factor | undefined
}

/** Approvals as the operations of a Keyless backend, whoever made them. */
export class OperationService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #approvals: ApprovalService
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    approvals: ApprovalService
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#approvals = dependencies.approvals
    this.#clock = dependencies.clock
  }

  /**
   * Asks the user, who need not have a device yet.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`, `user_disabled`; `already_exists` for an
   *   operation id that was ever used.
   */
  async create(caller: Caller, tenantId: string, draft: OperationDraft): Promise<Approval> {
    requireApprovalReader(caller, tenantId)
    const { keyless } = await this.#settings.settingsFor(caller, tenantId)
    const { keylessUserId, operationId, payload, externalUserId, factor } = draft
    const user = { scheme: onceOnlyScheme, value: keylessUserId }
    const { read } = this.#storage
    await read.userResolver.getUserId(tenantId, user)
    // An approval without a reference goes by its id, and no id comes twice.
    const namesake = await read.approvals.find(tenantId, operationId)
    if (namesake !== undefined && namesake.reference === null) {
      throw new DomainError('already_exists', 'The operation id was used before.')
    }
    const ttlSeconds = keyless.pendingOperationTtlSeconds
    return this.#approvals.create(caller, tenantId, {
      reference: operationId,
      user,
      text: payload ?? null,
      timeouts: {
        retrievalSeconds: null,
        decisionSeconds: null,
        totalSeconds: ttlSeconds === 0 ? null : ttlSeconds,
      },
      authentication: { factor },
      externalUserId,
    })
  }

  /**
   * What the user has not decided yet, oldest first.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async listPending(caller: Caller, tenantId: string, keylessUserId: string): Promise<Approval[]> {
    requireApprovalReader(caller, tenantId)
    const { read } = this.#storage
    const user = { scheme: onceOnlyScheme, value: keylessUserId }
    const userId = await read.userResolver.getUserId(tenantId, user)
    const nowMs = this.#clock()
    const page = { nowMs, limit: pendingOperationsMax }
    return (await read.approvals.open.list(tenantId, userId, page)).filter(isOperation)
  }

  /**
   * By reference; an approval without one by its id.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `approval_not_found`, also for one that is no operation, and
   *   after its user is gone.
   */
  async get(caller: Caller, tenantId: string, operationId: string): Promise<Operation> {
    requireApprovalReader(caller, tenantId)
    const { read } = this.#storage
    const named = await read.approvals.findByReference(tenantId, operationId)
    const approval = named ?? (await read.approvals.find(tenantId, operationId))
    if (approval === undefined || !isOperation(approval)) throw approvalNotFound()
    if (operationIdOf(approval) !== operationId) throw approvalNotFound()
    const identifiers = await read.userIdentifiers.listOf(tenantId, approval.userId)
    const keylessUserId = identifiers.find(({ scheme }) => scheme === onceOnlyScheme)?.value
    const number = await read.approvals.open.findNumber(tenantId, approval.id)
    if (keylessUserId === undefined || number === undefined) throw approvalNotFound()
    return { approval: approvalAt(approval, this.#clock()), operationId, number, keylessUserId }
  }
}

function approvalNotFound(): DomainError {
  return new DomainError('approval_not_found', 'No such approval.')
}
