import { DatabaseSync } from 'node:sqlite'
import { Child } from './child.ts'
import type { Filled } from './programs/filler.ts'

const groupSize = 5

/** A disk of which a test can take away the free space. */
export interface TestDisk {
  /** A place for the database. */
  readonly path: string
  /**
   * Leaves room for about so many bytes behind the end of the log; undefined gives all of it back.
   *
   * @param writer the process that will write.
   */
  setRoom(room: { writer: number; logBytes: number; bytes: number } | undefined): Promise<void>
}

export interface FullDiskSummary {
  readonly refusedCount: number
  readonly writtenCount: number
}

/**
 * Lets groups of transactions run out of space, each a little later than the one before, and gives the space back after
 * each.
 *
 * @throws when anybody was told something else than "unavailable", anything is half-done or lost, or the writer did not
 * recover by itself.
 */
export async function runFullDiskRounds(
  disk: TestDisk,
  {
    roomBytesMax,
    stepBytes,
    checkpointMs,
  }: {
    roomBytesMax: number
    stepBytes: number
    checkpointMs: number
  },
): Promise<FullDiskSummary> {
  const child = new Child('filler', [disk.path, String(checkpointMs)])
  const writer = child.process.pid ?? 0
  const ask = async (prefix: string): Promise<Filled> => {
    child.tell(`write ${prefix} ${groupSize}`)
    const line = await child.next()
    if (line === undefined) throw new Error(`The writer ended: ${(await child.ended).errors}`)
    return JSON.parse(line) as Filled
  }
  let writtenCount = 0
  let refusedCount = 0
  const check = ({ written, failures, entryCount, counter }: Filled, where: string): void => {
    writtenCount += written.length
    if (entryCount === writtenCount && counter === writtenCount) return
    throw new Error(
      `${where}: ${writtenCount} acknowledged, ${entryCount} there, ${counter} counted (${failures.join()})`,
    )
  }
  try {
    if ((await child.next()) !== 'ready') throw new Error((await child.ended).errors)
    let last = await ask('first')
    check(last, 'with space')
    for (let bytes = 0; bytes <= roomBytesMax; bytes += stepBytes) {
      await disk.setRoom({ writer, logBytes: last.logBytes, bytes })
      const full = await ask(`full${bytes}`)
      check(full, `with room for ${bytes} bytes`)
      if (full.written.length < groupSize) {
        refusedCount++
        // All of a group or nothing, and the same word for everybody.
        if (full.written.length > 0 || full.failures.join() !== 'unavailable') {
          throw new Error(`With room for ${bytes} bytes: ${JSON.stringify(full)}`)
        }
      }
      await disk.setRoom(undefined)
      last = await ask(`free${bytes}`)
      check(last, 'with space again')
      if (last.written.length < groupSize) throw new Error(`No recovery: ${JSON.stringify(last)}`)
    }
    child.process.stdin?.end()
    const { code, errors } = await child.ended
    if (code !== 0) throw new Error(`The writer ended with ${code}: ${errors}`)
    requireIntegrity(disk.path)
    return { refusedCount, writtenCount }
  } finally {
    await child.kill()
  }
}

function requireIntegrity(path: string): void {
  const db = new DatabaseSync(path)
  try {
    const result = db.prepare('pragma integrity_check').get()?.integrity_check
    if (result !== 'ok') throw new Error(`The database file is damaged: ${result}`)
  } finally {
    db.close()
  }
}
