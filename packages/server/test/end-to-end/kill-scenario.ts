import { setTimeout as sleep } from 'node:timers/promises'
import { ChainVerifier, parseExportLine } from '@countersign/protocol/journal/chain-verifier.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { type Call, HttpClient, type Reply } from './client.ts'
import {
  createInstallation,
  type Installation,
  type InstallationOptions,
  type SeededToken,
  tenantPath,
  verifyPath,
} from './installation.ts'

const tokenCount = 8
const userCreators = 4
/** Longest time under load before a kill; each takes a random part of it. */
const loadMsMax = 1_500
const sealDeadlineMs = 30_000
/** Failures of replayed codes must not add up to a lock before the next right code. */
const replaysPerToken = 3

/** What clients were told, and may rely on from then on. */
interface Acknowledged {
  readonly userIds: string[]
  readonly auditIds: string[]
  /** Codes that were ACCEPTED, by serial, in order. */
  readonly accepted: Map<string, string[]>
}

/** What a run has proven, for who prints it. */
export interface KillReport {
  readonly kills: number
  readonly users: number
  readonly accepted: number
  readonly records: number
  /** Requests that a kill left without an answer. */
  readonly unanswered: number
  /** Everything that should not be, a sentence each. */
  readonly faults: readonly string[]
}

interface Worker {
  readonly token: SeededToken
  counter: number
}

/** Load on an installation whose servers are killed at random instants; afterwards everything acknowledged is looked for. */
class KillScenario {
  readonly #installation: Installation
  readonly #nodes: ServerProcess[]
  readonly #clients: HttpClient[]
  readonly #known: Acknowledged = { userIds: [], auditIds: [], accepted: new Map() }
  readonly #workers: Worker[]
  readonly #faults: string[] = []
  #unanswered = 0
  #userNumber = 0
  #isLoading = false

  constructor(installation: Installation, nodes: ServerProcess[]) {
    this.#installation = installation
    this.#nodes = nodes
    this.#clients = nodes.map((_, index) => new HttpClient(() => this.#nodes[index]?.url ?? ''))
    this.#workers = installation.seeds.hotp.map((token) => ({ token, counter: 0 }))
  }

