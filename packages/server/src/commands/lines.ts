import { createReadStream, readFileSync, statSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { CommandError, exitCodes } from './failure.ts'
import type { Progress, Terminal } from './terminal.ts'

const lineLengthMax = 1_048_576
const wholeBytesMax = 67_108_864

export interface NumberedLine {
  /** From 1. */
  readonly number: number
  readonly text: string
}

/**
 * The lines of a text file of any length, one at a time.
 *
 * @param path `-` for standard input.
 * @throws CommandError for a line that is too long to be one of ours.
 */
export async function* linesOf(path: string, progress?: Progress): AsyncGenerator<NumberedLine> {
  const stream: AsyncIterable<Buffer> = path === '-' ? process.stdin : createReadStream(path)
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let number = 0
  for await (const chunk of stream) {
    progress?.add(chunk.length)
    const texts = (rest + decoder.write(chunk)).split('\n')
    rest = texts.pop() ?? ''
    if (rest.length > lineLengthMax) {
      throw new CommandError(exitCodes.badData, `Line ${number + texts.length + 1} is too long.`)
    }
    for (const text of texts) yield { number: ++number, text }
  }
  rest += decoder.end()
  if (rest !== '') yield { number: ++number, text: rest }
}

/** Progress over the bytes of a file; nothing is shown for standard input, whose length nobody knows. */
export function fileProgress(
  terminal: Terminal,
  label: string,
  path: string,
): Progress | undefined {
  return path === '-' ? undefined : terminal.progress(label, statSync(path).size)
}

/** A file that is read whole. @throws CommandError when it is too large for that. */
export function readWhole(path: string): string {
  if (statSync(path).size > wholeBytesMax) {
    throw new CommandError(exitCodes.badData, `${path} is too large.`)
  }
  return readFileSync(path, 'utf8')
}
