/** The services a surface gets; one member a noun. */
export interface Core {
  readonly clock: () => number
}
