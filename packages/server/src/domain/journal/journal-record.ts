import {
  canonicalJson,
  canonicalMembers,
  type JsonValue,
  type PartialMembers,
} from '@countersign/protocol/encoding/jcs.ts'
import { recordHash } from '@countersign/protocol/journal/chain.ts'
import type { Caller } from '../callers/caller.ts'

/** What a feature reports; who, when and where from are added by the journal. */
export interface JournalEntry {
  /** noun.verb, such as `otp-token.assigned`. */
  readonly action: string
  readonly outcome?: 'SUCCESS' | 'FAILURE'
  readonly target?: { readonly type: string; readonly id: string } | null
  readonly userId?: string | null
  /** Never a code, PIN, secret or text shown to a user. Numbers are integers; undefined members are left out. */
  readonly detail?: PartialMembers
}

/** A record without its place in the chain, its canonical text cut where `prevHash` and `seq` will stand. */
export interface UnsealedRecord {
  readonly tenantId: string
  readonly id: string
  readonly head: string
  readonly middle: string
  readonly tail: string
}

/** What the chain's columns say of a record, for searching. */
export interface RecordIndex {
  readonly action: string
  readonly outcome: string
  readonly surface: string
  readonly actorId: string | null
  readonly userId: string | null
  readonly targetType: string | null
  readonly targetId: string | null
  readonly atMs: number
}

/** As the chain's columns have it, of what {@link writeRecord} writes. */
export function indexEntry(
  { id: actorId, surface }: Caller,
  { action, outcome = 'SUCCESS', target = null, userId = null }: JournalEntry,
  atMs: number,
): RecordIndex {
  return {
    action,
    outcome,
    surface,
    actorId,
    userId,
    targetType: target?.type ?? null,
    targetId: target?.id ?? null,
    atMs,
  }
}

/** Writes down an entry; `at` and `id` are the moment and the ULID of the record. */
export function writeRecord(
  caller: Caller,
  tenantId: string,
  entry: JournalEntry,
  { id, atMs }: { id: string; atMs: number },
): UnsealedRecord {
  const { action, outcome = 'SUCCESS', target = null, userId = null, detail = {} } = entry
  const actor = `{"address":${canonicalJson(caller.address)},"id":${canonicalJson(caller.id)},"type":"${caller.type}"}`
  return {
    tenantId,
    id,
    head: `{"action":"${action}","actor":${actor},"at":"${instantOf(atMs)}","detail":${canonicalMembers(detail)},"id":"${id}","outcome":"${outcome}"`,
    middle: `,"requestId":${canonicalJson(caller.requestId)}`,
    tail: `,"surface":"${caller.surface}","target":${canonicalTarget(target)},"tenantId":"${tenantId}","userId":${canonicalJson(userId)},"v":1}`,
  }
}

function canonicalTarget(target: NonNullable<JournalEntry['target']> | null): string {
  if (target === null) return 'null'
  return `{"id":${canonicalJson(target.id)},"type":${canonicalJson(target.type)}}`
}

/** The moment that was written down last: many records are of one millisecond. */
let lastInstant = { atMs: Number.NaN, text: '' }

function instantOf(atMs: number): string {
  if (atMs !== lastInstant.atMs) lastInstant = { atMs, text: new Date(atMs).toISOString() }
  return lastInstant.text
}

/** A record in its place: the canonical text without `hash`, and its hash. */
export interface SealedRecord {
  readonly body: string
  readonly hash: string
}

/** Puts a record into the chain behind the record with `prevHash`. */
export function sealRecord(record: UnsealedRecord, prevHash: string, seq: number): SealedRecord {
  const body = `${record.head},"prevHash":"${prevHash}"${record.middle},"seq":${seq}${record.tail}`
  return { body, hash: recordHash(body) }
}

/** The full canonical text of a stored record, `hash` included: a line of an export. */
export function exportLine({ body, hash }: SealedRecord): string {
  // Sorted by name, `hash` stands between `detail` and `id`; the body is our own text, so its `id` is found from behind.
  const record = JSON.parse(body) as { [name: string]: JsonValue }
  return canonicalJson({ ...record, hash })
}
