import { type Storage, type Stores, takenKey } from '../storage.ts'

const triesMax = 5

/**
 * A transaction that gives a device a push token which another one may have. Of devices that come with one token at the same
 * moment each gets it in its turn: the last one keeps it.
 */
export async function movePushToken<T>(
  storage: Storage,
  work: (stores: Stores) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await storage.transaction(work)
    } catch (error) {
      if (takenKey(error) === undefined || tries === triesMax) throw error
    }
  }
}
