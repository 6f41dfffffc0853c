import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import type { Caller } from '../callers/caller.ts'
import type { Factor } from '../devices/device.ts'
import { DomainError } from '../errors.ts'
import type { RenderedText } from '../localization/template-texts.ts'
import type { Settings } from '../tenants/settings.ts'
import type { UserReference } from '../users/user-resolver.ts'
import {
  type Approval,
  type ApprovalKind,
  type ApprovalPush,
  type ApprovalTimeouts,
  type DeviceCondition,
  firstDeadline,
} from './approval.ts'
import { contentBytesMax, contentOf } from './content.ts'

const dataBytesMax = 16_384
const dataDepthMax = 8
const noteBytesMax = 4_096

/** Who asks: the door decides about the proof, the id who may see it. */
export type Asker = Pick<Caller, 'surface' | 'id' | 'tenantId' | 'settingsVersion'>

/** A question to be asked; lengths are the contract's. */
export interface ApprovalDraft {
  readonly reference?: string | undefined
  readonly kind?: ApprovalKind | undefined
  readonly user: UserReference
  /** Null: a Keyless operation without payload, or a template. */
  readonly text: string | null
  /** What stands for the text, in each of its languages. */
  readonly template?: { readonly key: string; readonly texts: readonly RenderedText[] } | undefined
  readonly data?: { readonly [name: string]: JsonValue } | undefined
  /** Absent members: the settings; null: no such limit. */
  readonly timeouts?: Partial<ApprovalTimeouts> | undefined
  readonly authentication?:
    | {
        /** Absent: any. */
        readonly factor?: Factor | undefined
        readonly explicit?: boolean | undefined
        readonly maxAgeSeconds?: number | null | undefined
      }
    | undefined
  readonly devices?: DeviceCondition | undefined
  readonly push?: ApprovalPush | undefined
  readonly externalUserId?: string | undefined
  /** For the journal only. */
  readonly auditNote?: { readonly [name: string]: JsonValue } | undefined
}

/**
 * What a contract's schema cannot say of a draft. The number of members is the schema's; depth counts objects and arrays.
 *
 * @throws DomainError `invalid_request`.
 */
export function requireDraft({
  kind,
  data,
  auditNote,
  authentication,
}: Omit<ApprovalDraft, 'user'>): void {
  if (kind === 'MESSAGE' && authentication !== undefined) {
    throw refused('/authentication', 'unsupported', 'a message is not decided')
  }
  if (data !== undefined) {
    if (depthOf(data, dataDepthMax) > dataDepthMax) {
      throw refused('/data', 'out_of_range', `must not be deeper than ${dataDepthMax}`)
    }
    requireBytes('/data', data, dataBytesMax)
  }
  if (auditNote !== undefined) requireBytes('/auditNote', auditNote, noteBytesMax)
}

/**
 * @param texts of a template: a device takes each of them.
 * @throws DomainError `invalid_request` for more than a device takes.
 */
export function requireShowable(
  approval: Approval,
  texts: readonly (RenderedText | undefined)[] = [undefined],
): void {
  if (texts.some((text) => contentOf(approval, text).bytes.length > contentBytesMax)) {
    const message = `text and data must not need more than ${contentBytesMax} bytes together`
    throw refused('/text', 'out_of_range', message)
  }
}

/** The approval that a draft asks for, with what the settings say where it is silent. */
export function newApproval(
  caller: Asker,
  tenantId: string,
  draft: Omit<ApprovalDraft, 'user'>,
  made: {
    readonly id: string
    readonly userId: string
    readonly settings: Settings
    readonly nowMs: number
  },
): Approval {
  const { id, userId, settings, nowMs } = made
  const kind = draft.kind ?? 'TRANSACTION'
  const timeouts = timeoutsOf(kind, draft, settings)
  const { factor, explicit, maxAgeSeconds } = draft.authentication ?? {}
  return {
    tenantId,
    id,
    reference: draft.reference ?? null,
    kind,
    evidence: kind === 'MESSAGE' ? 'NONE' : caller.surface === 'ast' ? 'CMS' : 'FACTOR',
    userId,
    status: 'PENDING',
    text: draft.text,
    templateKey: draft.template?.key ?? null,
    data: draft.data ?? null,
    timeouts,
    authentication: {
      factor: factor ?? null,
      explicitScope: explicit === true ? settings.ast.explicitScope : null,
      maxAgeSeconds: maxAgeSeconds ?? null,
    },
    devices: draft.devices ?? null,
    push: draft.push ?? null,
    externalUserId: draft.externalUserId ?? null,
    surface: caller.surface,
    createdBy: caller.id ?? 'system',
    createdAtMs: nowMs,
    retrievedAtMs: null,
    expiresAtMs: firstDeadline(nowMs, timeouts),
    completedAtMs: null,
    decision: null,
    failureReason: null,
    failureMessage: null,
  }
}

/** A message has one limit: until when it can be fetched. */
function timeoutsOf(
  kind: ApprovalKind,
  { timeouts = {} }: Omit<ApprovalDraft, 'user'>,
  { approvals }: Settings,
): ApprovalTimeouts {
  const { retrievalSeconds, decisionSeconds, totalSeconds = null } = timeouts
  if (kind === 'MESSAGE') {
    const display = retrievalSeconds === undefined ? approvals.displaySeconds : retrievalSeconds
    return { retrievalSeconds: display, decisionSeconds: null, totalSeconds }
  }
  return {
    retrievalSeconds:
      retrievalSeconds === undefined ? approvals.retrievalSeconds : retrievalSeconds,
    decisionSeconds: decisionSeconds === undefined ? approvals.decisionSeconds : decisionSeconds,
    totalSeconds,
  }
}

function requireBytes(pointer: string, value: object, bytesMax: number): void {
  if (Buffer.byteLength(JSON.stringify(value)) > bytesMax) {
    throw refused(pointer, 'out_of_range', `must not need more than ${bytesMax} bytes as JSON`)
  }
}

/** How deep a value nests, counted no further than just beyond `most`. */
function depthOf(value: JsonValue | object, most: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (most === 0) return 1
  const members = Object.values(value).map((member: JsonValue) => depthOf(member, most - 1))
  return 1 + Math.max(0, ...members)
}

function refused(pointer: string, code: string, message: string): DomainError {
  return new DomainError('invalid_request', 'The approval cannot be asked for like this.', {
    faults: [{ pointer, code, message }],
  })
}
