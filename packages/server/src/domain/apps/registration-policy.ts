/** Whose word makes an integrity value the registered one of a version on an architecture. */
export type RegistrationPolicy = RegistrationUserPolicy | QuorumPolicy

/** The first login of one user registers the value; before it nobody else may log in where integrity is checked. */
export interface RegistrationUserPolicy {
  readonly type: 'registrationUser'
  /** As callers name users; undefined: the version's own `registerUserId`. */
  readonly userId?: string | undefined
}

/** The first value that so many distinct devices report is registered; until then everyone may log in. */
export interface QuorumPolicy {
  readonly type: 'quorum'
  /** 1 to {@link quorumMax}. */
  readonly quorum: number
}

/** What counts where no policy is assigned. */
export const defaultPolicy: RegistrationUserPolicy = Object.freeze({ type: 'registrationUser' })
export const quorumDefault = 10
/** Every login until then counts the votes that it joins. */
export const quorumMax = 1000

/** What a policy is assigned to, as a device reports it. */
export interface PolicyTarget {
  readonly tenantId: string
  readonly appName: string
  readonly platform: string
  readonly architecture: string
}

/** Which policy counts for what: the most specific assignment, else {@link defaultPolicy}. */
export interface RegistrationPolicies {
  policyFor(target: PolicyTarget): Promise<RegistrationPolicy>
}
