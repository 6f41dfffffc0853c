import type { JsonValue } from '@countersign/protocol/encoding/jcs.ts'
import { DomainError, type Fault } from '../errors.ts'
import { fillPlaceholders } from '../localization/placeholders.ts'
import type { ApprovalPush, DeviceCondition } from './approval.ts'

/** What a user is to read. */
export interface TmsMessage {
  /** A text, with placeholders if there are data; or the key of a template. */
  readonly text: string
  readonly isTemplate: boolean
  readonly data: { readonly [name: string]: JsonValue } | undefined
}

/** A message to one user, which is not answered. */
export interface MessageDraft {
  /** By the schemes of `settings.ast.userSchemes`. */
  readonly userName: string
  readonly message: TmsMessage
  readonly devices: DeviceCondition | undefined
  readonly displaySeconds: number
  /** Title and body: texts, or keys of templates. */
  readonly push: ApprovalPush
  /** For the journal only. */
  readonly auditMessage: JsonValue | undefined
}

/** A transaction that one user is to sign. */
export interface TmsDraft extends Omit<MessageDraft, 'displaySeconds'> {
  readonly retrievalSeconds: number
  readonly decisionSeconds: number
  readonly isExplicit: boolean
  /** Null: however old. */
  readonly maxAgeSeconds: number | null
}

const textLengthMax = 10_000
const dataMembersMax = 100
const dataBytesMax = 16_384
const secondsMax = 30 * 86_400
const ageSecondsMax = 86_400
const devicesMax = 100
const nameLengthsMax = { appName: 255, platform: 100, appVersion: 32 } as const
const userNameLengthMax = 255
const noteBytesMax = 4_096
const pushLengthsMax = { title: 255, body: 1_024 } as const

/**
 * The bounds that the native form of an approval has in its contract (platform.md, section 5); the rest of them the
 * core checks for everybody.
 *
 * @param timers by their place in the request.
 * @throws DomainError `invalid_request`.
 */
export function requireNativeLimits(
  draft: Pick<MessageDraft, 'userName' | 'message' | 'devices' | 'push' | 'auditMessage'> &
    Partial<TmsDraft>,
  timers: Readonly<Record<string, number>>,
): void {
  const { userName, message, devices, push, maxAgeSeconds, auditMessage } = draft
  const limits: readonly (readonly [pointer: string, given: number, most: number])[] = [
    ['/userId', userName.length, userNameLengthMax],
    ['/text', message.text.length, textLengthMax],
    ['/data', Object.keys(message.data ?? {}).length, dataMembersMax],
    ['/data', jsonBytes(message.data), dataBytesMax],
    ...Object.entries(timers).map(([at, seconds]) => [at, seconds, secondsMax] as const),
    ['/requireFreshnessOfAuthentication', maxAgeSeconds ?? 0, ageSecondsMax],
    ['/auditMessage', jsonBytes(auditMessage), noteBytesMax],
    ['/push/title', push.title?.length ?? 0, pushLengthsMax.title],
    ['/push/body', push.body?.length ?? 0, pushLengthsMax.body],
    ['/astClientIds', devices?.deviceIds?.length ?? 0, devicesMax],
    ['/appFilter/appName', devices?.appName?.length ?? 0, nameLengthsMax.appName],
    ['/appFilter/platform', devices?.platform?.length ?? 0, nameLengthsMax.platform],
    ['/appFilter/versionStr', devices?.appVersion?.length ?? 0, nameLengthsMax.appVersion],
  ]
  const faults = limits
    .filter(([, given, most]) => given > most)
    .map(([pointer, , most]): Fault => {
      return { pointer, code: 'out_of_range', message: `must not be more than ${most}` }
    })
  if (faults.length > 0) throw refused(faults)
}

/**
 * The text of a message without template, as it will be shown and signed: never an empty one, never one with gaps.
 *
 * @throws DomainError `invalid_request`.
 */
export function textOf({ text, data }: TmsMessage): string {
  const filled = data === undefined ? text : fillPlaceholders(text, data)
  if (filled.length > textLengthMax) {
    const message = `must not be more than ${textLengthMax} with its data`
    throw refused([{ pointer: '/text', code: 'out_of_range', message }])
  }
  if (filled.trim() === '') {
    throw refused([{ pointer: '/text', code: 'out_of_range', message: 'must not be empty' }])
  }
  return filled
}

function jsonBytes(value: JsonValue | undefined): number {
  return value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value))
}

function refused(faults: readonly Fault[]): DomainError {
  return new DomainError('invalid_request', 'The message cannot be sent like this.', { faults })
}
