import { DomainError } from '#domain/errors.ts'
import type { AnyReply, Headers } from './handler.ts'
import { type KeyedInput, runKeyed } from './idempotency.ts'

/** What is kept of a reply: its JSON body without what is told once, or only that there was one. */
export type KeptOutput =
  | { readonly body: object }
  | {
      /** For whoever repeats the request: what the first one made. */
      readonly gone: string
    }

interface OutputReply extends AnyReply {
  readonly status: number
  readonly headers?: Headers
}

/**
 * As `idempotent`, for an endpoint whose replies may be texts or streams. A repeat of a JSON reply gets what `keep` left of
 * it; a repeat of any other one cannot be answered again.
 *
 * @throws DomainError `one_time_output_gone`.
 */
export function idempotentOutput<Input extends KeyedInput, Reply extends OutputReply>(
  endpoint: (input: Input) => Promise<Reply>,
  { keep }: { readonly keep: (reply: Reply) => KeptOutput },
): (input: Input) => Promise<Reply> {
  return async (input) => {
    const outcome = await runKeyed(input, [], async () => {
      const first = await endpoint(input)
      const { status, headers = {} } = first
      return { status, headers, body: keep(first), first }
    })
    if (!outcome.replayed) return outcome.reply.first
    const { status, headers, body } = outcome.reply
    const kept = body as KeptOutput
    if ('gone' in kept) throw new DomainError('one_time_output_gone', kept.gone)
    const replay: AnyReply = {
      status,
      contentType: 'application/json',
      headers: { ...headers, 'idempotency-replayed': 'true' },
      body: kept.body,
    }
    // The same method and path, so it once was a reply of this endpoint, in its only form that is kept.
    return replay as Reply
  }
}
