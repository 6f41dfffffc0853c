import type { Queries } from '#storage/queries.ts'
import { NonceAttemptStore } from './nonce-attempt-store.ts'
import { NonceRowStore } from './nonce-row-store.ts'

/** The stores of nonces. */
export class NonceStores {
  readonly rows: NonceRowStore
  readonly attempts: NonceAttemptStore

  constructor(queries: Queries) {
    this.rows = new NonceRowStore(queries)
    this.attempts = new NonceAttemptStore(queries)
  }
}
