import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { TemplateTexts } from '../localization/template-texts.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import type { UserSchemeService } from '../users/user-scheme-service.ts'
import { type Approval, type DeviceCondition, isFinal } from './approval.ts'
import type { ApprovalDraft, Asker } from './approval-draft.ts'
import { approvalNotFound } from './approval-rights.ts'
import type { ApprovalService } from './approval-service.ts'
import {
  type MessageDraft,
  requireNativeLimits,
  type TmsDraft,
  type TmsMessage,
  textOf,
} from './tms-draft.ts'

/** A transaction as AST callers see it. */
export interface Tms {
  readonly approval: Approval
  /** The user as AST callers name users. */
  readonly userName: string
}

/** Approvals as AST callers deal with them: transactions with two timers, which are gone some time after their end. */
export class TmsService {
  readonly #storage: Storage
  readonly #approvals: ApprovalService
  readonly #users: UserSchemeService
  readonly #settings: SettingsService
  readonly #texts: TemplateTexts
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    approvals: ApprovalService
    userSchemes: UserSchemeService
    settings: SettingsService
    templateTexts: TemplateTexts
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#approvals = dependencies.approvals
    this.#users = dependencies.userSchemes
    this.#settings = dependencies.settings
    this.#texts = dependencies.templateTexts
    this.#clock = dependencies.clock
  }

  /**
   * Asks the devices of a user for a signature.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `invalid_request` beyond the limits of the native form, for a
   *   template that is not there, and for a text, in whatever language, that cannot be filled; `user_not_found`, `user_disabled`,
   *   `no_matching_device`.
   */
  async start(caller: Caller, tenantId: string, draft: TmsDraft): Promise<Tms> {
    requireTmsLimits(draft)
    return this.#named(caller, await this.#create(caller, tenantId, draft, askedBy(draft)))
  }

  /**
   * The transaction that {@link start} would start, for whoever stores it later by `openIn`: for one client, which is not
   * pushed to, because it has asked itself.
   *
   * @param asker who is to have started it; its rights were looked at.
   * @throws DomainError `invalid_request`, as {@link start}.
   */
  async build(
    asker: Asker,
    tenantId: string,
    draft: Omit<TmsDraft, 'userName' | 'devices' | 'push'>,
    { userId, deviceId }: { readonly userId: string; readonly deviceId: string },
  ): Promise<Approval> {
    const devices = { deviceIds: [deviceId] }
    requireTmsLimits({ ...draft, userName: '', devices, push: {} })
    const asked = {
      ...askedBy(draft),
      ...(await this.#shown(tenantId, draft.message)),
      data: draft.message.data,
      devices,
      push: { skip: true },
    }
    return this.#approvals.build(asker, tenantId, asked, userId)
  }

  /**
   * Sends a text that nobody answers.
   *
   * @returns its id.
   * @throws DomainError as {@link start}.
   */
  async sendMessage(caller: Caller, tenantId: string, draft: MessageDraft): Promise<string> {
    const { displaySeconds } = draft
    requireNativeLimits(draft, { '/displayMessageTimeout': displaySeconds })
    const { id } = await this.#create(caller, tenantId, draft, {
      kind: 'MESSAGE',
      timeouts: { retrievalSeconds: displaySeconds, totalSeconds: null },
    })
    return id
  }

  /**
   * @throws DomainError `forbidden`, `tenant_not_found`; `approval_not_found` also for what ended too long ago, for messages,
   *   and for approvals of other surfaces with conditions that AST has no words for.
   */
  async get(caller: Caller, tenantId: string, id: string): Promise<Tms> {
    return this.#named(caller, await this.#find(caller, tenantId, id))
  }

  /**
   * How it ended, with the signature of an acceptance as the device sent it: CMS in base64; none where the surface that
   * asked wants another kind of proof.
   *
   * @throws DomainError as {@link get}; `not_signed` while it is open.
   */
  async result(
    caller: Caller,
    tenantId: string,
    id: string,
  ): Promise<Tms & { readonly signedData: string | undefined }> {
    const approval = await this.#find(caller, tenantId, id)
    if (!isFinal(approval)) throw new DomainError('not_signed', 'The transaction is not complete.')
    return {
      ...(await this.#named(caller, approval)),
      signedData: approval.status === 'APPROVED' ? await this.#signedData(approval) : undefined,
    }
  }

  /**
   * Takes it back while it runs.
   *
   * @throws DomainError as {@link get}; `approval_final` when it is over, cancelled before included.
   */
  async cancel(caller: Caller, tenantId: string, id: string): Promise<void> {
    const { status } = await this.#find(caller, tenantId, id)
    // Before the core is asked: there a second cancellation is none.
    if (status !== 'PENDING' && status !== 'RETRIEVED') throw isOver(status)
    await this.#approvals.cancel(caller, tenantId, id, { onlyOpen: true })
  }

  /**
   * Takes back whatever still waits for a user, messages included. A name that is nobody's has nothing.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`.
   */
  async cancelAll(caller: Caller, tenantId: string, userName: string): Promise<void> {
    const userId = await this.#users.find(caller, tenantId, userName)
    if (userId !== undefined) await this.#approvals.cancelAllOf(caller, tenantId, userId)
  }

  async #create(
    caller: Caller,
    tenantId: string,
    draft: MessageDraft | TmsDraft,
    asked: Asked,
  ): Promise<Approval> {
    const { userName, message, devices, push, auditMessage } = draft
    const id = await this.#users.get(caller, tenantId, userName)
    return this.#approvals.create(caller, tenantId, {
      ...asked,
      user: { id },
      ...(await this.#shown(tenantId, message)),
      data: message.data,
      devices,
      push,
      ...(auditMessage === undefined ? {} : { auditNote: { auditMessage } }),
    })
  }

  /** A template is read again when a device fetches it; now it is seen that each of its languages can be filled. */
  async #shown(
    tenantId: string,
    message: TmsMessage,
  ): Promise<Pick<ApprovalDraft, 'text' | 'template'>> {
    if (!message.isTemplate) return { text: textOf(message) }
    const { text: key, data } = message
    return { text: null, template: { key, texts: await this.#texts.all(tenantId, key, data) } }
  }

  async #find(caller: Caller, tenantId: string, id: string): Promise<Approval> {
    const approval = await this.#approvals.get(caller, tenantId, id)
    if (!isTms(approval)) throw approvalNotFound()
    if (approval.completedAtMs === null) return approval
    const { ast } = await this.#settings.settingsFor(caller, tenantId)
    const goneAtMs = approval.completedAtMs + ast.resultRetentionSeconds * 1000
    if (goneAtMs <= this.#clock()) throw approvalNotFound()
    return approval
  }

  async #named(caller: Caller, approval: Approval): Promise<Tms> {
    const { tenantId, userId } = approval
    return { approval, userName: await this.#users.nameOf(caller, tenantId, userId) }
  }

  async #signedData({ tenantId, id }: Approval): Promise<string | undefined> {
    const evidence = await this.#storage.read.approvals.evidence.find({ tenantId, approvalId: id })
    return evidence?.signatures.find(({ format }) => format === 'CMS')?.signature
  }
}

