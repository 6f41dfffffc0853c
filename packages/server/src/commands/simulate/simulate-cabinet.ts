import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { CommandError, exitCodes } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { CabinetLife } from './cabinet-life.ts'
import { CabinetLink } from './cabinet-link.ts'
import { FleetStatistics } from './fleet-statistics.ts'
import { ListPool, SimulatedCabinet } from './simulated-cabinet.ts'

export interface SimulateCabinetOptions {
  readonly url: string
  readonly serial: string
  readonly count: string
  readonly interval?: string
  readonly seconds?: string
  readonly checkoutEvery?: string
  readonly users?: string
  readonly sockets: string
  readonly timeout: string
  readonly loss: string
  readonly eager?: boolean
  readonly readable?: boolean
  readonly register?: string
  readonly tokenFile?: string
}

const cabinetsMax = 10_000
const reportEveryMs = 10_000
const registeredAtOnce = 32

/** Behaves like key cabinets towards a running server, one or many, until it is interrupted. */
export async function simulateCabinet(
  terminal: Terminal,
  options: SimulateCabinetOptions,
): Promise<void> {
  const count = number('--count', options.count, 1, cabinetsMax)
  const socketsMax = number('--sockets', options.sockets, 1, 10_000)
  const lossPercent = number('--loss', options.loss, 0, 100)
  const timeoutSeconds = number('--timeout', options.timeout, 1, 600)
  if (!/^https?:$/.test(URL.canParse(options.url) ? new URL(options.url).protocol : '')) {
    throw usage('--url must be the http or https address of a server')
  }
  const statistics = new FleetStatistics()
  const network = {
    origin: options.url,
    socketsMax,
    timeoutMs: timeoutSeconds * 1000,
    random: Math.random,
  }
  const link = new CabinetLink({ ...network, loss: lossPercent / 100 })
  // Only what cabinets send is lost.
  const office = new CabinetLink({ ...network, loss: 0 })
  const serials = serialsFrom(options.serial, count)
  const pool = new ListPool()
  const isAlone = count === 1
  const lives = serials.map(
    (serial) =>
      new CabinetLife(new SimulatedCabinet(serial, pool), {
        link,
        statistics,
        random: Math.random,
        intervalSeconds: optional('--interval', options.interval, 1, 86_400),
        isEager: options.eager === true || isAlone,
        visitors: visitorsOf(options.users),
        checkoutSeconds: optional('--checkout-every', options.checkoutEvery, 1, 86_400),
        isReadable: options.readable === true,
        say: isAlone ? (text) => terminal.note(`${new Date().toISOString()} ${text}`) : () => {},
      }),
  )
  const startedAt = performance.now()
  try {
    if (options.register !== undefined) await register(office, options, serials, terminal)
    const seconds = optional('--seconds', options.seconds, 1, 31_536_000)
    await runAll(lives, terminal, statistics, seconds)
  } finally {
    link.close()
    office.close()
  }
  const document = statistics.document((performance.now() - startedAt) / 1000)
  terminal.result(document, [statistics.line()])
  if (statistics.countOf('polls') === 0) {
    throw new CommandError(exitCodes.unavailable, 'No poll was answered.')
  }
}

async function runAll(
  lives: readonly CabinetLife[],
  terminal: Terminal,
  statistics: FleetStatistics,
  seconds: number | undefined,
): Promise<void> {
  const ending = new AbortController()
  const stop = AbortSignal.any([terminal.signal, ending.signal])
  const timer = seconds === undefined ? undefined : setTimeout(() => ending.abort(), seconds * 1000)
  const reporting = lives.length === 1 ? undefined : reportTo(terminal, statistics, stop)
  await Promise.all(lives.map((life) => life.run(stop)))
  clearTimeout(timer)
  ending.abort()
  await reporting
}

async function reportTo(
  terminal: Terminal,
  statistics: FleetStatistics,
  signal: AbortSignal,
): Promise<void> {
  const report = () => terminal.note(statistics.line())
  while (!signal.aborted) {
    await sleep(reportEveryMs, undefined, { signal }).then(report, () => {})
  }
}

/** Registers cabinets under their serials. Those that are registered stay as they are. */
async function register(
  link: CabinetLink,
  { register: customer = '', tokenFile }: SimulateCabinetOptions,
  serials: readonly string[],
  terminal: Terminal,
): Promise<void> {
  if (tokenFile === undefined) throw usage('--register needs --token-file')
  const authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`
  const waiting = [...serials]
  let newCount = 0
  async function worker(): Promise<void> {
    for (let serial = waiting.shift(); serial !== undefined; serial = waiting.shift()) {
      const bytes = Buffer.from(JSON.stringify({ id: serial, serial, customer }))
      const { status, body } = await link.call({
        method: 'POST',
        target: '/okm/api/v1/okms',
        headers: { authorization },
        body: { bytes, contentType: 'application/json' },
      })
      const { error_code: code } = (body ?? {}) as { error_code?: string }
      if (status === 201) newCount++
      else if (code !== 'ALREADY_EXISTS') {
        throw new CommandError(exitCodes.failure, `Registering answered ${status} ${code ?? ''}`)
      }
    }
  }
  await Promise.all(Array.from({ length: registeredAtOnce }, worker))
  terminal.note(`${newCount} of ${serials.length} cabinets were registered now`)
}

/** Counts a serial of hexadecimal digits up. */
function serialsFrom(first: string, count: number): string[] {
  if (count === 1) return [first]
  if (!/^[0-9a-f]{1,16}$/i.test(first)) {
    throw usage('--serial must be hexadecimal digits, so that it can be counted up')
  }
  const start = BigInt(`0x${first}`)
  return Array.from({ length: count }, (_, index) =>
    (start + BigInt(index)).toString(16).padStart(first.length, '0'),
  )
}

/** User numbers with commas between them. */
function visitorsOf(text: string | undefined): number[] {
  const parts = text === undefined ? [] : text.split(',')
  return parts.map((part) => number('--users', part.trim(), 0, 999_999_999))
}

function optional(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  return text === undefined ? undefined : number(name, text, min, max)
}

function number(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw usage(`${name} must be a whole number from ${min} to ${max}`)
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, message)
}
