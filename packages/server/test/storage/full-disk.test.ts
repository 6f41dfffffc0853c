import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createPlace } from './databases.ts'
import { runFullDiskRounds, type TestDisk } from './full-disk-rounds.ts'

const run = promisify(execFile)

/**
 * A limit on the length of files that is set from outside while the process runs: writes behind it fail, as they do on a
 * disk that is full. Only Linux can take such a limit back; `npm run proof:full-disk` fills a real file system.
 */
function limitedDisk(path: string): TestDisk {
  let limited = 0
  return {
    path,
    async setRoom(room) {
      if (room === undefined) {
        await run('prlimit', ['--pid', String(limited), '--fsize=unlimited:'])
        return
      }
      limited = room.writer
      await run('prlimit', ['--pid', String(limited), `--fsize=${room.logBytes + room.bytes}:`])
    },
  }
}

describe.runIf(process.platform === 'linux')('R9: a full disk', () => {
  test('at every write of a group is unavailable to all of it; with space the same process goes on', async () => {
    await using place = await createPlace('sqlite')
    const summary = await runFullDiskRounds(limitedDisk(place.path), {
      roomBytesMax: 72_000,
      stepBytes: 1_499,
      checkpointMs: 3_600_000,
    })
    // The last rounds had room enough: every write of a group was hit before.
    expect(summary.refusedCount).toBeGreaterThan(20)
    expect(summary.refusedCount).toBeLessThan(49)
  }, 120_000)

  test('while the log is copied back ends no process and loses nothing', async () => {
    await using place = await createPlace('sqlite')
    const summary = await runFullDiskRounds(limitedDisk(place.path), {
      roomBytesMax: 20_000,
      stepBytes: 4_000,
      checkpointMs: 5,
    })
    expect(summary.writtenCount).toBeGreaterThan(0)
  }, 120_000)
})
