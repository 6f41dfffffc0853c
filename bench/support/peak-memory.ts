/** Preloaded into a program (`node --import`): at its end writes its largest resident memory, in KiB, to a file. */
import { writeFileSync } from 'node:fs'

const path = process.env.BENCH_PEAK_MEMORY_FILE
process.on('exit', () => {
  if (path !== undefined) writeFileSync(path, String(process.resourceUsage().maxRSS))
})
