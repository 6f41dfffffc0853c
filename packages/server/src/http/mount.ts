import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Fault } from '#domain/errors.ts'
import { BodyReader } from './body.ts'
import type { Contract, Operation, Parameter } from './contract.ts'
import { sendFailure, toFailure } from './failing.ts'
import { type RenderFailure, RequestRefused } from './failure.ts'
import type { AnyHandler, Headers } from './handler.ts'
import { isAcceptable } from './media-type.ts'
import { parsePairs } from './pairs.ts'
import { ParameterReader } from './parameters.ts'
import { ReplyWriter } from './replies.ts'
import { allowedMethods, parameterKey, pathPattern, routePath } from './routes.ts'
import { PrunerCompiler } from './serialise.ts'
import type { Territories } from './territories.ts'
import { SchemaCompiler } from './validator.ts'

/** Largest body, unless an operation has its own limit. */
export const bodyBytesMax = 1_048_576

const routedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const

/** How one surface serves its contract. */
export interface SurfaceOptions<Core, Caller> {
  readonly contract: Contract
  /** The endpoints that are built, by operationId; the others of the contract are not routed. */
  readonly operations: Readonly<Record<string, AnyHandler<Core, Caller>>>
  readonly core: Core
  /**
   * Says who calls, and refuses who may not (scope, tenant), before anything else of the request is looked at. Public
   * operations pass through here too. `path` has the texts of the path parameters: decoded, not checked yet.
   */
  readonly authenticate: (
    request: FastifyRequest,
    operation: Operation,
    path: Readonly<Record<string, string>>,
  ) => Promise<Caller>
  readonly renderFailure: RenderFailure
  /** URL prefixes whose unknown paths this surface answers; '' is what no other surface claims. */
  readonly territory: readonly string[]
  /** Where single operations are served instead of the contract's servers, by operationId. */
  readonly basePaths?: Readonly<Record<string, readonly string[]>>
  /**
   * What becomes of query parameters that the contract does not know; default `ignore`. Operations that do not declare
   * 400 ignore them always.
   */
  readonly unknownQuery?: 'refuse' | 'ignore'
  /** Largest bodies in bytes by operationId; {@link bodyBytesMax} for the others. */
  readonly bodyLimits?: Readonly<Record<string, number>>
  /** Whether every path may end in a slash too. */
  readonly trailingSlash?: boolean
  /** Whether an `Accept` that excludes every successful reply is refused. */
  readonly checkAccept?: boolean
  /** How media types are written in full in `Content-Type`, where that differs from the custom. */
  readonly contentTypes?: Headers
  /** Looks after the path parameters are checked and before the body is read: are the objects of the path there? */
  readonly checkPath?: (path: CheckedPath<Core, Caller>) => Promise<void>
  /** Changes a parsed body before it is validated. */
  readonly prepareBody?: (body: unknown, operation: Operation) => unknown
  /** Runs before a wrong method is refused, for surfaces that want credentials first. */
  readonly beforeMethodNotAllowed?: (request: FastifyRequest) => Promise<void>
}

export interface CheckedPath<Core, Caller> {
  readonly core: Core
  readonly caller: Caller
  readonly params: Readonly<Record<string, unknown>>
  readonly operation: Operation
  readonly request: FastifyRequest
}

/** What a request has shown before its body is read. */
interface Admission {
  readonly caller: unknown
  readonly params: Record<string, unknown>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Made by `createHttpServer`. */
    readonly territories: Territories
  }
  interface FastifyRequest {
    /** Set before the body is read; for this layer only. */
    admission: Admission | undefined
  }
  interface FastifyContextConfig {
    /** Name of the contract; for metrics. */
    readonly surface?: string
    readonly operationId?: string
  }
}

/**
 * Serves the built operations of a contract in a scope of their own. A request is refused in this order: unknown path,
 * unknown method, caller, path parameters, objects of the path, `Accept`, size, media type, body, then everything the
 * contract says about query, headers and body, all faults at once.
 *
 * @param app made by `createHttpServer`.
 * @throws for an operationId that the contract does not have.
 */
