import type { FastifyBaseLogger } from 'fastify'

type Bindings = Parameters<FastifyBaseLogger['child']>[0]
type ChildOptions = Parameters<FastifyBaseLogger['child']>[1]

/** The logger of one request. Its parent's child is made when something is logged: nearly all requests log nothing. */
export class RequestLogger implements FastifyBaseLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: Bindings
  readonly #options: ChildOptions
  #made: FastifyBaseLogger | undefined

  constructor(parent: FastifyBaseLogger, bindings: Bindings, options: ChildOptions) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }

  get level(): FastifyBaseLogger['level'] {
    return this.#logger.level
  }

  set level(level: FastifyBaseLogger['level']) {
    this.#logger.level = level
  }

  fatal(object: unknown, message?: string): void {
    this.#logger.fatal(object, message)
  }

  error(object: unknown, message?: string): void {
    this.#logger.error(object, message)
  }

  warn(object: unknown, message?: string): void {
    this.#logger.warn(object, message)
  }

  info(object: unknown, message?: string): void {
    this.#logger.info(object, message)
  }

  debug(object: unknown, message?: string): void {
    this.#logger.debug(object, message)
  }

  trace(object: unknown, message?: string): void {
    this.#logger.trace(object, message)
  }

  silent(): void {}

  child(bindings: Bindings, options?: ChildOptions): FastifyBaseLogger {
    return this.#logger.child(bindings, options)
  }

  get #logger(): FastifyBaseLogger {
    this.#made ??= this.#parent.child(this.#bindings, this.#options)
    return this.#made
  }
}
