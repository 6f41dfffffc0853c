/** Time as the server knows it, in epoch milliseconds. Passed in, so that tests can hold it. */
export type Clock = () => number

/** Bytes nobody can predict. Passed in, so that tests can repeat a run. */
export type Randomness = (byteCount: number) => Uint8Array
