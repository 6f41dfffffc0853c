import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { engines } from '#test/support/core.ts'
import type { Phone } from '#test/support/phone.ts'
import { DeviceRefusal } from '../devices/device-refusal.ts'
import { DomainError } from '../errors.ts'
import type { FailureReason } from './approval.ts'

type Status = 'PENDING' | 'RETRIEVED' | 'APPROVED' | 'REJECTED' | 'EXPIRED' | 'CANCELLED'

/** What may be asked for; limits in seconds. */
interface Asked {
  readonly kind: 'TRANSACTION' | 'MESSAGE'
  readonly retrieval: number | null
  readonly decision: number | null
  readonly total: number | null
}

type Step =
  | { readonly do: 'retrieve' | 'accept' | 'reject' | 'give-up'; readonly device: 0 | 1 }
  | { readonly do: 'cancel' | 'timer' | 'read' }
  | { readonly do: 'wait'; readonly seconds: number }

/** docs/contracts/device.md, section 10, written again as simply as it can be. */
class ModelApproval {
  readonly #asked: Asked
  #nowS = 0
  #retrievedS: number | null = null
  readonly shown = new Set<number>()
  status: Status = 'PENDING'
  reason: FailureReason | null = null
  decider: number | null = null

  constructor(asked: Asked) {
    this.#asked = asked
  }

  get isMessage(): boolean {
    return this.#asked.kind === 'MESSAGE'
  }

  wait(seconds: number): void {
    this.#nowS += seconds
    this.#look()
  }

  retrieve(device: number): 'shown' | 'over' {
    const isReadable = this.isMessage && this.status === 'RETRIEVED' && !this.#isAfter(this.#firstS)
    const isOpen = this.status === 'PENDING' || (this.status === 'RETRIEVED' && !this.isMessage)
    if (this.isMessage && this.shown.has(device)) return 'shown'
    if (!isReadable && !isOpen) return 'over'
    this.shown.add(device)
    if (this.status === 'PENDING') {
      this.status = 'RETRIEVED'
      this.#retrievedS = this.#nowS
    }
    return 'shown'
  }

  decide(device: number, status: Status, reason: FailureReason | null): string {
    if (this.isMessage) return 'no_decision_expected'
    if (this.status !== 'PENDING' && this.status !== 'RETRIEVED') return 'approval_final'
    if (!this.shown.has(device)) return 'approval_not_retrieved'
    this.status = status
    this.reason = reason
    this.decider = status === 'EXPIRED' ? null : device
    return 'done'
  }

  cancel(): string {
    if (this.status === 'CANCELLED') return 'done'
    const isOpen = this.status === 'PENDING' || (this.status === 'RETRIEVED' && !this.isMessage)
    if (!isOpen) return 'approval_final'
    this.status = 'CANCELLED'
    this.reason = 'CANCELLED'
    return 'done'
  }

  get #firstS(): number {
    return Math.min(this.#asked.retrieval ?? Infinity, this.#asked.total ?? Infinity)
  }

  #isAfter(atS: number): boolean {
    return this.#nowS >= atS
  }

  #look(): void {
    const isWaiting = this.status === 'RETRIEVED' && !this.isMessage
    const secondS = Math.min(
      (this.#retrievedS ?? 0) + (this.#asked.decision ?? Infinity),
      this.#asked.total ?? Infinity,
    )
    if (this.status === 'PENDING' && this.#isAfter(this.#firstS)) {
      this.status = 'EXPIRED'
      this.reason = 'RETRIEVAL_TIMEOUT'
    } else if (isWaiting && this.#isAfter(secondS)) {
      this.status = 'EXPIRED'
      this.reason = 'DECISION_TIMEOUT'
    }
  }
}

const seconds = fc.option(fc.integer({ min: 1, max: 6 }), { nil: null })
const asked: fc.Arbitrary<Asked> = fc.record({
  kind: fc.constantFrom('TRANSACTION', 'TRANSACTION', 'TRANSACTION', 'MESSAGE'),
  retrieval: seconds,
  decision: seconds,
  total: seconds,
})
const device = fc.constantFrom<(0 | 1)[]>(0, 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('retrieve' as const), device }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('accept', 'reject', 'give-up'), device }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cancel', 'timer', 'read') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      seconds: fc.integer({ min: 1, max: 4 }),
    }),
  },
)

