/**
 * How long it takes to read a filter of the AST surface and to compile it to SQL: a usual one, and one with as many
 * conditions as there may be.
 *
 *     node bench/filter.ts [--json] [--rounds 9] [--runs 500]
 */
import { compileCondition } from '../packages/server/src/domain/conditions/condition-store.ts'
import {
  type FilterProperties,
  parseFilters,
} from '../packages/server/src/domain/filter/filter-parser.ts'
import { column, fragment, fragmentStatement } from '../packages/server/src/storage/fragment.ts'
import { type Figure, print, readOptions } from './support/report.ts'
import { median } from './support/rounds.ts'

const options = readOptions({ rounds: 9, runs: 500 })
const { rounds: roundCount = 9, runs = 500 } = options.numbers

const properties: FilterProperties = {
  name: { field: 'name', kind: 'text' },
  generation: { field: 'generation', kind: 'number' },
  createdAt: { field: 'createdAt', kind: 'instant' },
}
const columns = {
  name: column('s', 'name'),
  generation: column('s', 'generation'),
  createdAt: column('s', 'created_at'),
}

const usual = '(name ^= "SignerA-"[i] and generation >= 5) or createdAt < "2026-01-01T00:00:00Z"'
const largest = Array.from({ length: 64 }, (_, index) => `name *= 'part ${index}' [i]`).join(' or ')

/** Milliseconds for one, as each engine would be asked. */
function measure(text: string, engine: 'sqlite' | 'postgres'): number {
  const startedAt = performance.now()
  for (let run = 0; run < runs; run++) {
    const condition = parseFilters([text], properties)
    if (condition === undefined) throw new Error('There is a filter.')
    const fits = compileCondition(condition, columns)
    fragmentStatement(fragment`(select 1 from signers where ${fits})`).compiledFor(engine)
  }
  return (performance.now() - startedAt) / runs
}

function figureOf(id: string, name: string, text: string, atMost?: number): Figure {
  for (const engine of ['sqlite', 'postgres'] as const) measure(text, engine)
  const rounds = Array.from({ length: roundCount }, () =>
    Math.max(measure(text, 'sqlite'), measure(text, 'postgres')),
  )
  return {
    id,
    name,
    reached: median(rounds),
    unit: 'ms',
    rounds,
    ...(atMost === undefined ? {} : { atMost }),
  }
}

print(
  [
    figureOf('filter.usual', 'A filter of three conditions, read and compiled', usual, 0.2),
    figureOf('filter.largest', 'The same with 64 conditions', largest),
  ],
  options,
)
