import type { Caller } from '../callers/caller.ts'
import type { FailureLimiter } from '../callers/failure-limiter.ts'
import type { Clock } from '../clock.ts'
import type { Storage } from '../storage.ts'
import { DeviceRefusal } from './device-refusal.ts'
import { hashOfCode } from './enrolment-code-service.ts'
import { type EnrolmentCode, statusAt } from './enrolment-code-store.ts'

/** Refusals that count against a code. */
const countedCodes: ReadonlySet<string> = new Set([
  'proof_invalid',
  'replayed',
  'device_key_known',
  'factor_rejected',
])

/** Where codes are presented: found, still open, and closed to whoever fails too often. */
export class EnrolmentCodeDesk {
  readonly #storage: Storage
  readonly #limiter: FailureLimiter
  readonly #clock: Clock

  constructor(dependencies: { storage: Storage; limiter: FailureLimiter; clock: Clock }) {
    this.#storage = dependencies.storage
    this.#limiter = dependencies.limiter
    this.#clock = dependencies.clock
  }

  /**
   * As {@link find}; codes that nobody made count against the address that brings them.
   *
   * @throws DomainError `too_many_requests` too.
   */
  async findFor(address: string | null, code: string): Promise<EnrolmentCode> {
    this.#limiter.requireRoom(address)
    try {
      return await this.find(code)
    } catch (error) {
      if (error instanceof DeviceRefusal && error.code === 'code_invalid') {
        this.#limiter.count(address)
      }
      throw error
    }
  }

  /** @throws DeviceRefusal `code_invalid`; `tenant_disabled`. */
  async find(code: string): Promise<EnrolmentCode> {
    const { read } = this.#storage
    const found = await read.enrolmentCodes.findByCode(hashOfCode(code))
    if (found === undefined) throw new DeviceRefusal('code_invalid')
    const tenant = await read.tenants.find(found.tenantId)
    if (tenant?.status !== 'ACTIVE') throw new DeviceRefusal('tenant_disabled')
    return found
  }

  /** @throws DeviceRefusal `code_invalid` for one that is used, expired or void. */
  requireOpen(code: EnrolmentCode): void {
    if (statusAt(code, this.#clock()) !== 'PENDING') throw new DeviceRefusal('code_invalid')
  }

  /** Whatever speaks for a thief of the code brings it nearer to its end. */
  async countingFailures<T>(
    { tenantId, id }: EnrolmentCode,
    caller: Caller,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof DeviceRefusal && countedCodes.has(error.code)) {
        await this.#storage.transaction(async (stores) => {
          const counted = await stores.enrolmentCodes.fail(tenantId, id)
          if (counted === undefined) return
          await stores.journal.append(caller, tenantId, {
            action: 'enrolment-code.refused',
            outcome: 'FAILURE',
            target: { type: 'enrolment-code', id },
            detail: { reason: error.code, failureCount: counted.failures, isVoid: counted.isVoid },
          })
        })
      }
      throw error
    }
  }
}
