import type { Writable } from 'node:stream'
import type { Client, QueryArrayResult } from 'pg'
import { type ElementType, encodeArray } from './postgres-array.ts'
import { type Result, type Send, sendDirectly, translatePostgres } from './postgres-connection.ts'
import type { Compiled, Value } from './statement.ts'

interface Execution {
  readonly values: Value[]
  readonly resolve: (result: Result) => void
  readonly reject: (reason: unknown) => void
}

/** How one statement is run for many sets of values at once. */
interface BatchForm {
  /** The statement with `batch_input.c1`, `batch_input.c2`, … for its parameters, behind or in front of `rows`. */
  readonly write: (rows: string) => string
  /** Gives no rows and always changes one. */
  readonly isInsert: boolean
  /** By types of the parameters. */
  readonly batches: Map<string, Batch>
}

interface Batch {
  readonly text: string
  readonly name: string
}

type Row = Record<string, unknown>

const executionsMax = 256
/** The first column of a result says by this which execution a row belongs to. */
const ordinal = 'batch_ordinal'

const plainInsert = /^(insert into "\w+" \([^)]*\)) values \(((?:(?:, )?batch_input\.c\d+)+)\)$/
const plainUpdate =
  /^update ("\w+") set ((?:(?! where |\(select ).)+) where (.+?)(?: returning (.+))?$/
const orderedOrBounded = /\b(order by|limit|offset|for update)\b/i

/**
 * Collects the same statement of one turn of the event loop, from many callers, and runs it once for all their values:
 * parsing, planning and a round trip are paid once. Only what cannot touch each other runs together: reads, inserts that
 * decide nothing, and updates by their `apartBy`. Of those that spend the same thing each is run in its turn.
 */
export function sendInBatches(client: Client): Send {
  const cork = corkForTurn(client)
  const direct = sendDirectly(client)
  const waiting = new Map<Compiled, Execution[]>()

  const sendOne: Send = (compiled, values) => {
    cork()
    return direct(compiled, values)
  }

  function flush(): void {
    const collected = [...waiting]
    waiting.clear()
    for (const [compiled, executions] of collected) {
      for (const apart of splitApart(compiled, executions)) send(compiled, apart)
    }
  }

  function send(compiled: Compiled, executions: readonly Execution[]): void {
    const form = formOf(compiled)
    const types = typesOf(executions)
    if (form === undefined || types === undefined || executions.length === 1) {
      for (const { values, resolve, reject } of executions) {
        sendOne(compiled, values).then(resolve, reject)
      }
      return
    }
    cork()
    const batch = batchOf(compiled, form, types)
    const values = types.flatMap((type, column) =>
      type === 'null'
        ? []
        : [
            encodeArray(
              type,
              executions.map((each) => each.values[column]),
            ),
          ],
    )
    client.query<unknown[]>({ ...batch, values, rowMode: 'array' }).then(
      (result) => settle(executions, form, result),
      (error: unknown) => {
        const translated = translatePostgres(error)
        for (const { reject } of executions) reject(translated)
      },
    )
  }

  return (compiled, values) => {
    if (formOf(compiled) === undefined) return sendOne(compiled, values)
    return new Promise((resolve, reject) => {
      if (waiting.size === 0) setImmediate(flush)
      const executions = waiting.get(compiled)
      const execution = { values, resolve, reject }
      if (executions === undefined) waiting.set(compiled, [execution])
      else executions.push(execution)
    })
  }
}

/** @returns what makes all that is sent before the event loop goes on leave in one packet. */
function corkForTurn(client: Client): () => void {
  // The driver has no public name for its socket.
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection
  let isCorked = false
  return () => {
    if (isCorked) return
    isCorked = true
    stream.cork()
    process.nextTick(() => {
      isCorked = false
      stream.uncork()
    })
  }
}

/**
 * Into lots that are run one after another. In each, executions have nothing to do with each other, and come in the order
 * of what they are about: transactions that lock rows in the same order do not wait for each other in a circle.
 */
function splitApart({ apartBy }: Compiled, executions: readonly Execution[]): Execution[][] {
  if (apartBy === undefined) return inParts(executions)
  const lots: Map<string, Execution>[] = []
  const countOf = new Map<string, number>()
  for (const execution of executions) {
    // No text of a statement's values contains U+0000.
    const key = apartBy.map((place) => execution.values[place]).join('\0')
    const count = countOf.get(key) ?? 0
    countOf.set(key, count + 1)
    const lot = lots[count] ?? new Map<string, Execution>()
    lots[count] = lot.set(key, execution)
  }
  return lots.flatMap((lot) =>
    inParts([...lot].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, each]) => each)),
  )
}

