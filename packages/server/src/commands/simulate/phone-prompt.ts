import { createInterface } from 'node:readline/promises'
import { visibleText } from '@countersign/device-sdk/visible-text.ts'
import type { Terminal } from '../terminal.ts'

const pinLengthMax = 64
const enter = /[\r\n]/
const erase = new Set(['\u007f', '\b'])
const endOfText = '\u0003'

/** Asks the person at the terminal: one question at a time, however many phones there are. */
export class PhonePrompt {
  readonly #terminal: Terminal
  #turn: Promise<unknown> = Promise.resolve()

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** Runs a dialog when those before are over. */
  async dialog<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  /** Shows a server's text: every line marked, so that none can pass for one of ours; nothing a terminal would obey. */
  show(text: string): void {
    for (const line of visibleText(text).split('\n')) this.#terminal.note(`  │ ${line}`)
  }

  /** @returns true for yes. */
  async confirm(question: string, signal: AbortSignal): Promise<boolean> {
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: true })
    // Here Ctrl-C would end the question only.
    lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    try {
      for (;;) {
        const answer = (await lines.question(`${question} [y/n] `, { signal })).trim().toLowerCase()
        if (answer === 'y' || answer === 'yes') return true
        if (answer === 'n' || answer === 'no') return false
      }
    } finally {
      lines.close()
    }
  }

  /** Reads a PIN that nobody sees. */
  async pin(signal: AbortSignal): Promise<string> {
    const { stdin, stderr } = process
    stderr.write('PIN: ')
    const done = Promise.withResolvers<string>()
    let typed = ''
    const read = (chunk: Buffer) => {
      for (const character of chunk.toString('utf8')) {
        if (character === endOfText) process.kill(process.pid, 'SIGINT')
        else if (enter.test(character)) done.resolve(typed)
        else if (erase.has(character)) typed = typed.slice(0, -1)
        else if (typed.length < pinLengthMax) typed += character
      }
    }
    const stop = () => done.reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    stdin.setRawMode(true)
    stdin.on('data', read).resume()
    try {
      signal.throwIfAborted()
      return await done.promise
    } finally {
      signal.removeEventListener('abort', stop)
      stdin.off('data', read).pause()
      stdin.setRawMode(false)
      stderr.write('\n')
    }
  }
}
