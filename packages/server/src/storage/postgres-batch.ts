import type { Writable } from 'node:stream'
import type { Client } from 'pg'
import { type Result, type Send, sendDirectly } from './postgres-connection.ts'
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
  readonly isInsert: boolean
}

const executionsMax = 256
/** Rows of a result say by this which execution they belong to. */
const ordinal = 'batch_ordinal'

const plainInsert = /^insert into ("\w+") \(([^)]*)\) values \(\$1(?:, \$\d+)*\)$/
const orderedOrBounded = /\b(order by|limit|offset|for update)\b/i

/**
 * Collects the same statement of one turn of the event loop, from many callers, and runs it once for all their values:
 * parsing, planning and a round trip are paid once. Only statements that cannot touch each other are collected: reads,
 * and inserts that decide nothing. Whatever is spent is spent by a statement of its own.
 */
export function sendInBatches(client: Client): Send {
  const direct = sendTogether(client)
  const waiting = new Map<Compiled, Execution[]>()

  function flush(): void {
    const batches = [...waiting]
    waiting.clear()
    for (const [compiled, executions] of batches) {
      for (let start = 0; start < executions.length; start += executionsMax) {
        void runBatch(direct, compiled, executions.slice(start, start + executionsMax))
      }
    }
  }

  return (compiled, values) => {
    if (formOf(compiled) === undefined) return direct(compiled, values)
    return new Promise((resolve, reject) => {
      if (waiting.size === 0) setImmediate(flush)
      const executions = waiting.get(compiled)
      const execution = { values, resolve, reject }
      if (executions === undefined) waiting.set(compiled, [execution])
      else executions.push(execution)
    })
  }
}

/** As `sendDirectly`; what is sent before the event loop goes on leaves in one packet. */
function sendTogether(client: Client): Send {
  const direct = sendDirectly(client)
  // The driver has no public name for its socket.
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection
  let isCorked = false
  return (compiled, values) => {
    if (!isCorked) {
      isCorked = true
      stream.cork()
      process.nextTick(() => {
        isCorked = false
        stream.uncork()
      })
    }
    return direct(compiled, values)
  }
}

async function runBatch(
  direct: Send,
  compiled: Compiled,
  executions: readonly Execution[],
): Promise<void> {
  const form = formOf(compiled)
  const types = typesOf(executions)
  if (form === undefined || types === undefined || executions.length === 1) {
    for (const { values, resolve, reject } of executions)
      direct(compiled, values).then(resolve, reject)
    return
  }
  const columns = types.map((_type, column) => executions.map(({ values }) => values[column]))
  const parameters = types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')
  const names = types.map((_type, index) => `c${index + 1}`).join(', ')
  const rows = `unnest(${parameters}) with ordinality as batch_input(${names}, ${ordinal})`
  const batch: Compiled = {
    sql: form.write(rows),
    reads: compiled.reads,
    name: `${compiled.name}b${types.join('')}`,
    values: () => [],
  }
  try {
    const { rows: found } = await direct(batch, columns as unknown as Value[])
    const parts: Record<string, unknown>[][] = executions.map(() => [])
    for (const { [ordinal]: position, ...row } of found) parts[Number(position) - 1]?.push(row)
    for (const [index, { resolve }] of executions.entries()) {
      const part = parts[index] ?? []
      resolve({ rows: part, rowCount: form.isInsert ? 1 : part.length })
    }
  } catch (error) {
    for (const { reject } of executions) reject(error)
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

function makeForm({ sql, reads, name }: Compiled): BatchForm | undefined {
  if (name === undefined || !sql.includes('$1')) return undefined
  const text = sql.replace(/\$(\d+)/g, 'batch_input.c$1')
  if (reads) {
    if (orderedOrBounded.test(sql)) return undefined
    return {
      // `offset 0` keeps the statement whole: mixed with the list of values it would be planned as something else.
      write: (rows) =>
        `select batch_input.${ordinal}, s.* from ${rows} cross join lateral (${text} offset 0) as s`,
      isInsert: false,
    }
  }
  const insert = plainInsert.exec(sql)
  if (insert === null) return undefined
  const [, table, columns = ''] = insert
  const values = columns.split(', ').map((_column, index) => `batch_input.c${index + 1}`)
  return {
    write: (rows) => `insert into ${table} (${columns}) select ${values.join(', ')} from ${rows}`,
    isInsert: true,
  }
}

/** The types of the values, position by position; undefined where they differ or have no array form here. */
function typesOf(executions: readonly Execution[]): string[] | undefined {
  const types: string[] = []
  for (const { values } of executions) {
    for (const [index, value] of values.entries()) {
      const type =
        typeof value === 'string' ? 'text' : typeof value === 'number' ? 'bigint' : undefined
      if (type === undefined || (types[index] ?? type) !== type) return undefined
      types[index] = type
    }
  }
  return types
}
