/** A lock of a user or an assignment. */
export interface LockState {
  readonly locked: boolean
  /** Epoch milliseconds; null while locked: until unlocked. */
  readonly untilMs: number | null
}

/** Whose a candidate is. */
export interface CandidateOwner {
  readonly tenantId: string
  readonly userId: string
  readonly userStatus: string
  readonly userFailureCount: number
  readonly userLock: LockState
}
