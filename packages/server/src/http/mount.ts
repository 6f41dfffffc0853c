import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Method, Operation } from './contract.ts'
import { corsHook } from './cors.ts'
import { type Admission, Endpoint } from './endpoint.ts'
import { sendFailure, toFailure } from './failing.ts'
import { type HttpFault, RequestRefused } from './failure.ts'
import { allowedMethods, pathPattern, pathsOverlap, routePath } from './routes.ts'
import { PrunerCompiler } from './serialise.ts'
import type { SurfaceOptions } from './surface-options.ts'
import type { Territories } from './territories.ts'
import { SchemaCompiler } from './validator.ts'

const routedMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const

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
  const beforeRefusal = async (request: FastifyRequest, fault: HttpFault) => {
    const before =
      fault.kind === 'method_not_allowed' ? options.beforeMethodNotAllowed : options.beforeNotFound
    await before?.(request)
  }
  for (const prefix of options.territory) {
    app.territories.add({ prefix, renderFailure, beforeRefusal })
  }

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    if (options.cors !== undefined) scope.addHook('onRequest', corsHook(options.cors))
    // Bodies are parsed by the operation's own reader, after its media types are known.
    // A pattern for all of them is found once for each media type; '*' would be looked for at every request.
    scope.addContentTypeParser(/^/, { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body)
    })
    const compiler = new SchemaCompiler(contract.definitions)
    const pruners = new PrunerCompiler(contract.definitions)
    const places: Place[] = []
    for (const [path, atPath] of groupByPath(built)) {
      for (const operation of atPath) {
        const endpoint = new Endpoint(operation, options, compiler, pruners)
        for (const url of urlsOf(path, operation, options)) {
          routeOperation(scope, url, endpoint, methodsOf(operation, options))
        }
        const other = options.otherPlaces?.[operation.id]
        if (other === undefined) continue
        for (const url of urlsOf(other.path, operation, options)) {
          routeOperation(scope, url, endpoint, [other.method])
        }
        places.push({ ...other, operation, allow: [other.method] })
      }
      const [operation] = atPath
      if (operation === undefined) continue
      const others = atPath.flatMap(({ id }) => options.otherMethods?.[id] ?? [])
      const allow = [...allowedMethods(atPath), ...others]
      places.push({ path, operation, allow })
    }
    refuseOtherMethods(scope, places, options)
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

function methodsOf<Core, Caller>(
  { id, method }: Operation,
  { otherMethods }: SurfaceOptions<Core, Caller>,
): readonly Method[] {
  return [method, ...(otherMethods?.[id] ?? [])]
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
  methods: readonly Method[],
): void {
  const { operation } = endpoint
  scope.route({
    method: [...methods],
    url,
    bodyLimit: endpoint.bytesMax,
    config: { surface: endpoint.surface, operationId: operation.id },
    onRequest: (request) => endpoint.admit(request),
    handler: (request, reply) => endpoint.serve(request, reply),
    errorHandler: (error, request, reply) => {
      sendFailure(toFailure(error, request), endpoint.renderFailure, request, reply, operation)
    },
  })
}

/** Where an operation is served, and what is allowed there. */
interface Place {
  readonly path: string
  readonly operation: Operation
  readonly allow: readonly string[]
}

/**
 * A known path answers every other method with 405. The territories do that for what the router does not find. Where a
 * less exact path would be found, and where hooks of the scope must run, the router is told: each costs 10 KiB.
 */
function refuseOtherMethods<Core, Caller>(
  scope: FastifyInstance,
  places: readonly Place[],
  options: SurfaceOptions<Core, Caller>,
): void {
  for (const place of places) {
    const { path, operation, allow } = place
    for (const basePath of basePathsOf(operation, options)) {
      scope.territories.addPath({ pattern: pathPattern(basePath, path), allow })
    }
    const isAlone = places.every((other) => other === place || !pathsOverlap(path, other.path))
    if (!isAlone || options.cors !== undefined) routeOtherMethods(scope, place, options)
  }
}

function routeOtherMethods<Core, Caller>(
  scope: FastifyInstance,
  { path, operation, allow }: Place,
  options: SurfaceOptions<Core, Caller>,
): void {
  for (const url of urlsOf(path, operation, options)) {
    scope.route({
      method: routedMethods.filter((method) => !allow.includes(method)),
      url,
      config: { surface: options.contract.name },
      onRequest: async (request) => {
        await options.beforeMethodNotAllowed?.(request)
        throw new RequestRefused({ kind: 'method_not_allowed', allow })
      },
      handler: async () => undefined,
      errorHandler: (error, request, reply) => {
        sendFailure(toFailure(error, request), options.renderFailure, request, reply)
      },
    })
  }
}
