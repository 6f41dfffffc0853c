import type { ClientRequest, RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { AttemptError } from '#domain/outbox/outbox-message.ts'
import { requestHttp } from './node-http.ts'
import { type OutboundTarget, pinned, tlsOptions } from './outbound-target.ts'

/** Longest header of an answer. */
const answerHeaderBytesMax = 16_384
export const userAgent = 'Countersign'

/** What a caller may say of a request; where it goes is the target's matter. */
type OutboundOptions = Pick<
  RequestOptions,
  'method' | 'headers' | 'agent' | 'signal' | 'setDefaultHeaders'
>

/** Begins a request to where a target leads and nowhere else; `end` sends it. */
export function requestTo(target: OutboundTarget, options: OutboundOptions): ClientRequest {
  const { url, host, port, isTls } = target
  const whole = {
    ...options,
    host,
    port,
    path: url.pathname + url.search,
    maxHeaderSize: answerHeaderBytesMax,
    lookup: pinned(target),
  }
  return isTls ? requestHttps({ ...whole, ...tlsOptions(target) }) : requestHttp(whole)
}

/** Tells whether an error came while TLS was being set up. */
export function watchPhase(request: ClientRequest): {
  errorNow(): Extract<AttemptError, 'TLS' | 'CONNECTION'>
} {
  let isSettingUpTls = false
  request.on('socket', (socket: Socket) => {
    if (!(socket instanceof TLSSocket) || !socket.connecting) return
    socket.once('connect', () => {
      isSettingUpTls = true
    })
    socket.once('secureConnect', () => {
      isSettingUpTls = false
    })
  })
  return { errorNow: () => (isSettingUpTls ? 'TLS' : 'CONNECTION') }
}
