import {
  closeSync,
  createWriteStream,
  fsyncSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CommandError, exitCodes } from '../failure.ts'

const listsFile = 'lists.csv'
const unprintedFile = 'unprinted.csv'

/**
 * The folder of one run; only its owner can read it. `lists.csv` says which sheet is in which file. A list whose sheet is
 * still on its way is in `unprinted.csv`, so that whatever ends the run, each list is in one of the two.
 */
export class PrintFolder {
  readonly path: string
  readonly files: string[] = []
  readonly #lists: number
  #printedCount = 0
  #unprinted: readonly string[] = []

  /** @throws CommandError when there is something of this name: no sheet is ever written over. */
  constructor(path: string) {
    this.path = path
    try {
      mkdirSync(path, { mode: 0o700 })
    } catch (error) {
      throw new CommandError(
        exitCodes.usage,
        `${path} cannot be made: it must be new, in a folder that is there.`,
        {
          cause: error,
        },
      )
    }
    this.#lists = openSync(join(path, listsFile), 'wx', 0o600)
    writeSync(this.#lists, 'list,file,sheet\r\n')
  }

  /** Lists whose sheets are on disk. */
  get printedCount(): number {
    return this.#printedCount
  }

  /** Lists that were made and have no sheet. */
  get unprinted(): readonly string[] {
    return this.#unprinted
  }

  noteUnprinted(listIds: readonly string[]): void {
    this.#unprinted = listIds
    const file = openSync(join(this.path, unprintedFile), 'w', 0o600)
    try {
      writeSync(file, ['list', ...listIds, ''].join('\r\n'))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  }

  /** Writes a document with the sheets of lists. Of one that does not arrive whole nothing stays but the note. */
  async write(document: Readable, listIds: readonly string[], extension: string): Promise<void> {
    this.noteUnprinted(listIds)
    const name = `sheets-${String(this.files.length + 1).padStart(4, '0')}.${extension}`
    const path = join(this.path, name)
    try {
      await pipeline(document, createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }))
    } catch (error) {
      rmSync(path, { force: true })
      throw error
    }
    writeSync(this.#lists, listIds.map((id, index) => `${id},${name},${index + 1}\r\n`).join(''))
    fsyncSync(this.#lists)
    rmSync(join(this.path, unprintedFile))
    this.#unprinted = []
    this.files.push(name)
    this.#printedCount += listIds.length
  }

  /** A run that made nothing leaves nothing, so that the same command can be given again. */
  close(): void {
    closeSync(this.#lists)
    if (this.#printedCount === 0 && this.#unprinted.length === 0) {
      rmSync(join(this.path, listsFile))
      rmdirSync(this.path)
    }
  }
}
