import { type Queries, StorageError } from '#storage/queries.ts'
import type { Statement } from '#storage/statement.ts'
import { DomainError } from './errors.ts'

/** The database is away or full: the surface's 503. A key that is taken is for the feature to explain. */
export function asDomainError(error: unknown): unknown {
  if (error instanceof StorageError && error.failure === 'unavailable') {
    return new DomainError('unavailable', 'The database is not available.', {
      cause: error,
      retryAfterSeconds: 1,
    })
  }
  return error
}

/** What stores read through outside transactions: the database's reader, with its failures in the core's words. */
export class ReadingStore implements Queries {
  readonly #queries: Queries
  readonly moment?: () => object

  constructor(queries: Queries) {
    this.#queries = queries
    if (queries.moment !== undefined) this.moment = queries.moment.bind(queries)
  }

  async all<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<R[]> {
    try {
      return await this.#queries.all(statement, parameters)
    } catch (error) {
      throw asDomainError(error)
    }
  }

  async first<P extends object, R>(
    statement: Statement<P, R>,
    parameters: P,
  ): Promise<R | undefined> {
    try {
      return await this.#queries.first(statement, parameters)
    } catch (error) {
      throw asDomainError(error)
    }
  }

  run<P extends object, R>(statement: Statement<P, R>, parameters: P): Promise<number> {
    return this.#queries.run(statement, parameters)
  }
}
