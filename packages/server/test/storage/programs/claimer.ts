/**
 * Races for claims: `claimer.ts URL NAME COUNT LIMIT`. Prints `ready`, begins when told anything, then prints how many of
 * COUNT claims at once were won, the values that as many read-and-claim races won, and how many were won of as many for
 * each of ten counters at once.
 */
import { once } from 'node:events'
import { openDatabase } from '#storage/database.ts'
import { claim, claimNext } from '../ledger.ts'

const [url = '', name = '', count = '0', limit = '0'] = process.argv.slice(2)
const database = openDatabase(url, { exclusive: false })
process.stdout.write('ready\n')
await once(process.stdin, 'data')

const racers = Array.from({ length: Number(count) })
const won = await Promise.all(
  racers.map(() =>
    database.transaction((queries) => claim(queries, name, Number(limit)), { grouped: true }),
  ),
)
const values = await Promise.all(
  racers.map(() =>
    database.transaction((queries) => claimNext(queries, `${name}-next`), { grouped: true }),
  ),
)
const crowd = await Promise.all(
  racers.flatMap(() =>
    Array.from({ length: 10 }, (_, index) =>
      database.transaction((queries) => claim(queries, `${name}-${index}`, Number(limit)), {
        grouped: true,
      }),
    ),
  ),
)
process.stdout.write(
  `${JSON.stringify({
    won: won.filter(Boolean).length,
    values: values.filter((value) => value !== undefined),
    crowd: crowd.filter(Boolean).length,
  })}\n`,
)
process.stdin.destroy()
await database.close()
