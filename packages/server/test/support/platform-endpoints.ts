import type { Caller } from '#domain/callers/caller.ts'
import { DomainError } from '#domain/errors.ts'
import type { AnyHandler } from '#http/handler.ts'
import { mountContract } from '#http/mount.ts'
import { readProblemCatalogue } from '#http/problem.ts'
import { createHttpServer } from '#http/server.ts'
import type { PlatformCore } from '#surfaces/platform/endpoint.ts'
import { platformFailures } from '#surfaces/platform/errors.ts'
import { createContractChecker } from './contract-checker.ts'
import { contractOf } from './contract-files.ts'
import type { TestCore } from './core.ts'

export interface EndpointReply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** As it was sent. */
  readonly text: string
  readonly body: ReplyBody
}

/** A parsed JSON body, empty where there is none. The contract checker has seen what its members are. */
export interface ReplyBody {
  readonly [member: string]: unknown
  readonly items: readonly { readonly id: string; readonly name: string }[]
  readonly errors: readonly { readonly pointer: string; readonly code: string }[]
}

export interface PlatformEndpoints extends AsyncDisposable {
  /** Calls as one of the callers and holds the reply against the contract. */
  call(as: string, method: Method, path: string, body?: unknown): Promise<EndpointReply>
}

const noBody: ReplyBody = { items: [], errors: [] }

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'

/**
 * Serves some endpoints of the platform API over the real HTTP layer and contract, for callers who have authenticated
 * already: `as` of a call is the name of one.
 */
export async function servePlatformEndpoints(options: {
  readonly test: TestCore
  readonly core: Partial<PlatformCore>
  readonly operations: Readonly<Record<string, AnyHandler<PlatformCore, Caller>>>
  readonly callers: ReadonlyMap<string, Caller>
}): Promise<PlatformEndpoints> {
  const contract = contractOf('platform')
  const checker = createContractChecker([contract])
  const app = createHttpServer({ ids: options.test.nextId })
  mountContract<PlatformCore, Caller>(app, {
    contract,
    operations: options.operations,
    core: options.core as PlatformCore,
    authenticate: async ({ headers }) => {
      const caller = options.callers.get(String(headers['x-test-caller']))
      if (caller === undefined) throw new DomainError('unauthenticated', 'No such caller.')
      return caller
    },
    renderFailure: platformFailures(readProblemCatalogue(contract)),
    territory: [''],
    unknownQuery: 'refuse',
  })
  await app.ready()
  return {
    async call(as, method, path, body) {
      const response = await app.inject({
        method,
        url: path,
        headers: {
          'x-test-caller': as,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
      })
      const { statusCode: status, headers } = response
      checker.check({ method, path, status, headers, body: response.rawPayload })
      const isJson = /json/.test(String(headers['content-type']))
      const parsed = isJson ? response.json<ReplyBody>() : noBody
      return { status, headers, text: response.body, body: parsed }
    },
    [Symbol.asyncDispose]: () => app.close(),
  }
}
