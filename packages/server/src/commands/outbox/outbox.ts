import { systemRandomness } from '#custody/randomness.ts'
import { Caller } from '#domain/callers/caller.ts'
import type { MessageStatus, OutboxMessage } from '#domain/outbox/outbox-message.ts'
import { type OutboxFilter, OutboxService } from '#domain/outbox/outbox-service.ts'
import { Storage } from '#domain/storage.ts'
import { createIdSource } from '#domain/ulid.ts'
import { openDatabase } from '#storage/database.ts'
import { openSnapshot, requireCurrentSchema } from '#storage/snapshot.ts'
import { CommandError, exitCodes } from '../failure.ts'
import { configuredDatabase, readSettings } from '../settings.ts'
import type { Terminal } from '../terminal.ts'

export interface OutboxOptions {
  readonly tenant: string
  readonly kind?: string
  readonly status?: string
  readonly id?: string
  readonly limit?: string
  /** `redeliver`: every message that the other options leave. */
  readonly all?: boolean
}

const statuses: readonly MessageStatus[] = ['WAITING', 'DELIVERED', 'FAILED']
const limitDefault = 100
const limitMax = 10_000

/** Shows what waits and what was given up. Payloads and envelopes are never shown. */
export async function outboxList(terminal: Terminal, options: OutboxOptions): Promise<void> {
  const filter = { ...filterOf(options), status: statusOf(options.status) }
  const limit = limitOf(options.limit)
  await withOutbox(async (outbox) => {
    const shown: ReturnType<typeof summaryOf>[] = []
    let more = false
    for await (const message of outbox.messages(Caller.system(), options.tenant, filter)) {
      terminal.signal.throwIfAborted()
      more = shown.length === limit
      if (more) break
      shown.push(summaryOf(message))
    }
    const lines = shown.map(lineOf)
    if (more) lines.push(`There are more than ${limit}; see --limit.`)
    terminal.result(
      { messages: shown, more },
      shown.length === 0 ? ['There is nothing like that.'] : lines,
    )
  })
}

/** Has messages that were given up tried again, by the servers that run or by the next one that starts. */
export async function outboxRedeliver(terminal: Terminal, options: OutboxOptions): Promise<void> {
  if (options.id === undefined && options.kind === undefined && options.all !== true) {
    throw new CommandError(exitCodes.usage, 'Say which: --id, --kind or --all.')
  }
  const filter = { ...filterOf(options), status: 'FAILED' } as const
  const limit = limitOf(options.limit ?? String(limitMax))
  await withOutbox(async (outbox) => {
    let redelivered = 0
    let more = false
    for await (const message of outbox.messages(Caller.system(), options.tenant, filter)) {
      terminal.signal.throwIfAborted()
      more = redelivered === limit
      if (more) break
      if (await outbox.redeliver(Caller.system(), message)) redelivered++
    }
    if (redelivered === 0 && options.id !== undefined) {
      throw new CommandError(exitCodes.failure, `No message ${options.id} was given up.`)
    }
    const lines = [`${redelivered} messages are tried again.`]
    if (more) lines.push('More were given up; repeat the command.')
    terminal.result({ redelivered, more }, lines)
  })
}

async function withOutbox(work: (outbox: OutboxService) => Promise<void>): Promise<void> {
  const { url } = configuredDatabase(readSettings())
  {
    await using snapshot = await openSnapshot(url)
    requireCurrentSchema(snapshot)
  }
  const database = openDatabase(url, { exclusive: false })
  try {
    const clock = Date.now
    const storage = new Storage(database, clock, createIdSource(clock, systemRandomness))
    await work(new OutboxService({ storage, clock }))
  } finally {
    await database.close()
  }
}

function filterOf({ kind, id }: OutboxOptions): OutboxFilter {
  return { kind, id }
}

function statusOf(text: string | undefined): MessageStatus | undefined {
  if (text === undefined) return undefined
  const status = statuses.find((one) => one === text.toUpperCase())
  if (status !== undefined) return status
  throw new CommandError(exitCodes.usage, `--status must be one of ${statuses.join(', ')}.`)
}

function limitOf(text = String(limitDefault)): number {
  const limit = Number(text)
  if (/^[1-9]\d{0,4}$/.test(text) && limit <= limitMax) return limit
  throw new CommandError(exitCodes.usage, `--limit must be a whole number from 1 to ${limitMax}.`)
}

function summaryOf(message: OutboxMessage) {
  const { id, kind, topic, status, tries, createdAtMs, deadlineMs, settledAtMs } = message
  const last = message.attempts.at(-1)
  return {
    id,
    kind,
    target: withoutQuery(message.target),
    topic,
    status,
    tries,
    createdAt: instant(createdAtMs),
    deadline: instant(deadlineMs),
    settledAt: settledAtMs === null ? null : instant(settledAtMs),
    lastAttempt:
      last === undefined
        ? null
        : {
            at: instant(last.atMs),
            statusCode: last.statusCode,
            error: last.error,
            ...(last.reason === undefined ? {} : { reason: last.reason }),
          },
  }
}

function lineOf(summary: ReturnType<typeof summaryOf>): string {
  const { id, status, kind, target, createdAt, tries, lastAttempt } = summary
  const answer = [lastAttempt?.error ?? lastAttempt?.statusCode, lastAttempt?.reason]
  const why = answer.filter((part) => part != null).join(' ') || '-'
  return `${id}  ${status.padEnd(9)}  ${kind}  ${createdAt}  tries ${tries}, last ${why}  ${target}`
}

/** What stands behind the path of an address may be a credential of its owner. */
function withoutQuery(target: string): string {
  return target.replace(/[?#].*$/s, '?...').replace(/^(https?:\/\/)[^/]*@/, '$1...@')
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
