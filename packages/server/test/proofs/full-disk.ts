/**
 * Proof of R9 on a real file system: `npm run proof:full-disk`, as root on Linux. Mounts a small file system in memory,
 * fills it up to every page of a group's writes, and empties it again while the same process goes on.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runFullDiskRounds } from '../storage/full-disk-rounds.ts'

const run = promisify(execFile)
const pageBytes = 4_096

const folder = await mkdtemp(join(tmpdir(), 'countersign-full-'))
await run('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'none', folder])
try {
  for (const checkpointMs of [3_600_000, 5]) {
    const path = join(folder, `full-${checkpointMs}.db`)
    const filler = join(folder, 'filler')
    const summary = await runFullDiskRounds(
      {
        path,
        async setRoom(room) {
          await rm(filler, { force: true })
          if (room === undefined) return
          const { bavail, bsize } = await statfs(folder)
          const bytes = Buffer.alloc(Math.max(0, bavail * bsize - room.bytes))
          // The log may be copied back meanwhile and take the room first: full is full.
          await writeFile(filler, bytes).catch(() => {})
        },
      },
      { roomBytesMax: 14 * pageBytes, stepBytes: pageBytes, checkpointMs },
    )
    process.stdout.write(
      `checkpoints every ${checkpointMs} ms: ${summary.refusedCount} groups refused, ${summary.writtenCount} entries written, none lost\n`,
    )
    await rm(path, { force: true })
  }
} finally {
  await run('umount', [folder])
  await rm(folder, { recursive: true })
}
