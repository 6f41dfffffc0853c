// What `npm start` runs: the server, with its compiled form kept for the next start.
import { keepCompiled } from './compile-cache.js'

keepCompiled()
const { runServer } = await import('../src/main.ts')
await runServer()
