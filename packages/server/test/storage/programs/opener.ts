/** Opens and migrates a database: `opener.ts URL`. Prints `open` or the name of what was thrown; holds it until told. */
import { once } from 'node:events'
import { openDatabase } from '#storage/database.ts'

const [url = ''] = process.argv.slice(2)
try {
  const database = openDatabase(url)
  await database.migrate()
  process.stdout.write('open\n')
  await once(process.stdin, 'data')
  process.stdin.destroy()
  await database.close()
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.name : 'unknown'}\n`)
  process.stdin.destroy()
}
