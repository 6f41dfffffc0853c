import { setTimeout as sleep } from 'node:timers/promises'
import type { Shown } from '@countersign/device-sdk/approval-content.ts'
import type { Approval } from '@countersign/device-sdk/approvals.ts'
import type { Device } from '@countersign/device-sdk/device.ts'
import { DeviceError } from '@countersign/device-sdk/device-error.ts'
import type { DeviceEvent } from '@countersign/device-sdk/events.ts'
import type { Factor } from '@countersign/device-sdk/login.ts'
import { visibleLine } from '@countersign/device-sdk/visible-text.ts'
import type { PhonePrompt } from './phone-prompt.ts'
import { lineOf } from './phone-properties.ts'

/** Who decides: the person at the terminal, or nobody. */
export type Habit = 'ask' | 'approve' | 'reject'

export interface PhoneDecision {
  readonly phone: string
  readonly approvalId: string
  readonly reference: string | undefined
  readonly text: string
  readonly status: string
}

/** What a phone's life needs of the command. */
export interface PhoneSurroundings {
  readonly prompt: PhonePrompt
  readonly habit: Habit
  readonly say: (text: string) => void
  /** From a file; undefined: asked for when it is needed. */
  readonly pin: string | undefined
  readonly onDecision: (decision: PhoneDecision) => void
}

const repeatsMax = 5
const pinTriesMax = 3
const secondMs = 1_000
/** Less than what timers can count. */
const dialogSecondsMax = 604_800

/** One simulated phone: it waits for approvals, shows them, and decides. */
export class PhoneLife {
  readonly #name: string
  readonly #device: Device
  readonly #around: PhoneSurroundings

  constructor(name: string, device: Device, around: PhoneSurroundings) {
    this.#name = name
    this.#device = device
    this.#around = around
  }

  /** Until the signal is aborted. @throws DeviceError when the phone can do nothing any more. */
  async run(signal: AbortSignal): Promise<void> {
    const onRetry = (error: unknown, waitMs: number) =>
      this.#say(`${reasonOf(error)} Again in ${Math.ceil(waitMs / secondMs)} s.`)
    await this.#synchronise(signal)
    for await (const event of this.#device.events.listen({ signal, onRetry })) {
      try {
        await this.#meet(event, signal)
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof DeviceError)) throw error
        this.#say(reasonOf(error))
      }
    }
  }

  /** Copies of properties may be older than this start. */
  async #synchronise(signal: AbortSignal): Promise<void> {
    try {
      await this.#repeat(() => this.#device.properties.synchronise(), signal)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof DeviceError) || error.advice === 'erase') throw error
      this.#say(reasonOf(error))
    }
  }

  async #meet(
    { type, approvalId, reason, property }: DeviceEvent,
    signal: AbortSignal,
  ): Promise<void> {
    if (property !== undefined) {
      const now = await this.#repeat(() => this.#device.properties.follow(property), signal)
      const gone = `${property.owner}/${visibleLine(property.name)} is gone`
      this.#say(now === undefined ? gone : lineOf(now))
    } else if (approvalId === undefined) {
      this.#say(`${visibleLine(type)} ${visibleLine(reason ?? '')}`.trimEnd())
    } else if (type === 'approval.cancelled') {
      this.#say(`${approvalId} is over: ${visibleLine(reason ?? 'cancelled')}`)
    } else {
      await this.#around.prompt.dialog(() => this.#answer(approvalId, signal))
    }
  }

  async #answer(approvalId: string, signal: AbortSignal): Promise<void> {
    const { approvals } = this.#device
    const approval = await this.#repeat(() => approvals.retrieve(approvalId), signal)
    const { content, kind, remainingSeconds, reference } = approval
    if (content === undefined || (kind === 'TRANSACTION' && approval.status !== 'RETRIEVED')) return
    const text = textOf(content.shown)
    const left = remainingSeconds === undefined ? '' : `, ${remainingSeconds} s left`
    const named = reference === undefined ? '' : `, ${reference}`
    this.#say(`${kind} ${approvalId}${named}${left}`)
    this.#around.prompt.show(text)
    if (kind === 'MESSAGE') return
    const ending =
      remainingSeconds === undefined
        ? signal
        : AbortSignal.any([
            signal,
            AbortSignal.timeout(Math.min(remainingSeconds, dialogSecondsMax) * secondMs),
          ])
    const result = await this.#decide(approval, ending).catch((error: unknown) => {
      if (ending.aborted && !signal.aborted) return { status: 'EXPIRED' }
      throw error
    })
    this.#say(`${approvalId}: ${result.status}`)
    const { status } = result
    this.#around.onDecision({ phone: this.#name, approvalId, reference, text, status })
  }

  async #decide(approval: Approval, signal: AbortSignal): Promise<{ status: string }> {
    const { habit, prompt } = this.#around
    const { approvals } = this.#device
    const isAccepted =
      habit === 'ask' ? await prompt.confirm('Approve?', signal) : habit === 'approve'
    if (!isAccepted) return this.#repeat(() => approvals.reject(approval), signal)
    for (let tries = 1; ; tries++) {
      const factor = await this.#factorFor(approval, signal)
      try {
        return await this.#repeat(() => approvals.accept(approval, { factor }), signal)
      } catch (error) {
        const isWrongPin = error instanceof DeviceError && error.code === 'factor_rejected'
        if (!isWrongPin || this.#around.pin !== undefined || tries >= pinTriesMax) throw error
        this.#say(`Wrong; ${error.facts.attemptsLeft ?? 0} attempts left.`)
      }
    }
  }

  /** What the approval asks for; where any will do, the biometric key if there is one. */
  async #factorFor({ requirements }: Approval, signal: AbortSignal): Promise<Factor | undefined> {
    const { evidence, factor, scope, authTimeAtLeast } = requirements
    const isNeeded = evidence === 'FACTOR' || scope !== undefined || authTimeAtLeast !== undefined
    if (!isNeeded) return undefined
    if (factor !== 'pin' && this.#device.hasBioKey) return { type: 'bio' }
    return { type: 'pin', pin: this.#around.pin ?? (await this.#around.prompt.pin(signal)) }
  }

  /** Repeats what the server asks to try later. */
  async #repeat<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    for (let repeats = 1; ; repeats++) {
      try {
        return await work()
      } catch (error) {
        const isPassing = error instanceof DeviceError && error.advice === 'back_off'
        if (!isPassing || repeats > repeatsMax) throw error
        await sleep((error.facts.retryAfterSeconds ?? repeats) * secondMs, undefined, { signal })
      }
    }
  }

  #say(text: string): void {
    this.#around.say(`${this.#name}: ${text}`)
  }
}

/** A table as lines of label and value. */
export function textOf(shown: Shown): string {
  if (shown.form === 'text') return shown.text
  return shown.rows
    .map(({ label, value }) => `${visibleLine(label)}: ${visibleLine(value)}`)
    .join('\n')
}

/** A server's words, on one line. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof DeviceError)) return String(error)
  const { message, code, facts } = error
  const left = facts.attemptsLeft === undefined ? '' : ` ${facts.attemptsLeft} attempts left.`
  return visibleLine(`${message.replace(/\.?$/, '.')}${left} (${code})`)
}
