import type { Storage } from '../storage.ts'
import {
  defaultPolicy,
  type PolicyTarget,
  type RegistrationPolicies,
  type RegistrationPolicy,
} from './registration-policy.ts'

/** Which policy counts for a device. */
export class PolicyLookup implements RegistrationPolicies {
  readonly #storage: Storage

  constructor({ storage }: { storage: Storage }) {
    this.#storage = storage
  }

  /**
   * The most specific assignment: to app, platform and architecture, to app and platform, to app and architecture, to
   * the app.
   *
   * @throws DomainError `unavailable`.
   */
  async policyFor(target: PolicyTarget): Promise<RegistrationPolicy> {
    const counting = await this.#storage.read.policies.listCounting(target)
    const [first] = counting.toSorted((one, other) => weight(other) - weight(one))
    return first?.rule ?? defaultPolicy
  }
}

function weight({
  isOfPlatform,
  isOfArchitecture,
}: {
  readonly isOfPlatform: boolean
  readonly isOfArchitecture: boolean
}): number {
  return (isOfPlatform ? 2 : 0) + (isOfArchitecture ? 1 : 0)
}
