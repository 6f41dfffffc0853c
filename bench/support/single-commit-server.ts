/** The server with one commit for each transaction instead of one for all that wait: what group commit is compared with. */
import { runServer } from '../../packages/server/src/main.ts'
import { sqliteWriterLimits } from '../../packages/server/src/storage/sqlite-writer.ts'

Object.assign(sqliteWriterLimits, { groupUnitsMax: 1 })
await runServer()
