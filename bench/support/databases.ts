import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'

const supervisorProgram = fileURLToPath(
  new URL('../../packages/server/test/support/postgres-supervisor.ts', import.meta.url),
)

/** A folder of this run, removed at its end. */
export class TemporaryFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'countersign-bench-'))

  /** @param name of a file that does not exist yet. */
  sqliteUrl(name: string): string {
    return `sqlite:${join(this.path, name)}`
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** A PostgreSQL server of this run, with durability on; it ends with this process, however that ends. */
export class PostgresServer implements AsyncDisposable {
  readonly #url: string
  readonly #stop: () => Promise<void>

  private constructor(url: string, stop: () => Promise<void>) {
    this.#url = url
    this.#stop = stop
  }

  static async start(): Promise<PostgresServer> {
    const child = spawn(process.execPath, [supervisorProgram], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const line = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
    if (line.done) throw new Error('There is no PostgreSQL; the reason stands above.')
    const { url } = JSON.parse(line.value) as { url: string }
    return new PostgresServer(url, async () => {
      const ended = once(child, 'close')
      child.stdin.end()
      await ended
    })
  }

  /** Makes an empty database. */
  async createDatabase(name: string): Promise<string> {
    const client = new Client({ connectionString: this.#url })
    await client.connect()
    try {
      await client.query(`create database ${name}`)
    } finally {
      await client.end()
    }
    const url = new URL(this.#url)
    url.pathname = `/${name}`
    return url.href
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop()
  }
}
