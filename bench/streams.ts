/**
 * Idle event streams: what they cost in memory and processor time, and how soon a connected device hears of an approval
 * while approvals are made at a fixed rate; on SQLite, and from one process to another on PostgreSQL.
 *
 *     node bench/streams.ts [--json] [--streams 10000] [--rate 50] [--seconds 10] [--across 500]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { calibrate } from './support/calibration.ts'
import { PostgresServer, TemporaryFolder } from './support/databases.ts'
import { type FleetDevice, makeFleet, streamRequest } from './support/device-fleet.ts'
import { makeInstallation, tenantId, withCore } from './support/installation.ts'
import { type Figure, note, print, readOptions } from './support/report.ts'
import { median } from './support/rounds.ts'
import { Server } from './support/server.ts'

const options = readOptions({ streams: 10_000, rate: 50, seconds: 10, across: 500 })
const { streams: streamCount = 10_000, rate = 50, seconds = 10, across = 500 } = options.numbers
const warmUpCount = 200
const openingAtOnce = 50
const idleMs = 10_000
const arrivalMsMax = 5_000

/** The process that holds the devices' ends. */
class Devices implements Disposable {
  readonly arrivals = new Map<string, number>()
  openCount = 0
  endedCount = 0
  readonly #child: ChildProcess

  constructor() {
    const program = fileURLToPath(new URL('./support/stream-client.ts', import.meta.url))
    this.#child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
    if (this.#child.stdout === null) throw new Error('The devices do not answer.')
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const [what, id = '', atMs = ''] = line.split(' ')
      if (what === 'open') this.openCount += 1
      else if (what === 'end') this.endedCount += 1
      else if (what === 'event') this.arrivals.set(id, Number(atMs))
      else throw new Error(`A stream was refused: ${line}`)
    })
  }

  async open(server: Server, fleet: readonly FleetDevice[]): Promise<void> {
    const origin = `http://127.0.0.1:${server.port}`
    const before = this.openCount
    for (const [index, device] of fleet.entries()) {
      const request = Buffer.from(streamRequest(device, origin)).toString('base64')
      this.#child.stdin?.write(`${server.port} ${request}\n`)
      while (index - (this.openCount - before) >= openingAtOnce) await sleep(1)
    }
    while (this.openCount - before < fleet.length) await sleep(10)
  }

  [Symbol.dispose](): void {
    this.#child.kill()
  }
}

/** Asks users at a fixed rate; milliseconds from each request's due time to the event's arrival. */
async function ask(
  { port }: Server,
  devices: Devices,
  { apiKey, fleet }: Installed,
): Promise<{ sorted: number[]; lost: number }> {
  const due = new Map<string, number>()
  const running: Promise<void>[] = []
  const startMs = performance.timeOrigin + performance.now()
  for (let index = 0; index < rate * seconds; index++) {
    const dueMs = startMs + (index * 1000) / rate
    await sleep(Math.max(0, dueMs - performance.timeOrigin - performance.now()))
    const user = fleet[(index * 7919) % fleet.length]?.userId
    running.push(
      (async () => {
        const response = await fetch(
          `http://127.0.0.1:${port}/api/v1/tenants/${tenantId}/approvals`,
          {
            method: 'POST',
            headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
            body: JSON.stringify({ user: { id: user }, text: '500,00 EUR to Max Muster' }),
          },
        )
        const { id } = (await response.json()) as { id: string }
        if (response.status !== 201)
          throw new Error(`An approval was answered with ${response.status}.`)
        due.set(id, dueMs)
      })(),
    )
  }
  await Promise.all(running)
  const endsAt = performance.now() + arrivalMsMax
  while (performance.now() < endsAt && [...due.keys()].some((id) => !devices.arrivals.has(id))) {
    await sleep(50)
  }
  const latencies: number[] = []
  for (const [id, dueMs] of due) {
    const arrivedMs = devices.arrivals.get(id)
    if (arrivedMs !== undefined) latencies.push(arrivedMs - dueMs)
  }
  return { sorted: latencies.sort((one, other) => one - other), lost: due.size - latencies.length }
}

interface Installed {
  readonly databaseUrl: string
  readonly apiKey: string
  readonly fleet: readonly FleetDevice[]
}

async function install(databaseUrl: string, count: number): Promise<Installed> {
  const { apiKey } = await makeInstallation(databaseUrl, { tokenCount: 0 })
  return {
    databaseUrl,
    apiKey,
    fleet: await withCore(databaseUrl, (core) => makeFleet(core, count)),
  }
}

async function measureIdle(databaseUrl: string): Promise<Figure[]> {
  const installed = await install(databaseUrl, streamCount + warmUpCount)
  await using server = await Server.start(installed)
  using devices = new Devices()
  // What the first streams make the server load and compile is not what the others cost.
  await devices.open(server, installed.fleet.slice(streamCount))
  await sleep(1_000)
  const before = await server.residentMib()
  await devices.open(server, installed.fleet.slice(0, streamCount))
  const usedBefore = server.cpuSeconds() ?? 0
  await sleep(idleMs)
  const used = ((server.cpuSeconds() ?? 0) - usedBefore) / (idleMs / 1000)
  const kib = (((await server.residentMib()) - before) * 1024) / streamCount
  note(`${devices.openCount} streams, ${devices.endedCount} ended; asking ${rate} users a second`)
  const { sorted, lost } = await ask(server, devices, installed)
  return [
    {
      id: 'streams.memory',
      name: `Resident memory of each of ${streamCount} idle event streams, SQLite, in KiB`,
      reached: kib,
      unit: '',
      atMost: 20,
      remark: `idle they take ${(used * 100).toFixed(1)} % of a processor; ${devices.endedCount} ended`,
    },
    {
      id: 'streams.wake-up',
      name: `From the request to the event at one of ${streamCount} devices, ${rate}/s, median, SQLite`,
      reached: median(sorted),
      unit: 'ms',
      atMost: 50,
      remark: remarkOf(sorted, lost),
    },
  ]
}

async function measureAcross(databaseUrl: string): Promise<Figure> {
  const installed = await install(databaseUrl, across)
  await using asked = await Server.start(installed)
  await using holder = await Server.start(installed)
  using devices = new Devices()
  await devices.open(holder, installed.fleet)
  const { sorted, lost } = await ask(asked, devices, installed)
  return {
    id: 'streams.across',
    name: `The same to a device at another process, PostgreSQL, ${across} streams`,
    reached: median(sorted),
    unit: 'ms',
    atMost: 50,
    remark: remarkOf(sorted, lost),
  }
}

function remarkOf(sorted: readonly number[], lost: number): string {
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN
  return `99 % within ${p99.toFixed(0)} ms; ${lost} of ${sorted.length + lost} did not arrive`
}

const calibrationBefore = calibrate()
using folder = new TemporaryFolder()
const figures = await measureIdle(folder.sqliteUrl('streams.db'))
await using postgres = await PostgresServer.start()
figures.push(await measureAcross(await postgres.createDatabase('streams')))
const calibration = [calibrationBefore, calibrate()].sort((one, other) => one - other)
print(
  figures.map((figure) => ({ ...figure, calibration: calibration as [number, number] })),
  options,
)