export function mountContract<Core, Caller>(
  app: FastifyInstance,
  options: SurfaceOptions<Core, Caller>,
): void {
  const { contract, operations, renderFailure } = options
  const built = contract.operations.filter(({ id }) => Object.hasOwn(operations, id))
  const known = new Set(built.map(({ id }) => id))
  for (const id of Object.keys(operations)) {
    if (!known.has(id)) throw new Error(`The contract ${contract.name} has no operation "${id}".`)
  }
  for (const prefix of options.territory) app.territories.add({ prefix, renderFailure })

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    // Bodies are parsed by the operation's own reader, after its media types are known.
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body)
    })
    const compiler = new SchemaCompiler(contract.definitions)
    const pruners = new PrunerCompiler(contract.definitions)
    for (const [path, atPath] of groupByPath(built)) {
      for (const operation of atPath) {
        const endpoint = new Endpoint(operation, options, compiler, pruners)
        for (const url of urlsOf(path, operation, options)) routeOperation(scope, url, endpoint)
      }
      routeOtherMethods(scope, path, atPath, options)
    }
  })
}

function groupByPath(operations: readonly Operation[]): ReadonlyMap<string, Operation[]> {
  const paths = new Map<string, Operation[]>()
  for (const operation of operations) {
    const atPath = paths.get(operation.path)
    if (atPath === undefined) paths.set(operation.path, [operation])
    else atPath.push(operation)
  }
  return paths
}

function basePathsOf<Core, Caller>(
  operation: Operation,
  { basePaths }: SurfaceOptions<Core, Caller>,
): readonly string[] {
  return basePaths?.[operation.id] ?? operation.basePaths
}

function urlsOf<Core, Caller>(
  path: string,
  operation: Operation,
  options: SurfaceOptions<Core, Caller>,
): readonly string[] {
  return basePathsOf(operation, options).flatMap((basePath) => {
    const { url } = routePath(basePath, path)
    return options.trailingSlash === true ? [url, `${url}/`] : [url]
  })
}

function routeOperation<Core, Caller>(
  scope: FastifyInstance,
  url: string,
  endpoint: Endpoint<Core, Caller>,
): void {
  const { operation } = endpoint
  scope.route({
    method: operation.method,
    url,
    bodyLimit: endpoint.bytesMax,
    config: { surface: endpoint.surface, operationId: operation.id },
    onRequest: (request) => endpoint.admit(request),
    handler: (request, reply) => endpoint.serve(request, reply),
    errorHandler: (error, request, reply) =>
      sendFailure(toFailure(error, request), endpoint.renderFailure, request, reply, operation),
  })
}

/** A known path answers every other method with 405 itself, or the router would try a less exact path. */
function routeOtherMethods<Core, Caller>(
  scope: FastifyInstance,
  path: string,
  operations: readonly Operation[],
  options: SurfaceOptions<Core, Caller>,
): void {
  const [first] = operations
  if (first === undefined) return
  const allow = allowedMethods(operations)
  for (const basePath of basePathsOf(first, options)) {
    scope.territories.addPath({ pattern: pathPattern(basePath, path), allow })
  }
  for (const url of urlsOf(path, first, options)) {
    scope.route({
      method: routedMethods.filter((method) => !allow.includes(method)),
      url,
      config: { surface: options.contract.name },
      onRequest: async (request) => {
        await options.beforeMethodNotAllowed?.(request)
        throw new RequestRefused({ kind: 'method_not_allowed', allow })
      },
      handler: async () => undefined,
      errorHandler: (error, request, reply) =>
        sendFailure(toFailure(error, request), options.renderFailure, request, reply),
    })
  }
}

/** One operation with everything compiled that it needs. */
class Endpoint<Core, Caller> {
  readonly operation: Operation
  readonly surface: string
  readonly bytesMax: number
  readonly renderFailure: RenderFailure
  readonly #options: SurfaceOptions<Core, Caller>
  readonly #handler: AnyHandler<Core, Caller>
  readonly #paramNames: readonly string[]
  readonly #params: ParameterReader
  readonly #query: ParameterReader
  readonly #headers: ParameterReader
  readonly #body: BodyReader | undefined
  readonly #replies: ReplyWriter
  readonly #accepted: readonly string[]
  readonly #refusesUnknown: boolean
  readonly #prepareBody: ((body: unknown) => unknown) | undefined