type Asked = Pick<ApprovalDraft, 'kind' | 'timeouts' | 'authentication'>

function askedBy({
  retrievalSeconds,
  decisionSeconds,
  isExplicit,
  maxAgeSeconds,
}: Pick<TmsDraft, 'retrievalSeconds' | 'decisionSeconds' | 'isExplicit' | 'maxAgeSeconds'>): Asked {
  return {
    kind: 'TRANSACTION',
    timeouts: { retrievalSeconds, decisionSeconds, totalSeconds: null },
    authentication: { explicit: isExplicit, maxAgeSeconds },
  }
}

function requireTmsLimits(draft: TmsDraft): void {
  const { retrievalSeconds, decisionSeconds } = draft
  requireNativeLimits(draft, {
    '/retrievalTimeout': retrievalSeconds,
    '/tmsTimeout': decisionSeconds,
  })
}

/** Whether AST has words for it, whichever surface asked. */
function isTms({ kind, timeouts, devices }: Approval): boolean {
  const { retrievalSeconds, decisionSeconds, totalSeconds } = timeouts
  const hasTwoTimers =
    retrievalSeconds !== null && decisionSeconds !== null && totalSeconds === null
  return kind === 'TRANSACTION' && hasTwoTimers && (devices === null || hasAppFilter(devices))
}

/** A filter on platform or version names its app. */
function hasAppFilter({ appName, platform, appVersion }: DeviceCondition): boolean {
  return appName !== undefined || (platform === undefined && appVersion === undefined)
}

function isOver(status: string): DomainError {
  return new DomainError('approval_final', `The transaction is ${status}.`)
}
