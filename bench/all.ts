/**
 * Runs every benchmark, one after another, and prints a table of what was reached.
 *
 *     node bench/all.ts [--json] [--write]     `--write` puts the table into docs/performance.md
 *     node bench/all.ts --only verify,pin
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { calibrate } from './support/calibration.ts'
import { type Figure, note, passes } from './support/report.ts'
import { tableOf } from './support/table.ts'

const programs = [
  'verify',
  'scale',
  'pin',
  'lists',
  'import',
  'print',
  'cabinets',
  'delivery',
  'streams',
  'certificates',
  'filter',
  'properties',
  'approvals',
  'enrolment',
  'start',
]
const documentPath = fileURLToPath(new URL('../docs/performance.md', import.meta.url))
const tableStart = '<!-- figures -->'
const tableEnd = '<!-- end of figures -->'

async function run(program: string): Promise<Figure[]> {
  note(`== ${program}`)
  const path = fileURLToPath(new URL(`./${program}.ts`, import.meta.url))
  const child = spawn(process.execPath, [path, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`bench/${program}.ts ended with ${code}.`)
  return JSON.parse(output) as Figure[]
}

function writeDocument(table: string): void {
  const document = readFileSync(documentPath, 'utf8')
  const start = document.indexOf(tableStart)
  const end = document.indexOf(tableEnd)
  if (start === -1 || end < start) throw new Error('docs/performance.md has no place for figures.')
  const before = document.slice(0, start + tableStart.length)
  writeFileSync(documentPath, `${before}\n${table}\n${document.slice(end)}`)
}

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, write: { type: 'boolean' }, only: { type: 'string' } },
})
const wanted = values.only?.split(',') ?? programs
note(`calibration: ${Math.round(calibrate())} HMAC-SHA1/s`)
const figures: Figure[] = []
for (const program of programs.filter((name) => wanted.includes(name))) {
  figures.push(...(await run(program)))
}
const table = tableOf(figures)
process.stdout.write(values.json === true ? `${JSON.stringify(figures)}\n` : `${table}\n`)
if (values.write === true) writeDocument(table)
if (figures.some((figure) => passes(figure) === false)) process.exitCode = 1
