import type { FastifyRequest } from 'fastify'
import type { Caller } from '#domain/callers/caller.ts'
import type {
  IdempotencyService,
  IdempotentOutcome,
  JsonReply,
} from '#domain/idempotency/idempotency-service.ts'
import type { Headers } from './handler.ts'

/** What an endpoint must get so that its requests can be told from each other. */
export interface KeyedInput {
  readonly core: { readonly idempotency: IdempotencyService }
  readonly caller: Caller
  readonly headers: { readonly 'Idempotency-Key'?: string }
  readonly request: FastifyRequest
}

/** A reply that can be kept: text, bytes and streams cannot. */
interface KeepableReply {
  readonly status: number
  readonly contentType?: 'application/json' | 'application/problem+json'
  readonly body?: object
  readonly headers?: Headers
}

type OptionalMember<Body> = Body extends unknown
  ? {
      [Name in keyof Body & string]-?: Record<never, never> extends Pick<Body, Name> ? Name : never
    }[keyof Body & string]
  : never

/** Members that the contract lets a successful reply leave out. */
type OneTimeMember<Reply> = Reply extends {
  readonly status: infer Status extends number
  readonly body: infer Body
}
  ? `${Status}` extends `2${string}`
    ? OptionalMember<Body>
    : never
  : never

/** Nothing fits for an operation whose contract does not declare the header. */
type Options<Input extends KeyedInput, Reply> = 'Idempotency-Key' extends keyof Input['headers']
  ? {
      /** Members of the body that appear in the first reply only; the contract has them as optional. */
      readonly oneTimeMembers: readonly OneTimeMember<Reply>[]
    }
  : never

/**
 * An endpoint that runs once for all requests with the same `Idempotency-Key`; repeats get its first reply without the
 * one-time members and with `Idempotency-Replayed: true`. Without the header it runs every time.
 *
 *     export const operations = {
 *       createOtpToken: idempotent(createOtpToken, { oneTimeMembers: ['provisioning'] }),
 *     }
 */
export function idempotent<Input extends KeyedInput, Reply extends KeepableReply>(
  endpoint: (input: Input) => Promise<Reply>,
  { oneTimeMembers }: Options<Input, Reply>,
): (input: Input) => Promise<Reply> {
  return async (input) => {
    const { replayed, reply } = await runKeyed(input, oneTimeMembers, () => endpoint(input))
    if (!replayed) return reply
    const replay = { ...reply, headers: { ...reply.headers, 'idempotency-replayed': 'true' } }
    // The same method and path, so it once was a reply of this endpoint.
    return replay as KeepableReply as Reply
  }
}

/** Runs the work once for all requests with the key of this one; every time where there is no key. */
export async function runKeyed<R extends JsonReply>(
  { core, caller, headers, request }: KeyedInput,
  oneTimeMembers: readonly string[],
  work: () => Promise<R>,
): Promise<IdempotentOutcome<R>> {
  const key = headers['Idempotency-Key']
  if (key === undefined) return { replayed: false, reply: await work() }
  const [path = ''] = request.url.split('?', 1)
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array()
  const { method } = request
  return core.idempotency.run({ caller, method, path, key, body, oneTimeMembers }, work)
}