/** The code of a refusal, or `done`. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (error instanceof DeviceRefusal || error instanceof DomainError) return error.code
    throw error
  }
}

class Walk {
  readonly #bench: ApprovalBench
  readonly #phones: readonly [Phone, Phone]
  readonly #model: ModelApproval
  readonly #id: string

  constructor(bench: ApprovalBench, phones: readonly [Phone, Phone], asked: Asked, id: string) {
    this.#bench = bench
    this.#phones = phones
    this.#model = new ModelApproval(asked)
    this.#id = id
  }

  async take(step: Step): Promise<void> {
    const { core, clock, admin } = this.#bench
    switch (step.do) {
      case 'wait':
        clock.advance(step.seconds * 1000)
        this.#model.wait(step.seconds)
        break
      case 'timer':
        await core.approvalEnding.expireDue()
        break
      case 'read':
        break
      case 'cancel': {
        const outcome = await outcomeOf(core.approvals.cancel(admin, tenantId, this.#id))
        expect(outcome).toBe(this.#model.cancel())
        break
      }
      case 'retrieve': {
        const expected = this.#model.retrieve(step.device)
        const { delivery, approval } = await this.#phones[step.device].retrieve(this.#id)
        // What was shown once stays known to the service; what is over is not shown for the first time.
        if (expected === 'shown') expect(delivery).toBeDefined()
        else expect(approval.status).toBe(this.#model.status)
        break
      }
      default:
        await this.#decide(step.do, step.device)
    }
    await this.#compare()
  }

  async #decide(how: 'accept' | 'reject' | 'give-up', index: 0 | 1): Promise<void> {
    const phone = this.#phones[index]
    const key = { tenantId, approvalId: this.#id, deviceId: phone.id }
    const { read } = this.#bench.storage
    const approval = await this.#bench.core.approvals.get(this.#bench.admin, tenantId, this.#id)
    const delivery = await read.approvals.deliveries.find(key)
    const decision =
      how === 'accept'
        ? phone.byFactor('bio', { approval, delivery })
        : ({ decision: how === 'reject' ? 'reject' : 'timeout' } as const)
    const outcome = await outcomeOf(phone.decide(this.#id, decision))
    const status = { accept: 'APPROVED', reject: 'REJECTED', 'give-up': 'EXPIRED' } as const
    const reason = { accept: null, reject: 'USER_REJECTED', 'give-up': 'DECISION_TIMEOUT' } as const
    expect(outcome).toBe(this.#model.decide(index, status[how], reason[how]))
  }

  /** As callers see it, whether or not the timer ran. */
  async #compare(): Promise<void> {
    const { core, admin } = this.#bench
    const now = await core.approvals.get(admin, tenantId, this.#id)
    const { status, reason, decider } = this.#model
    expect({ status: now.status, reason: now.failureReason }).toEqual({ status, reason })
    const deviceId = decider === null ? undefined : this.#phones[decider as 0 | 1].id
    expect(now.decision?.deviceId).toBe(deviceId)
    const isOver = status !== 'PENDING' && (status !== 'RETRIEVED' || this.#model.isMessage)
    expect(now.completedAtMs !== null).toBe(isOver)
    if (isOver) expect(now.expiresAtMs).toBeNull()
  }

  /** However it went: one end in the journal, and evidence for an acceptance alone. */
  async finish(): Promise<void> {
    await this.#bench.core.approvalEnding.expireDue()
    const records = (await this.#bench.records()).filter(({ target }) => target?.id === this.#id)
    const actions = records.map(({ action }) => action)
    const { status } = this.#model
    const isEnded = status !== 'PENDING' && status !== 'RETRIEVED'
    const ends = actions.filter((action) => /approved|rejected|expired|cancelled/.test(action))
    expect(ends).toEqual(isEnded ? [`approval.${status.toLowerCase()}`] : [])
    const retrievals = actions.filter((action) => action === 'approval.retrieved')
    expect(retrievals).toHaveLength(this.#model.shown.size > 0 ? 1 : 0)
    const key = { tenantId, approvalId: this.#id }
    const evidence = await this.#bench.storage.read.approvals.evidence.find(key)
    expect(evidence !== undefined).toBe(status === 'APPROVED')
  }
}

describe.each(engines)('the state machine of approvals on %s', (engine) => {
  test('retrievals, decisions, cancellations and deadlines in any order', async () => {
    await using bench = await createApprovalBench(engine)
    const userId = await bench.createUser()
    const phones = [
      await bench.enrol(userId, { pin: '4711' }),
      await bench.enrol(userId, { pin: '4711' }),
    ] as const
    await fc.assert(
      fc.asyncProperty(
        asked,
        fc.array(step, { minLength: 1, maxLength: 12 }),
        async (how, steps) => {
          const { id } = await bench.ask(userId, {
            kind: how.kind,
            timeouts: {
              retrievalSeconds: how.retrieval,
              decisionSeconds: how.decision,
              totalSeconds: how.total,
            },
          })
          const walk = new Walk(bench, phones, how, id)
          for (const one of steps) await walk.take(one)
          await walk.finish()
        },
      ),
      { numRuns: engine === 'sqlite' ? 150 : 60 },
    )
  }, 60_000)
})
