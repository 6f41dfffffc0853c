import type { FastifyRequest } from 'fastify'
import type { HttpFault, RenderFailure } from './failure.ts'

/** One surface's part of the URL space. */
export interface Territory {
  /** Paths below it that nobody serves are answered in this surface's words; '' is the rest of the server. */
  readonly prefix: string
  readonly renderFailure: RenderFailure
  /** Runs before a request that no route serves is refused; what it throws is refused instead. */
  readonly beforeRefusal?: (request: FastifyRequest, fault: HttpFault) => Promise<void>
}

interface KnownPath {
  readonly pattern: RegExp
  readonly allow: readonly string[]
}

/** Who answers for paths and methods that no route serves. */
export class Territories {
  readonly #territories: Territory[] = []
  readonly #paths: KnownPath[] = []

  add(territory: Territory): void {
    this.#territories.push(territory)
    // The longest prefix decides.
    this.#territories.sort((one, other) => other.prefix.length - one.prefix.length)
  }

  addPath(path: KnownPath): void {
    this.#paths.push(path)
  }

  /** @param path without query. */
  ownerOf(path: string): Territory | undefined {
    return this.#territories.find(
      ({ prefix }) => path === prefix || path.startsWith(`${prefix}/`) || prefix === '',
    )
  }

  /** The methods of a path; undefined when no contract has it. */
  methodsOf(path: string): readonly string[] | undefined {
    const decoded = decodedPath(path)
    return this.#paths.find(({ pattern }) => pattern.test(decoded))?.allow
  }
}

/** As the router reads it: `%2F` and other reserved characters stay. */
function decodedPath(path: string): string {
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
