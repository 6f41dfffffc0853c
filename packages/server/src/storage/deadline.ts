import { StorageError } from './queries.ts'

/** Work that did nothing for too long: it waited for something that no statement of its own would bring. */
export class TookTooLongError extends StorageError {
  constructor() {
    super('unavailable', 'A transaction took too long.', '')
  }
}

/** Gives work up that is not done in time. What it still does later must be kept out by closing its queries. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TookTooLongError()), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