  async run(kills: number): Promise<KillReport> {
    for (let kill = 1; kill <= kills; kill++) {
      const victim = kill % this.#nodes.length
      await this.#loadUntilKill(victim)
      this.#nodes[victim] = await this.#installation.start()
      await this.#expectNoReplay()
    }
    await this.#expectUsers()
    const records = await this.#expectRecords()
    for (const client of this.#clients) client[Symbol.dispose]()
    return {
      kills,
      users: this.#known.userIds.length,
      accepted: [...this.#known.accepted.values()].flat().length,
      records,
      unanswered: this.#unanswered,
      faults: this.#faults,
    }
  }

  async #loadUntilKill(victim: number): Promise<void> {
    this.#isLoading = true
    const load = [
      ...this.#workers.map((worker) => this.#verifyUntilStopped(worker)),
      ...Array.from({ length: userCreators }, () => this.#createUntilStopped()),
    ]
    await sleep(100 + Math.random() * loadMsMax)
    await this.#nodes[victim]?.kill9()
    // Other nodes go on for a moment.
    await sleep(this.#nodes.length > 1 ? 200 : 0)
    this.#isLoading = false
    await Promise.all(load)
  }

  async #verifyUntilStopped(worker: Worker): Promise<void> {
    while (this.#isLoading) {
      const { serial } = worker.token
      const code = worker.token.code(worker.counter)
      // Whatever comes of it: the code may be spent, so the next one is asked for.
      worker.counter += 1
      const reply = await this.#call(this.#verification(serial, code))
      if (reply === undefined) continue
      if (reply.status !== 200) {
        this.#faults.push(`${serial}: verification answered ${reply.status}`)
        continue
      }
      const { result, auditId } = reply.json<{ result: string; auditId: string }>()
      this.#known.auditIds.push(auditId)
      if (result !== 'ACCEPTED') this.#faults.push(`${serial}: a fresh code was ${result}`)
      const codes = this.#known.accepted.get(serial) ?? []
      this.#known.accepted.set(serial, [...codes, code])
    }
  }

  async #createUntilStopped(): Promise<void> {
    while (this.#isLoading) {
      const id = `user-${++this.#userNumber}`
      const reply = await this.#call({
        path: `${tenantPath}/users`,
        secret: this.#installation.seeds.secrets.admin,
        body: { id, loginName: id },
      })
      if (reply?.status === 201) this.#known.userIds.push(id)
      else if (reply !== undefined) this.#faults.push(`${id}: creation answered ${reply.status}`)
    }
  }

  /** Undefined when no answer came, or one that says that nothing is known. */
  async #call(call: Call): Promise<Reply | undefined> {
    const client = this.#clients[Math.floor(Math.random() * this.#clients.length)]
    try {
      const reply = await client?.call(call)
      if (reply?.status !== 503) return reply
    } catch {
      await sleep(20)
    }
    this.#unanswered += 1
    return undefined
  }

  #verification(serial: string, code: string): Call {
    const { verifier } = this.#installation.seeds.secrets
    return { path: verifyPath, secret: verifier, body: { token: { serial }, code } }
  }

  async #ask(call: Call): Promise<Reply> {
    const [client] = this.#clients
    if (client === undefined) throw new Error('There is no node.')
    return client.call(call)
  }

  async #expectNoReplay(): Promise<void> {
    for (const [serial, codes] of this.#known.accepted) {
      for (const code of codes.slice(-replaysPerToken)) {
        const reply = await this.#ask(this.#verification(serial, code))
        const { result, auditId } = reply.json<{ result: string; auditId: string }>()
        this.#known.auditIds.push(auditId)
        if (result !== 'REJECTED') this.#faults.push(`${serial}: a spent code was ${result}`)
      }
    }
  }

  async #expectUsers(): Promise<void> {
    const { admin } = this.#installation.seeds.secrets
    for (const id of this.#known.userIds) {
      const { status } = await this.#ask({ path: `${tenantPath}/users/${id}`, secret: admin })
      if (status !== 200) this.#faults.push(`${id} was acknowledged and is ${status}`)
    }
  }

  /** R14: the chain is checked from its export, by nothing but the records. @returns how many there are. */
  async #expectRecords(): Promise<number> {
    const endsAt = Date.now() + sealDeadlineMs
    for (;;) {
      const { text } = await this.#ask({
        path: `${tenantPath}/audit/export`,
        secret: this.#installation.seeds.secrets.admin,
      })
      const lines = text.split('\n').filter((line) => line !== '')
      const verifier = new ChainVerifier()
      const ids = new Set<unknown>()
      for (const line of lines) {
        const record = parseExportLine(line)
        if (record === undefined) throw new Error(`Not a record: ${line}`)
        verifier.add(record)
        ids.add(record.id)
      }
      const missing = this.#known.auditIds.filter((id) => !ids.has(id))
      if (missing.length > 0 && Date.now() < endsAt) {
        await sleep(250)
        continue
      }
      for (const id of missing) this.#faults.push(`record ${id} was acknowledged and is missing`)
      for (const { seq, code } of verifier.faults) this.#faults.push(`chain: ${code} at ${seq}`)
      return lines.length
    }
  }
}

/** SQLite: one server, started again on its folder. PostgreSQL: two, of which one is killed. */
export async function runKills(options: InstallationOptions, kills: number): Promise<KillReport> {
  const { engine } = options
  await using installation = await createInstallation({ ...options, hotpCount: tokenCount })
  const nodeCount = engine === 'postgres' ? 2 : 1
  const nodes = await Promise.all(Array.from({ length: nodeCount }, () => installation.start()))
  // Awaited here: the installation ends with this function.
  return await new KillScenario(installation, nodes).run(kills)
}
