import { type Approval, approvalAt, isFinal, messageDeadline } from '../approvals/approval.ts'
import type { PushService } from '../apps/app.ts'
import type { PushCredentialReader, PushCredentials } from '../apps/app-push-credentials.ts'
import { Caller } from '../callers/caller.ts'
import type { Clock, Randomness } from '../clock.ts'
import { type Device, deviceTarget } from '../devices/device.ts'
import { DomainError } from '../errors.ts'
import {
  type DeliveryKind,
  doublingSchedule,
  type OwnCall,
  type Performed,
  type Preparation,
  type Settlement,
} from '../outbox/delivery-kind.ts'
import type { OutboxMessage } from '../outbox/outbox-message.ts'
import type { Storage, Stores } from '../storage.ts'
import type { Settings } from '../tenants/settings.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { apnsAccess, fcmAccess, hmsAccess, webPushAccess } from './push-access.ts'
import { pushMsMax } from './push-announcement.ts'
import { pushKindNames, readErrand } from './push-message.ts'
import type { PushNote } from './push-note.ts'
import type { PushAnswer, PushSenders } from './push-sender.ts'
import type { PushTexts } from './push-texts.ts'
import { addressOf, readSubscription } from './push-token.ts'

export interface PushParts {
  readonly storage: Storage
  readonly settings: SettingsService
  readonly apps: PushCredentialReader
  readonly texts: PushTexts
  readonly senders: PushSenders
  readonly clock: Clock
  readonly randomness: Randomness
}

/** Sends a note by the service's own protocol. */
type Send = (note: PushNote, signal: AbortSignal) => Promise<PushAnswer>

/** A push message by one service: who gets it and what it says is read when it is due, so that it is never out of date. */
export class PushKind implements DeliveryKind {
  readonly name: string
  readonly isOrdered = false
  readonly keepsDelivered = false
  readonly retry = doublingSchedule(2_000, 60_000)
  readonly #service: PushService
  readonly #parts: PushParts

  constructor(service: PushService, parts: PushParts) {
    this.name = pushKindNames[service]
    this.#service = service
    this.#parts = parts
  }

  async prepare(message: OutboxMessage, nowMs: number): Promise<Preparation> {
    const { tenantId } = message
    const { approvalId, deviceId } = readErrand(message)
    const settings = await this.#settings(tenantId)
    if (settings?.push.enabled !== true) return 'drop'
    const approval = await this.#waiting(tenantId, { approvalId, deviceId, nowMs })
    const device = await this.#reachable(tenantId, deviceId, approval?.userId ?? '', nowMs)
    if (approval === undefined || device?.pushToken == null) return 'drop'
    const credentials = await this.#parts.apps.pushCredentials(tenantId, device.app.name)
    if (credentials?.categories.includes('tms') !== true) return 'drop'
    const send = this.#sending(credentials, device, nowMs)
    if (send === undefined) return 'drop'
    const texts = await this.#parts.texts.of(approval, device, settings)
    const expiresAtMs = endOf(approval) ?? nowMs + pushMsMax
    const note = {
      tenantId,
      userId: approval.userId,
      messageId: approval.id,
      ...texts,
      expiresAtMs,
    }
    return this.#call(send, note, { tenantId, deviceId, pushToken: device.pushToken })
  }

  async settled(stores: Stores, settlements: readonly Settlement[]): Promise<void> {
    for (const { effect } of settlements) await effect?.(stores)
  }

