/** What runs: `AppFacts` of the contract, without what the SDK knows itself. */
export interface AppFacts {
  readonly name: string
  /** Such as `Android` or `Web`. */
  readonly platform: string
  /** Such as `arm64` or `any`. */
  readonly architecture: string
  /** `major.minor.build` */
  readonly versionStr: string
  /** Measurement of the app, lower-case hex. */
  readonly integrity?: string
  /** Opaque risk flags, beside the storage's own. */
  readonly risks?: string
}