function inParts(executions: readonly Execution[]): Execution[][] {
  const parts: Execution[][] = []
  for (let start = 0; start < executions.length; start += executionsMax) {
    parts.push(executions.slice(start, start + executionsMax))
  }
  return parts
}

/** Gives every execution its own rows. */
function settle(
  executions: readonly Execution[],
  { isInsert }: BatchForm,
  { fields, rows }: QueryArrayResult<unknown[]>,
): void {
  const found: Row[][] = executions.map(() => [])
  for (const values of rows) {
    // Made member by member: copying an object of that many columns takes ten times as long.
    const row: Row = {}
    for (let column = 1; column < fields.length; column++) {
      row[fields[column]?.name ?? ''] = values[column]
    }
    found[Number(values[0]) - 1]?.push(row)
  }
  for (const [index, { resolve }] of executions.entries()) {
    const own = found[index] ?? []
    resolve({ rows: own, rowCount: isInsert ? 1 : own.length })
  }
}

const forms = new WeakMap<Compiled, BatchForm | 'none'>()

function formOf(compiled: Compiled): BatchForm | undefined {
  let form = forms.get(compiled)
  if (form === undefined) {
    form = makeForm(compiled) ?? 'none'
    forms.set(compiled, form)
  }
  return form === 'none' ? undefined : form
}

function makeForm({ sql, reads, name, apartBy }: Compiled): BatchForm | undefined {
  if (name === undefined || !sql.includes('$1')) return undefined
  const text = sql.replace(/\$(\d+)/g, 'batch_input.c$1')
  const batches = new Map<string, Batch>()
  if (reads) {
    if (orderedOrBounded.test(sql)) return undefined
    return {
      // `offset 0` keeps the statement whole: mixed with the list of values it would be planned as something else.
      write: (rows) =>
        `select batch_input.${ordinal}, s.* from ${rows} cross join lateral (${text} offset 0) as s`,
      isInsert: false,
      batches,
    }
  }
  if (apartBy !== undefined) {
    const [whole, table, changes, conditions, returned] = plainUpdate.exec(text) ?? []
    if (whole === undefined) throw new Error(`Only plain updates can be apart: ${sql}`)
    const columns = returned === undefined ? '' : `, ${returned}`
    return {
      write: (rows) =>
        `update ${table} set ${changes} from ${rows} where ${conditions} returning batch_input.${ordinal}${columns}`,
      isInsert: false,
      batches,
    }
  }
  const [whole, target, values] = plainInsert.exec(text) ?? []
  if (whole === undefined) return undefined
  return { write: (rows) => `${target} select ${values} from ${rows}`, isInsert: true, batches }
}

function batchOf(compiled: Compiled, form: BatchForm, types: readonly ColumnType[]): Batch {
  const name = `${compiled.name}b${types.join('')}`
  let batch = form.batches.get(name)
  if (batch === undefined) {
    const typed = [...types.entries()].filter(([, type]) => type !== 'null')
    const arrays = typed.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')
    const names = typed.map(([column]) => `c${column + 1}`).join(', ')
    const rows = `unnest(${arrays}) with ordinality as batch_input(${names}, ${ordinal})`
    const text = form.write(rows).replace(/batch_input\.c(\d+)/g, (column, number) => {
      return types[Number(number) - 1] === 'null' ? 'null' : column
    })
    batch = { text, name }
    form.batches.set(name, batch)
  }
  return batch
}

/** Of a column without any value nobody knows the type, so it stands in the text. */
type ColumnType = ElementType | 'null'

/** The types of the values, position by position; undefined where they differ or have no array form here. */
function typesOf(executions: readonly Execution[]): ColumnType[] | undefined {
  const types = new Array<ColumnType>(executions[0]?.values.length ?? 0).fill('null')
  for (const { values } of executions) {
    for (let index = 0; index < types.length; index++) {
      const type = typeOf(values[index])
      if (type === 'null' || type === types[index]) continue
      if (type === undefined || types[index] !== 'null') return undefined
      types[index] = type
    }
  }
  return types
}

function typeOf(value: Value | undefined): ColumnType | undefined {
  if (value === null) return 'null'
  if (typeof value === 'string') return 'text'
  return typeof value === 'number' ? 'bigint' : undefined
}
