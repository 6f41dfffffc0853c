import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { firstUlidAt } from '../ulid.ts'
import type { ExternalUserService } from '../users/external-user-service.ts'
import { onceOnlyScheme } from '../users/identifier.ts'
import type { AttemptRecord } from './authentication-store.ts'
import type { Factor } from './device.ts'

/** An attempt to prove a user on a device by a factor. */
export interface Authentication {
  readonly atMs: number
  readonly deviceKeyThumbprint: string
  readonly factor: Factor
  /** What kept it from succeeding. */
  readonly failure: 'WRONG_FACTOR' | 'FACTOR_LOCKED' | undefined
  /** Of attempts that were about an operation. */
  readonly operationId: string | undefined
}

/** Most attempts in one answer; of more, the latest. */
export const authenticationsMax = 1_000
/** The journal follows time, but not to the millisecond. */
const disorderMs = 120_000

interface ParsedRecord {
  readonly action: string
  readonly outcome: string
  readonly target: { readonly type: string; readonly id: string } | null
  readonly detail: {
    readonly factor?: string | null
    readonly reason?: string
    readonly reference?: string | null
    readonly deviceId?: string
  }
}

/** The latest authentications, as the journal has them: those of the last second may be missing. */
export class AuthenticationService {
  readonly #storage: Storage
  readonly #settings: SettingsService
  readonly #externalUsers: ExternalUserService
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    settings: SettingsService
    externalUsers: ExternalUserService
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#settings = dependencies.settings
    this.#externalUsers = dependencies.externalUsers
    this.#clock = dependencies.clock
  }

  /**
   * Of one user within the time that the settings say, newest first.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `user_not_found`.
   */
  async ofUser(
    caller: Caller,
    tenantId: string,
    { keylessUserId, operationId }: { keylessUserId: string; operationId: string | undefined },
  ): Promise<Authentication[]> {
    caller.requireIn(tenantId, 'keyless:backend')
    const { read } = this.#storage
    const user = { scheme: onceOnlyScheme, value: keylessUserId }
    const userId = await read.userResolver.getUserId(tenantId, user)
    return this.#list(caller, tenantId, { userIds: [userId], operationId })
  }

  /**
   * The same over all users with an external id.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`; `identifier_not_found` when nobody has it.
   */
  async ofExternalUser(
    caller: Caller,
    tenantId: string,
    { externalUserId, operationId }: { externalUserId: string; operationId: string | undefined },
  ): Promise<Authentication[]> {
    const users = await this.#externalUsers.listHolders(caller, tenantId, externalUserId)
    const userIds = users.map(({ userId }) => userId)
    return this.#list(caller, tenantId, { userIds, operationId })
  }

  async #list(
    caller: Caller,
    tenantId: string,
    { userIds, operationId }: { userIds: readonly string[]; operationId: string | undefined },
  ): Promise<Authentication[]> {
    const { keyless } = await this.#settings.settingsFor(caller, tenantId)
    const { journalReader, userRecords, devices } = this.#storage.read
    const sinceMs = this.#clock() - keyless.telemetryWindowSeconds * 1000
    const fromSeq = await journalReader.findSeqNearId(tenantId, firstUlidAt(sinceMs - disorderMs))
    if (fromSeq === undefined) return []
    const records = await devices.authentications.list(tenantId, userIds, {
      fromSeq,
      sinceMs,
      listedTo: await userRecords.findListedTo(tenantId),
      limit: authenticationsMax,
    })
    const attempts = records.flatMap(asAttempt)
    const deviceIds = [...new Set(attempts.map(({ deviceId }) => deviceId))]
    const thumbprints = await devices.authentications.thumbprintsOf(tenantId, deviceIds)
    return attempts
      .filter((attempt) => operationId === undefined || attempt.operationId === operationId)
      .map(({ deviceId, ...attempt }) => ({
        ...attempt,
        deviceKeyThumbprint: thumbprints.get(deviceId) ?? '',
      }))
      .sort((one, other) => other.atMs - one.atMs)
  }
}

/** The journal has both spellings: what a device says, and what the native API shows. */
const factors: ReadonlyMap<string, Factor> = new Map([
  ['pin', 'pin'],
  ['bio', 'bio'],
  ['PIN', 'pin'],
  ['BIOMETRIC', 'bio'],
])

type Attempt = Omit<Authentication, 'deviceKeyThumbprint'> & { readonly deviceId: string }

/** None for what needed no factor. */
function asAttempt({ atMs, body }: AttemptRecord): Attempt[] {
  const { action, outcome, target, detail } = JSON.parse(body) as ParsedRecord
  const { reason, reference } = detail
  const factor = factors.get(detail.factor ?? '')
  const deviceId = detail.deviceId ?? (target?.type === 'device' ? target.id : undefined)
  if (factor === undefined || deviceId === undefined) return []
  const ownId = action === 'approval.approved' ? target?.id : undefined
  const failure = outcome === 'SUCCESS' ? undefined : reason
  return [
    {
      atMs,
      deviceId,
      factor,
      failure: failure === 'FACTOR_LOCKED' || failure === undefined ? failure : 'WRONG_FACTOR',
      operationId: reference ?? ownId,
    },
  ]
}
