/** The settings that verification obeys; a part of the tenant's `Settings`. */
export interface VerificationPolicy {
  readonly totp: {
    readonly acceptSteps: number
    readonly resyncHintSteps: number
    readonly resyncSearchSteps: number
  }
  readonly hotp: {
    readonly acceptCounters: number
    readonly resyncHintCounters: number
    readonly resyncSearchCounters: number
  }
  readonly lockout: {
    readonly tokenMaxFailures: number
    /** 0: until unlocked. */
    readonly tokenLockSeconds: number
    /** 0: the user is never locked. */
    readonly userMaxFailures: number
    readonly userLockSeconds: number
  }
}

/** How far from the expected counter or step a code may lie. */
export interface Windows {
  /** Accepted, and followed silently. */
  readonly accept: number
  /** Not accepted, but two codes would synchronise the token. */
  readonly hint: number
  /** Searched by resynchronisation. */
  readonly search: number
}

/** A product's own windows, null where the tenant's settings rule. */
export interface ProductWindows {
  readonly acceptWindow: number | null
  readonly hintWindow: number | null
  readonly searchWindow: number | null
}

/** The windows of a token: of its product, else of the tenant (platform.md, section 4). */
export function windowsOf(
  type: 'HOTP' | 'TOTP',
  product: ProductWindows,
  policy: VerificationPolicy,
): Windows {
  const { totp, hotp } = policy
  const general: Windows =
    type === 'TOTP'
      ? { accept: totp.acceptSteps, hint: totp.resyncHintSteps, search: totp.resyncSearchSteps }
      : {
          accept: hotp.acceptCounters,
          hint: hotp.resyncHintCounters,
          search: hotp.resyncSearchCounters,
        }
  return {
    accept: product.acceptWindow ?? general.accept,
    hint: product.hintWindow ?? general.hint,
    search: product.searchWindow ?? general.search,
  }
}
