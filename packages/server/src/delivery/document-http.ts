import type { IncomingMessage } from 'node:http'
import {
  DocumentError,
  type DocumentFailure,
  type DocumentSource,
} from '#domain/callers/document-source.ts'
import type { AttemptError } from '#domain/outbox/outbox-message.ts'
import type { OutboundRule } from '#domain/tenants/outbound-rule.ts'
import type { AddressResolver } from './address-resolver.ts'
import { requestTo, userAgent, watchPhase } from './outbound-request.ts'
import { findTarget, type OutboundTarget } from './outbound-target.ts'

/** Name servers, connection, headers and body together. */
export const documentMsMax = 5_000
export const documentBytesMax = 262_144
const underWayMax = 64

const failures: Readonly<Record<AttemptError, DocumentFailure>> = {
  ADDRESS_REFUSED: 'address_refused',
  CONNECTION: 'connection',
  REDIRECT: 'redirect',
  TIMEOUT: 'timeout',
  TLS: 'tls',
}

/**
 * GETs documents from addresses that tenants chose, by the same rule as messages go out: the name is resolved once, every
 * address must be allowed, the connection goes to exactly these; no redirect, no proxy, no compression, a new connection
 * each time.
 */
export class DocumentHttp implements DocumentSource {
  readonly #rule: OutboundRule
  readonly #resolver: AddressResolver
  readonly #underWay = new Set<AbortController>()
  #isClosed = false

  constructor(dependencies: { rule: OutboundRule; resolver: AddressResolver }) {
    this.#rule = dependencies.rule
    this.#resolver = dependencies.resolver
  }

  /** @throws DocumentError also for any answer but 200. */
  async fetch(url: string): Promise<Uint8Array> {
    if (this.#isClosed || this.#underWay.size >= underWayMax) throw new DocumentError('busy')
    const ending = new AbortController()
    const timer = setTimeout(() => ending.abort(), documentMsMax)
    this.#underWay.add(ending)
    try {
      const way = { rule: this.#rule, resolver: this.#resolver }
      const target = await findTarget(url, way, ending.signal)
      if (typeof target === 'string') throw new DocumentError(failures[target])
      return await get(target, ending.signal)
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(ending)
    }
  }

  /** Breaks off what is under way; to be called once, at the end. */
  close(): void {
    this.#isClosed = true
    for (const ending of this.#underWay) ending.abort()
  }
}

function get(target: OutboundTarget, signal: AbortSignal): Promise<Uint8Array> {
  const headers = {
    host: target.url.host,
    'user-agent': userAgent,
    accept: 'application/json',
    connection: 'close',
  }
  return new Promise((resolve, reject) => {
    const request = requestTo(target, { method: 'GET', headers, agent: false, signal })
    const watch = watchPhase(request)
    const fail = (failure: DocumentFailure): void => {
      reject(new DocumentError(signal.aborted ? 'timeout' : failure))
      request.destroy()
    }
    request.on('response', (response) => read(response, { resolve, fail }))
    request.on('error', () => fail(failures[watch.errorNow()]))
    // Ended without a word, such as after an attempt to switch protocols.
    request.once('close', () => fail('connection'))
    request.end()
  })
}

function read(
  response: IncomingMessage,
  { resolve, fail }: { resolve: (body: Uint8Array) => void; fail: (why: DocumentFailure) => void },
): void {
  const { statusCode = 0 } = response
  if (statusCode !== 200) {
    fail(statusCode >= 300 && statusCode < 400 ? 'redirect' : 'status')
    return
  }
  const chunks: Buffer[] = []
  let byteCount = 0
  response.on('data', (chunk: Buffer) => {
    byteCount += chunk.length
    if (byteCount > documentBytesMax) fail('too_large')
    else chunks.push(chunk)
  })
  response.once('error', () => fail('connection'))
  response.once('end', () => {
    if (response.complete) resolve(Buffer.concat(chunks))
    else fail('connection')
  })
}
