import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { LoadJob, LoadResult } from './load-job.ts'

const program = fileURLToPath(new URL('./load-generator.ts', import.meta.url))

/** The load generator, in a process of its own. */
export class LoadGenerator implements AsyncDisposable {
  readonly #child: ChildProcess = fork(program, { execArgv: [] })
  readonly #ended: Promise<never> = once(this.#child, 'exit').then(() => {
    throw new Error('The load generator ended.')
  })

  constructor() {
    // An end that nobody waits for is reported by the next job.
    this.#ended.catch(() => {})
  }

  async run(job: LoadJob): Promise<LoadResult> {
    this.#child.send(job)
    const [answer] = (await Promise.race([once(this.#child, 'message'), this.#ended])) as [
      { result: LoadResult } | { error: string },
    ]
    if ('error' in answer) throw new Error(`The load generator failed: ${answer.error}`)
    return answer.result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill()
    await ended
  }
}
