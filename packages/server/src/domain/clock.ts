/** Time as the server knows it, in epoch milliseconds. Passed in, so that tests can hold it. */
export type Clock = () => number

export type { Randomness } from '#custody/randomness.ts'
