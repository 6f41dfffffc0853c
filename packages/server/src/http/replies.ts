import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Operation, Response } from './contract.ts'
import type { AnyReply, BodyWriter, Headers } from './handler.ts'
import { fullContentType, isJson } from './media-type.ts'
import { toDefinition } from './schema.ts'
import type { Pruner, PrunerCompiler } from './serialise.ts'

type BodySpeller = (body: unknown) => unknown

/** Sends what an endpoint answered: only what the contract declares for this status leaves the server. */
export class ReplyWriter {
  readonly #operationId: string
  readonly #byStatus: ReadonlyMap<PropertyKey, ReadonlyMap<PropertyKey, BodySpeller>>
  readonly #contentTypes: Headers

  /** @param contentTypes how a media type is written in full, where that differs from {@link fullContentType}. */
  constructor(operation: Operation, pruners: PrunerCompiler, contentTypes: Headers) {
    this.#operationId = operation.id
    this.#contentTypes = contentTypes
    this.#byStatus = new Map(
      operation.responses.map((response) => [response.status, bodyWriters(response, pruners)]),
    )
  }

  send(reply: FastifyReply, answer: AnyReply): FastifyReply {
    const writers = this.#byStatus.get(answer.status)
    if (writers === undefined) throw this.#undeclared(answer)
    reply.code(Number(answer.status))
    if (writers.size === 0) {
      if (answer.headers !== undefined) reply.headers(answer.headers)
      return reply.send()
    }
    const mediaType = answer.contentType ?? (writers.size === 1 ? firstKey(writers) : undefined)
    const write = mediaType === undefined ? undefined : writers.get(mediaType)
    if (mediaType === undefined || write === undefined) throw this.#undeclared(answer)
    const name = String(mediaType)
    reply.header('content-type', this.#contentTypes[name] ?? fullContentType(name))
    if (answer.headers !== undefined) reply.headers(answer.headers)
    const body = write(answer.body)
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

function bodyWriters(
  { contents }: Response,
  pruners: PrunerCompiler,
): ReadonlyMap<PropertyKey, BodySpeller> {
  return new Map(
    contents.map(({ mediaType, schema }) => {
      if (!isJson(mediaType)) return [mediaType, (body: unknown) => body]
      const prune: Pruner =
        schema === undefined ? (body) => body : pruners.compile(toDefinition(schema))
      return [mediaType, (body: unknown) => JSON.stringify(prune(body))]
    }),
  )
}

function firstKey(writers: ReadonlyMap<PropertyKey, BodySpeller>): PropertyKey | undefined {
  return writers.keys().next().value
}