  /** Undefined when the tenant is gone or disabled. */
  async #settings(tenantId: string): Promise<Settings | undefined> {
    const tenant = await this.#parts.storage.read.tenants.find(tenantId)
    if (tenant?.status !== 'ACTIVE') return undefined
    try {
      return await this.#parts.settings.settingsOf(tenantId)
    } catch (error) {
      if (error instanceof DomainError && error.code === 'tenant_not_found') return undefined
      throw error
    }
  }

  /** The approval, while this device may still be told of it and has not seen it. */
  async #waiting(
    tenantId: string,
    { approvalId, deviceId, nowMs }: { approvalId: string; deviceId: string; nowMs: number },
  ): Promise<Approval | undefined> {
    const { approvals } = this.#parts.storage.read
    const approval = await approvals.find(tenantId, approvalId)
    if (approval === undefined || isOver(approval, nowMs)) return undefined
    const seen = await approvals.deliveries.find({ tenantId, approvalId, deviceId })
    return seen === undefined ? approval : undefined
  }

  /** The device, while it is this user's, and neither of them locked out: a lost phone shows nothing. */
  async #reachable(
    tenantId: string,
    deviceId: string,
    userId: string,
    nowMs: number,
  ): Promise<Device | undefined> {
    const { devices, deviceLinks, userViews } = this.#parts.storage.read
    const device = await devices.find(tenantId, deviceId)
    if (device?.status !== 'ACTIVE' || device.lock.state === 'LOCKED') return undefined
    const link = await deviceLinks.find({ tenantId, deviceId, userId })
    if (link === undefined || link.endedAtMs !== null) return undefined
    const user = await userViews.find(tenantId, userId, nowMs)
    return user?.status === 'ACTIVE' ? device : undefined
  }

  /** Undefined: the device is with another service by now, or nothing can be sent for its app. */
  #sending(credentials: PushCredentials, device: Device, nowMs: number): Send | undefined {
    const { senders, randomness } = this.#parts
    const { service, token } = addressOf(device.pushToken ?? '')
    if (service !== this.#service) return undefined
    const id = `${device.tenantId} ${credentials.revision} ${device.app.name}`
    switch (service) {
      case 'apns': {
        const access = credentials.apns && apnsAccess(credentials.apns, id)
        return access && ((note, signal) => senders.apns.send(access, token, note, signal))
      }
      case 'fcm': {
        const access = credentials.fcm && fcmAccess(credentials.fcm, id)
        return access && ((note, signal) => senders.fcm.send(access, token, note, signal))
      }
      case 'hpk': {
        const access = credentials.hpk && hmsAccess(credentials.hpk, id)
        return access && ((note, signal) => senders.hms.send(access, token, note, signal))
      }
      case 'webpush': {
        const subscription = readSubscription(token)
        if (credentials.webPush === undefined || subscription === undefined) return undefined
        const made = { nowMs, randomness }
        const access = webPushAccess(credentials.webPush, subscription, made)
        return (note, signal) => senders.web.send(access, token, note, signal)
      }
    }
  }

  #call(
    send: Send,
    note: PushNote,
    recipient: { tenantId: string; deviceId: string; pushToken: string },
  ): OwnCall {
    return {
      perform: async (signal) => {
        const atMs = this.#parts.clock()
        const startedAt = performance.now()
        const answer = await send(note, signal)
        // Broken off by the end of the process: what became of it is not known.
        if (answer.statusCode === null && signal.aborted && !isTimeOver(signal)) return undefined
        const durationMs = Math.round(performance.now() - startedAt)
        return this.#performed(answer, { atMs, durationMs }, recipient)
      },
    }
  }

  #performed(
    { verdict, isProviderWell, retryAfterMs, statusCode, error, reason }: PushAnswer,
    when: { atMs: number; durationMs: number },
    recipient: { tenantId: string; deviceId: string; pushToken: string },
  ): Performed {
    return {
      attempt: { ...when, statusCode, error, ...(reason === undefined ? {} : { reason }) },
      verdict: verdict === 'taken' || verdict === 'again' ? verdict : 'final',
      isReceiverWell: isProviderWell,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(verdict === 'gone'
        ? { effect: (stores) => this.#dropToken(stores, recipient, reason) }
        : {}),
    }
  }

  async #dropToken(
    { devices, journal }: Stores,
    recipient: { tenantId: string; deviceId: string; pushToken: string },
    reason: string | undefined,
  ): Promise<void> {
    if (!(await devices.pushTokens.drop(recipient))) return
    const { tenantId, deviceId } = recipient
    await journal.append(Caller.system(), tenantId, {
      action: 'device.push-token-dropped',
      target: deviceTarget(deviceId),
      detail: { service: this.#service, reason: reason ?? null },
    })
  }
}

/** A message is there for every device until its time ends, whoever read it first. */
function isOver(approval: Approval, nowMs: number): boolean {
  const now = approvalAt(approval, nowMs)
  if (approval.kind === 'TRANSACTION' || now.status !== 'RETRIEVED') return isFinal(now)
  const endsAtMs = messageDeadline(approval)
  return endsAtMs !== null && endsAtMs <= nowMs
}

function endOf(approval: Approval): number | null {
  return approval.kind === 'MESSAGE' ? messageDeadline(approval) : approval.expiresAtMs
}

function isTimeOver({ reason }: AbortSignal): boolean {
  return reason instanceof DOMException && reason.name === 'TimeoutError'
}
