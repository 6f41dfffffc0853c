import { createHash, createHmac } from 'node:crypto'

/** Every token of the benchmarks has its own secret, so that it can be computed again from the token's number. */
export function secretOf(tokenNumber: number): Buffer {
  return createHash('sha256').update(`bench token ${tokenNumber}`).digest().subarray(0, 20)
}

/** RFC 4226 with six digits, written apart from the code that is measured. */
export function hotpCode(secret: Uint8Array, counter: number): number {
  const message = Buffer.alloc(8)
  message.writeBigUInt64BE(BigInt(counter))
  const mac = createHmac('sha1', secret).update(message).digest()
  return (mac.readUInt32BE((mac[19] ?? 0) & 15) & 0x7fffffff) % 1_000_000
}

/** `B000000042`; all serials have the same length, so that all requests have. */
export function serialOf(tokenNumber: number): string {
  return `B${String(tokenNumber).padStart(9, '0')}`
}

/** Id of the user who owns the token with this serial. */
export function userOf(serial: string): string {
  return `user-${serial}`
}

/**
 * The order in which tokens are used: each once before any is used again, neighbours far apart, as in a crowd of users.
 *
 * @returns `position` → number of the token.
 */
export function scattered(tokenCount: number): (position: number) => number {
  let stride = Math.max(1, Math.floor(tokenCount * 0.618))
  while (greatestCommonDivisor(stride, tokenCount) !== 1) stride++
  return (position) => ((position % tokenCount) * stride) % tokenCount
}

function greatestCommonDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestCommonDivisor(other, one % other)
}
