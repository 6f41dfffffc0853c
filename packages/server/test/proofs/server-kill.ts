/**
 * R10, the long form: servers under load are killed again and again, and everything they acknowledged is looked for.
 *
 *     npm run proof:server-kill -- [--kills 100] [--engine sqlite|postgres]
 */
import { parseArgs } from 'node:util'
import { runKills } from '../end-to-end/kill-scenario.ts'
import { withPostgres } from './server-postgres.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '100' }, engine: { type: 'string' } },
})
const kills = Number(values.kills)

for (const engine of ['sqlite', 'postgres'] as const) {
  if (values.engine !== undefined && values.engine !== engine) continue
  const { faults, ...counts } =
    engine === 'sqlite'
      ? await runKills({ engine }, kills)
      : await withPostgres((database) => runKills({ engine, database }, kills))
  process.stdout.write(`${JSON.stringify({ engine, ...counts, faultCount: faults.length })}\n`)
  for (const fault of faults) process.stderr.write(`${fault}\n`)
  if (faults.length > 0) process.exitCode = 1
}