  constructor(
    operation: Operation,
    options: SurfaceOptions<Core, Caller>,
    compiler: SchemaCompiler,
    pruners: PrunerCompiler,
  ) {
    const { contract, operations, prepareBody } = options
    const handler = operations[operation.id]
    if (handler === undefined) throw new Error(`${operation.id} has no handler.`)
    const readerOf = (place: Parameter['in']) =>
      new ParameterReader(
        place,
        operation.parameters.filter((parameter) => parameter.in === place),
        contract.definitions,
        compiler,
      )
    this.operation = operation
    this.surface = contract.name
    this.bytesMax = options.bodyLimits?.[operation.id] ?? bodyBytesMax
    this.renderFailure = options.renderFailure
    this.#options = options
    this.#handler = handler
    this.#paramNames = routePath('', operation.path).names
    this.#params = readerOf('path')
    this.#query = readerOf('query')
    this.#headers = readerOf('header')
    this.#body =
      operation.requestBody && new BodyReader(operation.requestBody, contract.definitions, compiler)
    this.#replies = new ReplyWriter(operation, pruners, options.contentTypes ?? {})
    this.#refusesUnknown =
      options.unknownQuery === 'refuse' &&
      operation.responses.some(({ status }) => status === 400 || status === 'default')
    this.#accepted = operation.responses
      .filter(({ status }) => status !== 'default' && status < 300)
      .flatMap(({ contents }) => contents.map(({ mediaType }) => mediaType))
    this.#prepareBody = prepareBody && ((body) => prepareBody(body, operation))
  }

  /** Everything that can be decided before the body is read. */
  async admit(request: FastifyRequest): Promise<void> {
    const { authenticate, checkPath, core, checkAccept } = this.#options
    const path = this.#pathTexts(request)
    const caller = await authenticate(request, this.operation, path)
    const params = this.#readParams(path)
    if (checkPath !== undefined) {
      await checkPath({ core, caller, params, operation: this.operation, request })
    }
    if (checkAccept === true && !isAcceptable(request.headers.accept, this.#accepted)) {
      throw new RequestRefused({ kind: 'not_acceptable' })
    }
    this.#body?.admit(request.headers, this.bytesMax)
    request.admission = { caller, params }
  }

  async serve(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { admission } = request
    if (admission === undefined) throw new Error('The request was not admitted.')
    const bytes = request.body instanceof Buffer ? request.body : undefined
    const body = this.#body?.read(bytes, request.headers['content-type'], this.#prepareBody)
    const query = this.#readQuery(request)
    const headers = this.#readHeaders(request)
    const faults = [...query.faults, ...headers.faults, ...(body?.faults ?? [])]
    if (faults.length > 0) throw new RequestRefused({ kind: 'validation_failed', faults })

    // Validated above; the handler's own types come from the same contract.
    const input = {
      core: this.#options.core,
      caller: admission.caller as Caller,
      params: admission.params as never,
      query: query.values as never,
      headers: headers.values as never,
      body: body?.value as never,
      request,
    }
    return this.#replies.send(reply, await this.#handler(input))
  }

  #pathTexts(request: FastifyRequest): Readonly<Record<string, string>> {
    const numbered = request.params as Readonly<Record<string, string>>
    const texts: Record<string, string> = {}
    for (const [index, name] of this.#paramNames.entries()) {
      texts[name] = numbered[parameterKey(index)] ?? ''
    }
    return texts
  }

  #readParams(texts: Readonly<Record<string, string>>): Record<string, unknown> {
    if (this.#params.isEmpty) return {}
    const { values, faults } = this.#params.read((name) => [texts[name] ?? ''])
    if (faults.length > 0) throw new RequestRefused({ kind: 'path_parameter_invalid', faults })
    return values
  }

  #readQuery(request: FastifyRequest): ReadValues {
    const url = request.raw.url ?? ''
    const mark = url.indexOf('?')
    if (mark === -1 && this.#query.isEmpty) return noValues
    const pairs = parsePairs(mark === -1 ? '' : url.slice(mark + 1))
    if (typeof pairs === 'string') {
      return {
        values: {},
        faults: [{ pointer: 'query:', code: 'bad_format', message: 'cannot be read' }],
      }
    }
    const read = this.#query.read((name) => pairs.values.get(name))
    if (!this.#refusesUnknown) return read
    const unknown = [...pairs.values.keys()].filter((name) => !this.#query.names.has(name))
    if (unknown.length === 0) return read
    return { values: read.values, faults: [...read.faults, ...unknown.map(unknownParameter)] }
  }

  #readHeaders(request: FastifyRequest): ReadValues {
    if (this.#headers.isEmpty) return noValues
    return this.#headers.read((name) => {
      const value = request.headers[name.toLowerCase()]
      return value === undefined ? undefined : [value].flat()
    })
  }
}

interface ReadValues {
  readonly values: Record<string, unknown>
  readonly faults: readonly Fault[]
}

const noValues: ReadValues = { values: {}, faults: [] }

function unknownParameter(name: string): Fault {
  return {
    pointer: `query:${name.slice(0, 100)}`,
    code: 'unknown_member',
    message: 'is not known here',
  }
}
