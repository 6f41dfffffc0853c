import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Operation, Response } from './contract.ts'
import type { AnyReply, BodyWriter, Headers } from './handler.ts'
import { fullContentType, isJson } from './media-type.ts'
import { toDefinition } from './schema.ts'
import type { Pruner, PrunerCompiler } from './serialise.ts'

/** One media type of a reply. */
interface BodyWriting {
  /** As it stands in `Content-Type`. */
  readonly contentType: string
  readonly spell: (body: unknown) => unknown
}

/** Sends what an endpoint answered: only what the contract declares for this status leaves the server. */
export class ReplyWriter {
  readonly #operationId: string
  readonly #byStatus: ReadonlyMap<PropertyKey, ReadonlyMap<PropertyKey, BodyWriting>>

  /** @param contentTypes how a media type is written in full, where that differs from {@link fullContentType}. */
  constructor(operation: Operation, pruners: PrunerCompiler, contentTypes: Headers) {
    this.#operationId = operation.id
    this.#byStatus = new Map(
      operation.responses.map((response) => [
        response.status,
        bodyWritings(response, pruners, contentTypes),
      ]),
    )
  }

  send(reply: FastifyReply, answer: AnyReply): FastifyReply {
    const writings = this.#byStatus.get(answer.status)
    if (writings === undefined) throw this.#undeclared(answer)
    reply.code(Number(answer.status))
    if (writings.size === 0) {
      if (answer.headers !== undefined) reply.headers(answer.headers)
      return reply.send()
    }
    const mediaType = answer.contentType ?? (writings.size === 1 ? firstKey(writings) : undefined)
    const writing = mediaType === undefined ? undefined : writings.get(mediaType)
    if (writing === undefined) throw this.#undeclared(answer)
    reply.header('content-type', writing.contentType)
    if (answer.headers !== undefined) reply.headers(answer.headers)
    const body = writing.spell(answer.body)
    if (typeof body !== 'function') return reply.send(body)
    // From here on the response is the writer's. There may be thousands for an hour: they keep nothing of their requests.
    reply.hijack()
    const { request } = reply
    request.admission = undefined
    request.raw.rawHeaders = []
    request.raw.headers = {}
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders)
    ;(body as BodyWriter)(reply.raw)
    return reply
  }

  #undeclared({ status, contentType }: AnyReply): Error {
    const what = `${String(status)} ${String(contentType ?? '')}`.trim()
    return new Error(`${this.#operationId} answered ${what}, which its contract does not declare.`)
  }
}

function bodyWritings(
  { contents }: Response,
  pruners: PrunerCompiler,
  contentTypes: Headers,
): ReadonlyMap<PropertyKey, BodyWriting> {
  return new Map(
    contents.map(({ mediaType, schema }) => {
      const contentType = contentTypes[mediaType] ?? fullContentType(mediaType)
      if (!isJson(mediaType)) return [mediaType, { contentType, spell: (body) => body }]
      const prune: Pruner =
        schema === undefined ? (body) => body : pruners.compile(toDefinition(schema))
      return [mediaType, { contentType, spell: (body) => JSON.stringify(prune(body)) }]
    }),
  )
}

function firstKey(writings: ReadonlyMap<PropertyKey, unknown>): PropertyKey | undefined {
  return writings.keys().next().value
}
