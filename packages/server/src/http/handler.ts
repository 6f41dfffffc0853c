import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'

/**
 * Writes a body piece by piece, for as long as it likes, behind a head that is sent; ends it, or lets it be cut off. What the
 * request said is gone by then.
 */
export type BodyWriter = (response: ServerResponse) => void

/** What is sent as it is: text, bytes, a stream of them, or whatever somebody writes. */
export type RawBody = string | Uint8Array | Readable | BodyWriter

/** One operation of a contract, as `contract.gen.ts` describes it. */
export interface OperationShape {
  readonly params: object
  readonly query: object
  readonly headers: object
  readonly body: unknown
  /** Status → media type → body; `null` for a reply without body. */
  readonly replies: object
}

/** What an endpoint gets: everything validated against the contract and typed by it. */
export interface Input<Shape extends OperationShape, Core, Caller> {
  readonly core: Core
  /** Whoever the surface's `authenticate` said it is. */
  readonly caller: Caller
  readonly params: Shape['params']
  readonly query: Shape['query']
  readonly headers: Shape['headers']
  readonly body: Shape['body']
  /** For what the contract does not describe; `request.body` is the body as it was sent, a Buffer. */
  readonly request: FastifyRequest
}

export type Headers = Readonly<Record<string, string>>

type ReplyWith<Status, MediaType, Body> = {
  readonly status: Status
  readonly contentType: MediaType
  readonly body: Body
  readonly headers?: Headers
}

type ReplyWithOneOf<Status, Contents> = keyof Contents extends infer Only
  ? {
      [MediaType in keyof Contents]: [Only] extends [MediaType]
        ? Omit<ReplyWith<Status, MediaType, Contents[MediaType]>, 'contentType'> & {
            readonly contentType?: MediaType
          }
        : ReplyWith<Status, MediaType, Contents[MediaType]>
    }[keyof Contents]
  : never

/**
 * Every reply the contract allows: a declared status with its body. `contentType` must be said only where the contract
 * offers several.
 */
export type Reply<Replies> = {
  [Status in keyof Replies]: Replies[Status] extends null
    ? { readonly status: Status; readonly headers?: Headers }
    : ReplyWithOneOf<Status, Replies[Status]>
}[keyof Replies]

/** An endpoint: translates a request into one call of the core, and the outcome into a reply. */
export type Handler<Shape extends OperationShape, Core, Caller> = (
  input: Input<Shape, Core, Caller>,
) => Promise<Reply<Shape['replies']>>

/**
 * The endpoints that are built, by operationId. One that is missing, misspelt, or not in the contract does not compile:
 *
 *     export const operations = { getTenant, listTenants } satisfies
 *       BuiltOperations<Operations, 'getTenant' | 'listTenants', Core, Caller>
 */
export type BuiltOperations<
  Shapes extends { readonly [Id in Built]: OperationShape },
  Built extends keyof Shapes,
  Core,
  Caller,
> = { readonly [Id in Built]: Handler<Shapes[Id], Core, Caller> }

/** A reply when nobody knows any more which operation it belongs to. */
export interface AnyReply {
  readonly status: PropertyKey
  readonly body?: unknown
  readonly contentType?: PropertyKey
  readonly headers?: Headers
}

/** Any endpoint of a surface: its input is known to the compiler only where it is written. */
export type AnyHandler<Core, Caller> = (input: {
  readonly core: Core
  readonly caller: Caller
  readonly params: never
  readonly query: never
  readonly headers: never
  readonly body: never
  readonly request: FastifyRequest
}) => Promise<AnyReply>
