import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { adminToken, type Installation, masterKeyText } from './installation.ts'

export const serverProgram: string = fileURLToPath(
  new URL('../../packages/server/bin/server.js', import.meta.url),
)
/** What `npm start` has in front of the program: variables of the environment, options of Node. */
const asStarted = readStart()
const settleMsMax = 60_000

export interface ServerOptions {
  /** Another program than the server's own; it logs its address in the same way. */
  readonly program?: string
  /** Options of Node itself, such as `--cpu-prof`. */
  readonly nodeOptions?: readonly string[]
}

/** A server under test, as a process of its own that is configured by its environment alone. */
export class Server implements AsyncDisposable {
  readonly port: number
  /** From the start of the process to its record "listening". */
  readonly listeningAfterMs: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number, listeningAfterMs: number) {
    this.#child = child
    this.port = port
    this.listeningAfterMs = listeningAfterMs
  }

  static async start(
    { databaseUrl }: Pick<Installation, 'databaseUrl'>,
    { program = serverProgram, nodeOptions = asStarted.nodeOptions }: ServerOptions = {},
  ): Promise<Server> {
    const startedAt = performance.now()
    const child = spawn(process.execPath, [...nodeOptions, program], {
      env: {
        ...environmentWithoutSettings(),
        ...asStarted.environment,
        COUNTERSIGN_PORT: '0',
        COUNTERSIGN_DATABASE_URL: databaseUrl,
        COUNTERSIGN_MASTER_KEY: masterKeyText,
        COUNTERSIGN_ADMIN_TOKEN: adminToken,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })
    const port = await new Promise<number>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`The server ended with ${code}.`)))
      lines.on('line', (line) => {
        const { msg, url, level } = JSON.parse(line) as Record<string, string | undefined>
        if (msg === 'listening' && url !== undefined) resolve(Number(new URL(url).port))
        else if (level !== 'info') process.stderr.write(`${line}\n`)
      })
    })
    return new Server(child, port, performance.now() - startedAt)
  }

  /** Resolves when `/health/ready` says 200. */
  async ready(): Promise<void> {
    for (;;) {
      const { status } = await fetch(`http://127.0.0.1:${this.port}/health/ready`)
      if (status === 200) return
      await sleep(5)
    }
  }

  /** All samples of `GET /metrics`, by name with labels as they are written there. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://127.0.0.1:${this.port}/metrics`)
    const samples = new Map<string, number>()
    for (const line of (await response.text()).split('\n')) {
      const space = line.lastIndexOf(' ')
      if (space > 0 && !line.startsWith('#')) {
        samples.set(line.slice(0, space), Number(line.slice(space + 1)))
      }
    }
    return samples
  }

  async acceptedCount(): Promise<number> {
    const samples = await this.metrics()
    return samples.get('countersign_verifications_total{result="ACCEPTED"}') ?? 0
  }

  /**
   * Waits until every journal record is in its chain.
   *
   * @returns the seconds that took.
   */
  async settle(): Promise<number> {
    const startedAt = performance.now()
    while (performance.now() - startedAt < settleMsMax) {
      const samples = await this.metrics()
      if ((samples.get('countersign_queue_depth{queue="journal"}') ?? 0) === 0) {
        return (performance.now() - startedAt) / 1000
      }
      await sleep(50)
    }
    throw new Error('The journal was not sealed in a minute.')
  }

  /** Processor seconds of all its threads so far; undefined where the system does not tell. */
  cpuSeconds(): number | undefined {
    try {
      // After the name, which stands in brackets, user time is the 12th field and system time the 13th, in 1/100 s.
      const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
        .split(') ')[1]
        ?.split(' ')
      return (Number(fields?.[11]) + Number(fields?.[12])) / 100
    } catch {
      return undefined
    }
  }

  /** Resident memory in MiB. */
  async residentMib(): Promise<number> {
    const bytes = (await this.metrics()).get('process_resident_memory_bytes')
    if (bytes === undefined) throw new Error('The server does not tell its memory.')
    return bytes / 1024 ** 2
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await ended
  }
}

function readStart(): { environment: Record<string, string>; nodeOptions: readonly string[] } {
  const { scripts } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { scripts: { start: string } }
  const match =
    /^exec env ((?:\w+=\w+ )+)node ((?:--\S+ )*)packages\/server\/bin\/server\.js$/.exec(
      scripts.start,
    )
  if (match === null) throw new Error(`npm start is written in an unknown way: ${scripts.start}`)
  const [, variables = '', options = ''] = match
  return {
    environment: Object.fromEntries(
      variables
        .trim()
        .split(' ')
        .map((assignment) => assignment.split('=')),
    ),
    nodeOptions: options.trim().split(' '),
  }
}

/** What this process was started with, less what would configure a server. */
export function environmentWithoutSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('COUNTERSIGN_')),
  )
}
