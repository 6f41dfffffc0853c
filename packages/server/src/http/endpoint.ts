import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Fault } from '#domain/errors.ts'
import { BodyReader } from './body.ts'
import type { Operation, Parameter } from './contract.ts'
import { type RenderFailure, RequestRefused } from './failure.ts'
import type { AnyHandler } from './handler.ts'
import { isAcceptable } from './media-type.ts'
import { parsePairs } from './pairs.ts'
import { ParameterReader } from './parameters.ts'
import { ReplyWriter } from './replies.ts'
import { parameterKey, routePath } from './routes.ts'
import type { PrunerCompiler } from './serialise.ts'
import { bodyBytesMax, type SurfaceOptions } from './surface-options.ts'
import type { SchemaCompiler } from './validator.ts'

/** What a request has shown before its body is read. */
export interface Admission {
  readonly caller: unknown
  readonly params: Record<string, unknown>
}

/** One operation with everything compiled that it needs. */
export class Endpoint<Core, Caller> {
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
    // The name comes from the caller: control characters would make our answer one that we refuse ourselves.
    pointer: `query:${name.replaceAll(/\p{Cc}/gu, '\ufffd').slice(0, 100)}`,
    code: 'unknown_member',
    message: 'is not known here',
  }
}
