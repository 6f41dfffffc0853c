import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** How a program ended: its exit code, or the signal that ended it. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly errors: string
}

/** One of the programs beside this file, as a process of its own. */
export class Child {
  readonly process: ChildProcess
  readonly ended: Promise<Ending>
  /** All of its output so far. */
  readonly lines: string[] = []
  #takenCount = 0
  #wake: () => void = () => {}
  #isSilent = false

  /** @param onLine hears each line of its output as it comes. */
  constructor(
    program: string,
    parameters: readonly string[],
    onLine: (line: string) => void = () => {},
  ) {
    const path = fileURLToPath(new URL(`./programs/${program}.ts`, import.meta.url))
    const child = spawn(process.execPath, [path, ...parameters], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    this.process = child
    // A program that has ended already hears no more; how it ended is what counts.
    child.stdin.on('error', () => {})
    const reader = createInterface({ input: child.stdout })
    reader.on('line', (line) => {
      this.lines.push(line)
      onLine(line)
      this.#wake()
    })
    reader.on('close', () => {
      this.#isSilent = true
      this.#wake()
    })
    this.ended = Promise.all([text(child.stderr), once(child, 'close')]).then(
      ([errors, [code, signal]]) => ({ code, signal, errors }),
    )
  }

  /** The next line of its output; undefined when it has ended. */
  async next(): Promise<string | undefined> {
    while (this.#takenCount === this.lines.length && !this.#isSilent) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.lines[this.#takenCount++]
  }

  tell(line: string): void {
    this.process.stdin?.write(`${line}\n`)
  }

  /** Ends it without any chance to tidy up. */
  async kill(): Promise<Ending> {
    this.process.kill('SIGKILL')
    return this.ended
  }
}
