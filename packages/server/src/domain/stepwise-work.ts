/** How long one call works before it leaves the rest to the next one. */
const workMsMax = 5_000

/**
 * Repeats a step of work that can be as much as it likes, such as the removal of what is over, until nothing is left.
 *
 * @param step is small, and says whether there may be more.
 * @returns false when the time was over first: the next call goes on.
 */
export async function workInSteps(step: () => Promise<boolean>): Promise<boolean> {
  const endsAt = performance.now() + workMsMax
  while (performance.now() < endsAt) {
    if (!(await step())) return true
  }
  return false
}
