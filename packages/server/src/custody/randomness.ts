import { randomBytes } from 'node:crypto'

/** Bytes nobody can predict. Passed in, so that tests can repeat a run. */
export type Randomness = (byteCount: number) => Uint8Array

export const systemRandomness: Randomness = (byteCount) => randomBytes(byteCount)
