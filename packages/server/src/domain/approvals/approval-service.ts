import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { decodeCursor, type Page, type PageRequest, pageOf } from '../paging.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { IdSource } from '../ulid.ts'
import { type Approval, approvalAt } from './approval.ts'
import {
  type ApprovalDraft,
  type Asker,
  newApproval,
  requireDraft,
  requireShowable,
} from './approval-draft.ts'
import { type ApprovalEnding, cancellation } from './approval-ending.ts'
import type { ApprovalOpening } from './approval-opening.ts'
import {
  requireApprovalReader,
  requireApprovalWriter,
  seesAllApprovals,
  visibleApproval,
} from './approval-rights.ts'
import type { ApprovalFilter } from './approval-store.ts'

const cancelledAtOnce = 100

/** Approvals, as backends ask for them. */
export class ApprovalService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #opening: ApprovalOpening
  readonly #ending: ApprovalEnding
  readonly #clock: Clock
  readonly #nextId: IdSource

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    opening: ApprovalOpening
    ending: ApprovalEnding
    clock: Clock
    nextId: IdSource
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#opening = dependencies.opening
    this.#ending = dependencies.ending
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
  }

  /**
   * Asks. The devices of the user are told when it is on disk.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` for data, note or content beyond their bounds, and
   *   for a message with conditions of authentication; `user_not_found` with a pointer;
   *   `user_disabled`; `already_exists` for a reference that was ever used; `no_matching_device`.
   */
  async create(caller: Caller, tenantId: string, draft: ApprovalDraft): Promise<Approval> {
    requireApprovalWriter(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const build = await this.#builderFor(caller, tenantId, draft)
    const approval = build(await read.userResolver.getUserId(tenantId, draft.user, '/user'))
    await this.#opening.open(caller, approval, draft.auditNote)
    return approval
  }

  /**
   * What {@link create} would store, for whoever stores it later by `openIn`: checked like that, user and devices excepted.
   *
   * @param asker who is to have asked; its rights were looked at.
   * @throws DomainError `invalid_request`.
   */
  async build(
    asker: Asker,
    tenantId: string,
    draft: Omit<ApprovalDraft, 'user'>,
    userId: string,
  ): Promise<Approval> {
    return (await this.#builderFor(asker, tenantId, draft))(userId)
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `approval_not_found`. */
  async get(caller: Caller, tenantId: string, id: string): Promise<Approval> {
    requireApprovalReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const approval = await read.approvals.find(tenantId, id)
    return this.#visible(caller, approval)
  }

  /** @throws DomainError `forbidden`, `tenant_not_found`, `approval_not_found`. */
  async getByReference(caller: Caller, tenantId: string, reference: string): Promise<Approval> {
    requireApprovalReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    return this.#visible(caller, await read.approvals.findByReference(tenantId, reference))
  }

  /**
   * Newest first.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `cursor_invalid`.
   */
  async list(
    caller: Caller,
    tenantId: string,
    query: Omit<ApprovalFilter, 'createdBy'> & PageRequest,
  ): Promise<Page<Approval>> {
    requireApprovalReader(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const { limit, cursor, ...given } = query
    const createdBy = seesAllApprovals(caller) ? undefined : (caller.id ?? '')
    const filters = { ...given, createdBy }
    const nowMs = this.#clock()
    const scope = { list: 'approvals', tenantId, filters, nowMs }
    const [beforeId] = decodeCursor(cursor, ['text'], scope) ?? []
    const page = { ...filters, beforeId, limit: limit + 1, nowMs }
    return pageOf(
      await read.approvals.list(tenantId, page),
      limit,
      scope,
      ({ id }) => [id],
      (approval) => approvalAt(approval, nowMs),
    )
  }

  /**
   * Takes the question back. One that is CANCELLED already stays so.
   *
   * @param options.onlyOpen refuses a second cancellation too.
   * @throws DomainError `forbidden`, `tenant_not_found`, `approval_not_found`; `approval_final`.
   */
  async cancel(
    caller: Caller,
    tenantId: string,
    id: string,
    { onlyOpen = false }: { readonly onlyOpen?: boolean } = {},
  ): Promise<Approval> {
    requireApprovalWriter(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const approval = this.#visible(caller, await read.approvals.find(tenantId, id))
    const ended = await this.#ending.end(caller, approval, cancellation)
    if (ended !== undefined) return ended
    const now = this.#visible(caller, await read.approvals.find(tenantId, id))
    if (now.status === 'CANCELLED' && !onlyOpen) return now
    throw new DomainError('approval_final', `The approval is ${now.status}.`)
  }

  /**
   * Takes back every question that waits for a user and that the caller may see.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async cancelAllOf(caller: Caller, tenantId: string, userId: string): Promise<void> {
    requireApprovalWriter(caller, tenantId)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    for (let afterId = ''; ; ) {
      const after = { tenantId, userId, afterId }
      const open = await read.approvals.open.listOfUser(after, cancelledAtOnce)
      for (const approval of open) {
        const isTheirs = seesAllApprovals(caller) || approval.createdBy === caller.id
        if (isTheirs) await this.#ending.end(caller, approval, cancellation)
      }
      afterId = open.at(-1)?.id ?? ''
      if (open.length < cancelledAtOnce) return
    }
  }

  async #builderFor(
    asker: Asker,
    tenantId: string,
    draft: Omit<ApprovalDraft, 'user'>,
  ): Promise<(userId: string) => Approval> {
    requireDraft(draft)
    const settings = await this.#settings.settingsFor(asker, tenantId)
    return (userId) => {
      const id = this.#nextId()
      const approval = newApproval(asker, tenantId, draft, {
        id,
        userId,
        settings,
        nowMs: this.#clock(),
      })
      requireShowable(approval, draft.template?.texts)
      return approval
    }
  }

  #visible(caller: Caller, approval: Approval | undefined): Approval {
    return approvalAt(visibleApproval(caller, approval), this.#clock())
  }
}
