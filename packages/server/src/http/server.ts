import type { Socket } from 'node:net'
import {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify'
import type { IdSource } from '#domain/ulid.ts'
import { sendFailure, toFailure } from './failing.ts'
import {
  type Failure,
  type HttpFault,
  type RenderedFailure,
  type RenderFailure,
  RequestRefused,
} from './failure.ts'
import { RequestLogger } from './request-logger.ts'
import { bodyBytesMax } from './surface-options.ts'
import { Territories } from './territories.ts'

export const urlLengthMax = 8_192
export const headersBytesMax = 16_384
/** As sent, percent-encoding included. */
export const pathParameterLengthMax = 4_096
const requestTimeoutMs = 60_000
const keepAliveTimeoutMs = 72_000

export interface HttpServerOptions {
  /** Absent: nothing is logged. */
  readonly logger?: FastifyBaseLogger
  /** Makes the id of every request, a ULID. */
  readonly ids: IdSource
  /** Addresses and prefixes whose `X-Forwarded-…` are believed. */
  readonly trustProxy?: readonly string[]
}

/** The server that surfaces are mounted on: limits, request ids, and answers for what no surface claims. */
export function createHttpServer({
  logger,
  ids,
  trustProxy = [],
}: HttpServerOptions): FastifyInstance {
  const territories = new Territories()
  const app: FastifyInstance = fastify({
    ...(logger === undefined
      ? { logger: false }
      : {
          loggerInstance: logger,
          childLoggerFactory: (parent, bindings, options) =>
            new RequestLogger(parent, bindings, options),
        }),
    genReqId: () => ids(),
    requestIdHeader: false,
    logController: new LogController({
      requestIdLogLabel: 'requestId',
      disableRequestLogging: true,
    }),
    trustProxy: trustProxy.length === 0 ? false : [...trustProxy],
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    // While closing, readiness says so; requests that still arrive are served.
    return503OnClosing: false,
    http: { maxHeaderSize: headersBytesMax },
    clientErrorHandler: (error, socket) => answerUnreadable(error, socket, ids()),
    routerOptions: {
      maxParamLength: pathParameterLengthMax,
      // Endpoints read the query themselves, strictly.
      querystringParser: () => ({}),
    },
    frameworkErrors: (error, request, reply) => {
      reply.headers(commonHeaders(request.id))
      const render = renderOf(pathOf(request.raw.url), territories)
      const send = (failure: Failure) => sendFailure(failure, render, request, reply)
      const failure = toFailure(error, request)
      if (failure.kind !== 'http') {
        send(failure)
        return
      }
      refuse(request, failure.fault, territories).catch((thrown: unknown) => {
        send(toFailure(thrown, request))
      })
    },
  })
  app.decorate('territories', territories)
  app.decorateRequest('admission', undefined)
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(commonHeaders(request.id))
    const fault = findFault(request, territories)
    if (fault === undefined) done()
    else refuse(request, fault, territories).catch(done)
  })
  app.setErrorHandler((error, request, reply) => {
    const render = renderOf(pathOf(request.raw.url), territories)
    sendFailure(toFailure(error, request), render, request, reply)
  })
  return app
}

/** HTTP that cannot be read reaches no surface: it is answered plainly, and the connection is closed. */
function answerUnreadable(
  error: Error & { readonly code?: string },
  socket: Socket,
  requestId: string,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  socket.end(
    `HTTP/1.1 ${status}\r\nX-Request-Id: ${requestId}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  )
}

/** Never without an error: the fault, or what the surface has to say before it. */
async function refuse(
  request: FastifyRequest,
  fault: HttpFault,
  territories: Territories,
): Promise<never> {
  await territories.ownerOf(pathOf(request.raw.url))?.beforeRefusal?.(request, fault)
  throw new RequestRefused(fault)
}

/** What is wrong with a request whichever operation it means. */
function findFault(request: FastifyRequest, territories: Territories): HttpFault | undefined {
  const { url = '' } = request.raw
  if (url.length > urlLengthMax) return { kind: 'url_too_long' }
  if (!request.is404) return undefined
  // The router does not know every method.
  const allow = territories.methodsOf(pathOf(url))
  return allow === undefined || allow.includes(request.method)
    ? { kind: 'route_not_found' }
    : { kind: 'method_not_allowed', allow }
}

function commonHeaders(requestId: string): Record<string, string> {
  return { 'x-request-id': requestId, 'x-content-type-options': 'nosniff' }
}

function renderOf(path: string, territories: Territories): RenderFailure {
  return territories.ownerOf(path)?.renderFailure ?? renderPlainly
}

function pathOf(url = ''): string {
  const mark = url.indexOf('?')
  return mark === -1 ? url : url.slice(0, mark)
}

/** For a server without any surface at this place. */
function renderPlainly(failure: Failure): RenderedFailure {
  const status = failure.kind === 'http' ? 404 : 500
  return { status, contentType: 'text/plain; charset=utf-8', body: `${status}\n` }
}
