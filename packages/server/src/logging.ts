import type { FastifyReply, FastifyRequest } from 'fastify'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { LogLevel } from './config.ts'

export interface LoggerOptions {
  readonly level: LogLevel
  /** COUNTERSIGN_NODE_ID. */
  readonly node: string
  /** Standard output when left out. */
  readonly destination?: DestinationStream
}

/**
 * The server's log: one JSON object a line with `time` (ISO 8601), `level` (its name), `msg`, `node`, and `requestId` on
 * lines about a request. Nothing that a client sent is ever logged: no headers, bodies, URLs or codes. Errors keep their
 * type, code, message and stack, and their causes; other members that libraries hang on errors are left out.
 */
export function createLogger({ level, node, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: { node },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: {
      err: describeError,
      error: describeError,
      // Fastify names these on some lines of its own.
      req: () => undefined,
      res: () => undefined,
    },
  }
  return destination ? pino(options, destination) : pino(options)
}

/**
 * For Fastify's `onResponse` hook: a debug line for every answer. It names the route's pattern, because the URL itself may
 * carry serials, tickets and codes.
 */
export function logResponse(request: FastifyRequest, reply: FastifyReply): void {
  request.log.debug(
    {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 1000) / 1000,
    },
    'request answered',
  )
}

const causesMax = 5

interface ErrorDescription {
  readonly type: string
  readonly code?: string | number
  readonly message: string
  readonly stack?: string
  readonly cause?: ErrorDescription
}

function describeError(thrown: unknown, depth = 0): ErrorDescription {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: 'not an error object' }
  const { code } = thrown as { code?: unknown }
  return {
    type: thrown.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: thrown.message,
    ...(thrown.stack === undefined ? {} : { stack: thrown.stack }),
    ...(thrown.cause === undefined || depth >= causesMax
      ? {}
      : { cause: describeError(thrown.cause, depth + 1) }),
  }
}
