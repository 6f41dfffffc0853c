import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('./get-load.ts', import.meta.url))

/** What the generator of GET requests is to send. */
export interface GetJob {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** Followed by a serial, then by the query. */
  readonly path: string
  readonly serials: readonly string[]
  readonly query: string
  readonly apiKey?: string
}

export interface GetResult {
  readonly sent: number
  readonly statuses: Readonly<Record<string, number>>
  readonly seconds: number
  /** Answers per second. */
  readonly rate: number
}

/** The generator of GET requests, in a process of its own. */
export class GetGenerator implements AsyncDisposable {
  readonly #child: ChildProcess = fork(program, { execArgv: [] })

  async run(job: GetJob): Promise<GetResult> {
    this.#child.send(job)
    const [answer] = (await once(this.#child, 'message')) as [
      { result: GetResult } | { error: string },
    ]
    if ('error' in answer) throw new Error(`The generator failed: ${answer.error}`)
    return answer.result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill()
    await ended
  }
}
