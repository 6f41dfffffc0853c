import type { FastifyReply, FastifyRequest } from 'fastify'
import { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import { DomainError } from '#domain/errors.ts'
import type { Operation } from './contract.ts'
import { type Failure, type HttpFault, type RenderFailure, RequestRefused } from './failure.ts'

/** Most bytes of an unread body that are worth reading to keep the connection. */
const unreadBytesMax = 65_536

const frameworkFaults: Readonly<Record<string, HttpFault>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { kind: 'payload_too_large', bytesMax: 0 },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { kind: 'unsupported_media_type', supported: [] },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { kind: 'malformed_body', reason: 'incomplete' },
  // The client went away in the middle of its body.
  ECONNRESET: { kind: 'malformed_body', reason: 'incomplete' },
  FST_ERR_BAD_URL: { kind: 'url_malformed' },
  FST_ERR_MAX_PARAM_LENGTH: { kind: 'url_too_long' },
}

/** Whatever was thrown → what a surface has words for. The unexpected is logged in full, and tells the caller nothing. */
export function toFailure(error: unknown, request: FastifyRequest): Failure {
  if (error instanceof RequestRefused) return { kind: 'http', fault: error.fault }
  if (error instanceof DomainError) {
    if (error.cause !== undefined) request.log.warn({ err: error.cause }, 'request refused')
    return { kind: 'domain', error }
  }
  if (error instanceof DeviceRefusal) return { kind: 'device', refusal: error }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  const fault = frameworkFaults[String(code)]
  if (fault !== undefined) return { kind: 'http', fault }
  request.log.error({ err: error }, 'request failed')
  return { kind: 'internal' }
}

/** Sends a failure in the words of its surface. */
export function sendFailure(
  failure: Failure,
  render: RenderFailure,
  request: FastifyRequest,
  reply: FastifyReply,
  operation?: Operation,
): void {
  const rendered = render(failure, { request, requestId: request.id, operation })
  const { body } = rendered
  reply.code(rendered.status)
  reply.headers({ 'cache-control': 'no-store', ...rendered.headers })
  if (hasUnreadBody(request)) reply.header('connection', 'close')
  reply.header('content-type', rendered.contentType)
  reply.send(typeof body === 'string' ? body : JSON.stringify(body))
}

/** A large body that was refused unread would have to be read to its end before the connection could serve again. */
function hasUnreadBody({ raw, headers }: FastifyRequest): boolean {
  if (raw.complete) return false
  return (
    headers['transfer-encoding'] !== undefined ||
    Number(headers['content-length'] ?? 0) > unreadBytesMax
  )
}
