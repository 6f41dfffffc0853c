import {
  isJsonObject,
  type JsonMembers,
  readJsonObject,
} from '@countersign/protocol/encoding/json.ts'
import type { ExchangeAnswer } from '#domain/outbox/http-exchange.ts'
import type { PushAnswer } from '#domain/push/push-sender.ts'

const retryAfterMsMax = 3_600_000

/** An object of JSON, or nothing: what a provider says is read with as little trust as anybody's. */
export function readObject(body: Uint8Array): JsonMembers {
  return readJsonObject(body) ?? {}
}

export function objectOf(value: unknown): JsonMembers {
  return isJsonObject(value) ? value : {}
}

/** A provider's word for what happened, fit for a log. */
export function reasonOf(value: unknown): { readonly reason?: string } {
  return typeof value === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(value) ? { reason: value } : {}
}

/** RFC 9110, section 10.2.3: seconds or a date; an hour at most. */
export function retryAfterOf(
  { headers }: Pick<ExchangeAnswer, 'headers'>,
  nowMs: number,
): { readonly retryAfterMs?: number } {
  const text = headers['retry-after']
  if (typeof text !== 'string') return {}
  const waitMs = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return waitMs > 0 ? { retryAfterMs: Math.min(retryAfterMsMax, waitMs) } : {}
}

/** What a header can carry as a bearer token; undefined for anything else. */
export function bearerOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\x21-\x7e]{1,8192}$/.test(value) ? value : undefined
}

/** The provider, the way to it, or our credentials there do not work now. */
export function troubled(
  answer: ExchangeAnswer,
  nowMs: number,
  reason: { readonly reason?: string } = {},
): PushAnswer {
  const { statusCode, error } = answer
  return {
    verdict: 'again',
    isProviderWell: false,
    statusCode,
    error,
    ...reason,
    ...retryAfterOf(answer, nowMs),
  }
}

/** The provider answered as it should, for good or bad. */
export function settled(
  verdict: 'taken' | 'refused' | 'gone' | 'again',
  { statusCode }: Pick<ExchangeAnswer, 'statusCode'>,
  reason: { readonly reason?: string } = {},
): PushAnswer {
  return { verdict, isProviderWell: true, statusCode, error: null, ...reason }
}

/** Never sent: what should have been said by the token cannot be. */
export function unusableToken(reason: string): PushAnswer {
  return { verdict: 'gone', isProviderWell: true, statusCode: null, error: null, reason }
}
