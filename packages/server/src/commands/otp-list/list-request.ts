import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { CommandError, exitCodes } from '../failure.ts'

/** Where lists are made, and how they look. */
export interface ListOrder {
  /** Origin of the server. */
  readonly url: string
  readonly secret: string
  readonly tenantId: string
  /** The body of `createOtpLists` but for `count`. */
  readonly body: Readonly<Record<string, unknown>>
}

/** Lists that exist now, and the only copy of their codes. */
export interface NewSheets {
  readonly listIds: readonly string[]
  readonly document: Readable
}

/** Lists were made, and their codes are nowhere. */
export class SheetsLostError extends Error {
  override readonly name = 'SheetsLostError'
  readonly listIds: readonly string[]

  constructor(listIds: readonly string[], cause?: unknown) {
    super('The sheets of lists were lost on their way.', { cause })
    this.listIds = listIds
  }
}

const attemptsMax = 4
/** What `X-List-Ids` tells; whoever asks for more does not learn all ids. */
export const listIdsToldMax = 100
const pauseMs = 1_000
const listIdPattern = /\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b/g

/**
 * Makes lists through the platform API. A request without an answer is repeated under the same Idempotency-Key, so that
 * nothing is made twice and whatever was made is known.
 *
 * @throws SheetsLostError when an earlier attempt made the lists; CommandError for every refusal.
 */
export async function requestSheets(order: ListOrder, count: number): Promise<NewSheets> {
  const key = randomBytes(16).toString('hex')
  for (let attempt = 1; ; attempt++) {
    const response = await send(order, count, key, attempt)
    if (response === undefined) {
      await setTimeout(pauseMs * attempt)
      continue
    }
    if (response.status === 201 && response.body !== null) {
      const listIds = (response.headers.get('x-list-ids') ?? '').split(',')
      if (listIds.length !== Math.min(count, listIdsToldMax)) throw new SheetsLostError(listIds)
      const body = response.body as ReadableStream<Uint8Array>
      return { listIds, document: Readable.fromWeb(body) }
    }
    const problem = await problemOf(response)
    if (problem.code === 'one_time_output_gone') {
      throw new SheetsLostError(problem.message.match(listIdPattern) ?? [])
    }
    const mayPass = response.status === 503 || problem.code === 'idempotency_in_progress'
    if (!mayPass || attempt === attemptsMax) throw refusal(response.status, problem)
    await setTimeout(pauseMs * attempt)
  }
}

/** @returns undefined when no answer came and another attempt is due. */
async function send(
  { url, secret, tenantId, body }: ListOrder,
  count: number,
  key: string,
  attempt: number,
): Promise<Response | undefined> {
  try {
    return await fetch(new URL(`/api/v1/tenants/${encodeURIComponent(tenantId)}/otp-lists`, url), {
      method: 'POST',
      redirect: 'error',
      headers: {
        authorization: `Bearer ${secret}`,
        'content-type': 'application/json',
        'idempotency-key': key,
      },
      body: JSON.stringify({ ...body, count }),
    })
  } catch (error) {
    const wasSent = !unreachable.has(causeCodeOf(error))
    if (wasSent && attempt < attemptsMax) return undefined
    const hint = `If it made ${count} lists, they are the newest FREE ones of the method.`
    throw new CommandError(
      exitCodes.unavailable,
      [`${url} does not answer.`, ...(wasSent ? [hint] : [])].join(' '),
      { cause: error, detail: wasSent ? { idempotencyKey: key } : {} },
    )
  }
}

/** Nobody can have got the request. */
const unreachable = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH'])

function causeCodeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
}

interface Refusal {
  readonly code: string
  readonly message: string
}

async function problemOf(response: Response): Promise<Refusal> {
  const text = await response.text().catch(() => '')
  const parsed = problem.safeParse(parseJson(text))
  if (!parsed.success)
    return { code: '', message: 'This is not the answer of a Countersign server.' }
  const { code, title, detail = title, errors } = parsed.data
  return { code, message: [detail, ...errors.map(faultLine)].join('\n') }
}

const problem = z.object({
  code: z.string(),
  title: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), message: z.string() })).default([]),
})

function faultLine({ pointer, message }: { pointer: string; message: string }): string {
  return `  ${pointer} ${message}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refusal(status: number, { code, message }: Refusal): CommandError {
  const exitCode = status >= 500 ? exitCodes.unavailable : exitCodes.failure
  return new CommandError(exitCode, `${status} ${code}: ${message}`, { detail: { status, code } })
}
