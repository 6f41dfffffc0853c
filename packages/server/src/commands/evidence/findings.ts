/** How a check ended. `missing`: what it needs was not given, or is not in the evidence. */
export type CheckResult = 'passed' | 'failed' | 'missing'

export interface Check {
  /** Such as `signature.1.certificate`; docs/evidence.md explains each. */
  readonly name: string
  readonly result: CheckResult
  /** For people. */
  readonly detail: string
}

/** What was found, check by check. */
export class Findings {
  readonly #checks: Check[] = []

  get checks(): readonly Check[] {
    return this.#checks
  }

  /** @returns whether it holds. */
  check(name: string, holds: boolean, detail: { good: string; bad: string }): boolean {
    this.#checks.push({
      name,
      result: holds ? 'passed' : 'failed',
      detail: holds ? detail.good : detail.bad,
    })
    return holds
  }

  fail(name: string, detail: string): void {
    this.#checks.push({ name, result: 'failed', detail })
  }

  /** Something could not be looked at. */
  miss(name: string, detail: string): void {
    this.#checks.push({ name, result: 'missing', detail })
  }
}
