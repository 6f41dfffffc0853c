import type { FastifyRequest } from 'fastify'
import type { DeviceRefusal } from '#domain/devices/device-refusal.ts'
import type { DomainError, Fault } from '#domain/errors.ts'
import type { Operation } from './contract.ts'
import type { Headers } from './handler.ts'

/** Why a body could not be read at all. */
export type MalformedReason =
  | 'empty'
  | 'not_utf8'
  | 'syntax'
  | 'duplicate_member'
  | 'forbidden_member'
  | 'forbidden_character'
  | 'number_too_large'
  | 'too_deep'
  | 'too_many_members'
  | 'incomplete'

/** Everything that can be wrong with a request before an endpoint sees it. */
export type HttpFault =
  | { readonly kind: 'route_not_found' }
  | { readonly kind: 'url_malformed' }
  | { readonly kind: 'url_too_long' }
  | { readonly kind: 'method_not_allowed'; readonly allow: readonly string[] }
  | { readonly kind: 'path_parameter_invalid'; readonly faults: readonly Fault[] }
  | { readonly kind: 'not_acceptable' }
  | { readonly kind: 'payload_too_large'; readonly bytesMax: number }
  | { readonly kind: 'unsupported_media_type'; readonly supported: readonly string[] }
  | { readonly kind: 'malformed_body'; readonly reason: MalformedReason }
  | { readonly kind: 'validation_failed'; readonly faults: readonly Fault[] }

/** Thrown inside this layer only; a surface sees its `fault`. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused'
  readonly fault: HttpFault

  constructor(fault: HttpFault) {
    super(fault.kind)
    this.fault = fault
  }
}

/** What a surface has to put into its own words. `internal` stands for anything unexpected; it is logged already. */
export type Failure =
  | { readonly kind: 'http'; readonly fault: HttpFault }
  | { readonly kind: 'domain'; readonly error: DomainError }
  /** Surfaces that devices call have words for these. */
  | { readonly kind: 'device'; readonly refusal: DeviceRefusal }
  | { readonly kind: 'internal' }

export interface FailureContext {
  readonly request: FastifyRequest
  readonly requestId: string
  /** Absent when no route was found, and for a method that the path does not know. */
  readonly operation: Operation | undefined
}

export interface RenderedFailure {
  readonly status: number
  readonly contentType: string
  /** An object is sent as JSON. */
  readonly body: string | object
  readonly headers?: Headers
}

export type RenderFailure = (failure: Failure, context: FailureContext) => RenderedFailure

/** What a malformed body lacks, in words for the caller. */
export const malformedMessages = {
  empty: 'The body is empty.',
  not_utf8: 'The body is not UTF-8.',
  syntax: 'The body does not follow the syntax of its media type.',
  duplicate_member: 'The body names a member twice.',
  forbidden_member: 'The body has a member with a name that is not allowed.',
  forbidden_character: 'The body holds U+0000 or half of a surrogate pair.',
  number_too_large: 'The body holds a number that is too large.',
  too_deep: 'The body is nested too deeply.',
  too_many_members: 'The body has too many members.',
  incomplete: 'The body is not as long as its Content-Length.',
} as const satisfies Record<MalformedReason, string>

/** The same words for each of the reasons; what a surface says of some of them in particular follows. */
export function eachOf<const Code extends string, const Wire>(
  reasons: readonly Code[],
  wire: Wire,
): { readonly [code in Code]: Wire } {
  return Object.fromEntries(reasons.map((reason) => [reason, wire])) as {
    [code in Code]: Wire
  }
}
