import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** The machine may be busy with other suites. */
const startDeadlineMs = 60_000

/** One line of the log. */
export interface LogRecord {
  readonly time: string
  readonly level: string
  readonly msg: string
  readonly node: string
  readonly [member: string]: unknown
}

/** How a process ended: its exit code, or the signal that ended it. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ServerOptions {
  /** `COUNTERSIGN_…`; a free port unless one is given. Nothing of that name is inherited. */
  readonly env?: Readonly<Record<string, string>>
  /** Working folder, in which `./data` comes to lie; absent: a new one, removed with the process. */
  readonly folder?: string
  /** Put in front of the program, such as a shell that sets limits first. */
  readonly launcher?: readonly string[]
}

/** The server as operators start it: a process of its own, spoken to over HTTP and signals only. */
export class ServerProcess implements AsyncDisposable {
  readonly folder: string
  /** Everything it wrote, in order of arrival. */
  output = ''
  errors = ''
  readonly ended: Promise<ProcessEnd>
  readonly #child: ChildProcess
  readonly #ownsFolder: boolean
  readonly #waiting = new Set<() => void>()
  #end: ProcessEnd | undefined

  constructor({ env = {}, folder, launcher = [] }: ServerOptions = {}) {
    this.#ownsFolder = folder === undefined
    this.folder = folder ?? mkdtempSync(join(tmpdir(), 'countersign-server-'))
    const [command = process.execPath, ...parameters] = [...launcher, process.execPath, program]
    const inherited = Object.entries(process.env).filter(([name]) => !isOurs(name))
    this.#child = spawn(command, parameters, {
      cwd: this.folder,
      env: { ...Object.fromEntries(inherited), COUNTERSIGN_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.output += chunk
      this.#wake()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.errors += chunk
    })
    this.ended = once(this.#child, 'close').then(([code, signal]) => {
      this.#end = { code, signal }
      this.#wake()
      return { code, signal }
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Undefined while it runs, and after a signal ended it. */
  get exitCode(): number | null | undefined {
    return this.#end?.code
  }

  /** The log so far, every line parsed. @throws for a line that is no JSON object. */
  get logs(): readonly LogRecord[] {
    const complete = this.output.slice(0, this.output.lastIndexOf('\n') + 1)
    return complete
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogRecord)
  }

  /** Where it listens. @throws before it does. */
  get url(): string {
    const record = this.logs.find(({ msg }) => msg === 'listening')
    if (record === undefined) throw new Error('The server does not listen.')
    return String(record.url)
  }

  /** The first record with this message, as soon as it is there. @throws when the process ends without it. */
  async record(msg: string, deadlineMs = startDeadlineMs): Promise<LogRecord> {
    const endsAt = Date.now() + deadlineMs
    for (;;) {
      const found = this.logs.find((record) => record.msg === msg)
      if (found !== undefined) return found
      if (this.#end !== undefined || Date.now() > endsAt) {
        throw new Error(`No record "${msg}".\n${this.output}\n${this.errors}`)
      }
      await this.#change(endsAt - Date.now())
    }
  }

  /** Resolves when it serves. */
  async ready(): Promise<this> {
    await this.record('listening')
    return this
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProcessEnd> {
    this.signal(signal)
    return this.ended
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#end === undefined) this.#child.kill(signal)
  }

  /** Ends it without any chance to tidy up. */
  async kill9(): Promise<ProcessEnd> {
    return this.stop('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill9()
    if (this.#ownsFolder) rmSync(this.folder, { recursive: true, force: true })
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  async #change(deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, deadlineMs))
      this.#waiting.add(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** Starts a server and waits until it serves. @throws with its output when it ends instead. */
export async function startServer(options: ServerOptions = {}): Promise<ServerProcess> {
  const server = new ServerProcess(options)
  try {
    return await server.ready()
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

function isOurs(name: string): boolean {
  return name.startsWith('COUNTERSIGN_') || name === 'NODE_OPTIONS'
}
