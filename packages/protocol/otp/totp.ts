export const periodSecondsMin = 5
export const periodSecondsMax = 3600

/**
 * The time step of a moment: how many whole periods have passed since the Unix epoch (RFC 6238 section 4.2, T0 = 0).
 * A TOTP code is the HOTP code of this number.
 *
 * @param timeMs epoch milliseconds, not before the epoch.
 * @throws RangeError for a time before the epoch or a period out of range.
 */
export function totpStep(timeMs: number, periodSeconds: number): number {
  checkPeriod(periodSeconds)
  if (!(timeMs >= 0 && timeMs <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError('A time step needs a time after the epoch.')
  }
  return Math.floor(timeMs / (periodSeconds * 1000))
}

/** When a time step begins, in epoch milliseconds; it ends where the next one begins. */
export function totpStepStartMs(step: number, periodSeconds: number): number {
  checkPeriod(periodSeconds)
  return step * periodSeconds * 1000
}

function checkPeriod(periodSeconds: number): void {
  if (
    !Number.isInteger(periodSeconds) ||
    periodSeconds < periodSecondsMin ||
    periodSeconds > periodSecondsMax
  ) {
    throw new RangeError(`A period has ${periodSecondsMin} to ${periodSecondsMax} seconds.`)
  }
}
