import { createHmac } from 'node:crypto'
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const calibrationMs = 400
const macsAtOnce = 200
const syncCount = 41

/** How fast this core is at this moment: HMAC-SHA1 per second, measured for 0.4 s. */
export function calibrate(): number {
  const key = Buffer.alloc(20, 1)
  const message = Buffer.alloc(8, 2)
  const startedAt = performance.now()
  let count = 0
  let elapsedMs = 0
  do {
    for (let index = 0; index < macsAtOnce; index++) {
      createHmac('sha1', key).update(message).digest()
    }
    count += macsAtOnce
    elapsedMs = performance.now() - startedAt
  } while (elapsedMs < calibrationMs)
  return (count / elapsedMs) * 1000
}

/** How long the disk takes to hold on to 8 KiB, in milliseconds: the median of a few dozen. A commit waits for this. */
export function diskSyncMs(folder: string): number {
  const path = join(folder, 'sync')
  const file = openSync(path, 'w')
  const page = Buffer.alloc(8192, 1)
  try {
    const times = Array.from({ length: syncCount }, () => {
      writeSync(file, page)
      const startedAt = performance.now()
      fsyncSync(file)
      return performance.now() - startedAt
    })
    return times.sort((one, other) => one - other)[Math.floor(syncCount / 2)] ?? Number.NaN
  } finally {
    closeSync(file)
    rmSync(path)
  }
}
