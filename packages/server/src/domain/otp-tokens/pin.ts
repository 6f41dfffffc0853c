import { type PinHasher, PinQueueFullError } from '#custody/pin-hasher.ts'
import { DomainError } from '../errors.ts'

const retryAfterSeconds = 5

/** Runs a computation of the PIN hasher. @throws DomainError `too_many_requests` when too many wait already. */
export async function inPinQueue<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof PinQueueFullError)) throw error
    throw new DomainError('too_many_requests', 'Too many PINs wait to be computed.', {
      retryAfterSeconds,
    })
  }
}

/** The stored form of a PIN; null for none. Takes tens of milliseconds, so it comes before the transaction. */
export async function hashPin(
  pins: PinHasher,
  pin: string | null | undefined,
): Promise<string | null> {
  return typeof pin === 'string' ? inPinQueue(() => pins.hash(pin)) : null
}
