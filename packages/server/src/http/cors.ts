import type { FastifyReply, FastifyRequest } from 'fastify'

/** Which pages of browsers may call, and what they see of an answer. */
export interface CorsRule {
  /** Empty: none; no header of CORS is ever sent. */
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  readonly allowedHeaders: readonly string[]
  readonly exposedHeaders: readonly string[]
}

const preflightSeconds = 3_600

/**
 * Answers preflights of allowed origins, and marks what is answered to them (the Fetch standard, section 3.2). Credentials
 * of the browser, such as cookies, are never allowed.
 */
export function corsHook(rule: CorsRule) {
  const origins = new Set(rule.origins)
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    if (origins.size === 0) return undefined
    // What a cache keeps for one origin is not for another.
    reply.header('vary', 'Origin')
    const { origin } = request.headers
    if (origin === undefined || !origins.has(origin)) return undefined
    reply.header('access-control-allow-origin', origin)
    const asked = request.headers['access-control-request-method']
    if (request.method !== 'OPTIONS' || asked === undefined) {
      reply.header('access-control-expose-headers', rule.exposedHeaders.join(', '))
      return undefined
    }
    reply.headers({
      'access-control-allow-methods': rule.methods.join(', '),
      'access-control-allow-headers': rule.allowedHeaders.join(', '),
      'access-control-max-age': String(preflightSeconds),
    })
    return reply.code(204).send()
  }
}
