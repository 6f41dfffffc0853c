/**
 * Enters rows without end, several at a time: `writer.ts URL PREFIX CONCURRENCY`. Begins when told anything; prints
 * `ready`, then every entry whose transaction was acknowledged as `+name`, every one that failed as `-name reason`. Ends
 * when its input ends.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '#storage/database.ts'
import { StorageError } from '#storage/queries.ts'
import { enter, openCounter } from '../ledger.ts'

const [url = '', prefix = '', concurrency = '1'] = process.argv.slice(2)
await once(process.stdin, 'data')
const database = openDatabase(url)
await database.migrate()
await database.transaction((queries) => openCounter(queries))
let isEnding = false
process.stdin.on('end', () => {
  isEnding = true
})
process.stdin.resume()
process.stdout.write('ready\n')

async function write(worker: number): Promise<void> {
  for (let count = 0; !isEnding; count++) {
    const name = `${prefix}-${worker}-${count}`
    try {
      await database.transaction((queries) => enter(queries, name, 'x'.repeat(count % 700)), {
        grouped: true,
      })
      process.stdout.write(`+${name}\n`)
    } catch (error) {
      const reason = error instanceof StorageError ? error.failure : String(error)
      process.stdout.write(`-${name} ${reason}\n`)
      await sleep(10)
    }
  }
}

await Promise.all(Array.from({ length: Number(concurrency) }, (_, worker) => write(worker)))
await database.close()
