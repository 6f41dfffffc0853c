/**
 * What PIN checks do to everything else: event-loop delay and other requests' tail while 100 PIN checks are always under
 * way, and the refusals when more come than may wait.
 *
 *     node bench/pin.ts [--json] [--rounds 5] [--seconds 3] [--rate 300] [--pins 100] [--flood 400]
 */
import { TemporaryFolder } from './support/databases.ts'
import { type Installation, makeInstallation, tenantId } from './support/installation.ts'
import { LoadGenerator } from './support/load.ts'
import type { LoadJob, LoadResult } from './support/load-job.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'
import { Server } from './support/server.ts'

const plainCount = 5_000
const pinnedCount = 2_000
const pin = '4711'
/** `monitorEventLoopDelay` measures from one of its timers to the next, which lie 10 ms apart. */
const samplingMs = 10

const options = readOptions({ rounds: 5, seconds: 3, rate: 300, pins: 100, flood: 400 })
const { rounds: roundCount = 5, seconds = 3, rate = 300 } = options.numbers
const { pins: pinsAtOnce = 100, flood: floodSize = 400 } = options.numbers

interface PinSample {
  readonly others: LoadResult
  readonly pins: LoadResult | undefined
  /** Of the event loop's delay, p99. */
  readonly delayMs: number
}

class Bench {
  readonly #server: Server
  readonly #installation: Installation
  readonly #others: LoadGenerator
  readonly #pins: LoadGenerator
  #othersSent = 0
  #pinsSent = 0

  constructor(
    server: Server,
    installation: Installation,
    generators: readonly [LoadGenerator, LoadGenerator],
  ) {
    this.#server = server
    this.#installation = installation
    this.#others = generators[0]
    this.#pins = generators[1]
  }

  /** @param withPins whether PIN checks run beside. */
  async measure(withPins: boolean): Promise<PinSample> {
    await this.#delayMs()
    const pins = withPins ? this.pins({ connections: pinsAtOnce, seconds: seconds + 1 }) : undefined
    const others = await this.#others.run({
      ...this.#common(),
      connections: 16,
      seconds,
      rate,
      firstPosition: this.#othersSent,
      positionCount: Math.ceil(rate * seconds) + 100,
      tokenCount: plainCount,
    })
    this.#othersSent += others.sent
    const delayMs = await this.#delayMs()
    const result = { others, pins: await pins, delayMs }
    if (others.accepted !== others.sent) {
      throw new Error(`Not all codes were accepted: ${JSON.stringify(others)}`)
    }
    return result
  }

  /** Codes of tokens with a PIN. */
  async pins(job: { connections: number; seconds: number }): Promise<LoadResult> {
    const result = await this.#pins.run({
      ...this.#common(),
      ...job,
      pin,
      firstPosition: this.#pinsSent,
      positionCount: 10_000,
      firstToken: plainCount,
      tokenCount: pinnedCount,
    })
    this.#pinsSent += result.sent
    return result
  }

  /** As many at once as the connections, each once. */
  async flood(size: number): Promise<LoadResult> {
    const result = await this.#pins.run({
      ...this.#common(),
      connections: size,
      seconds: 0,
      pin,
      firstPosition: this.#pinsSent,
      positionCount: size,
      firstToken: plainCount,
      tokenCount: pinnedCount,
    })
    this.#pinsSent += size
    return result
  }

  #common(): Pick<LoadJob, 'port' | 'tenantId' | 'apiKey' | 'codes'> {
    return {
      port: this.#server.port,
      tenantId,
      apiKey: this.#installation.apiKey,
      codes: 'fresh',
    }
  }

  /** Since it was asked for the last time. */
  async #delayMs(): Promise<number> {
    const lag = (await this.#server.metrics()).get('nodejs_eventloop_lag_p99_seconds')
    if (lag === undefined) throw new Error('The server does not tell its event-loop delay.')
    return Math.max(0, lag * 1000 - samplingMs)
  }
}

async function measure(bench: Bench): Promise<Figure[]> {
  note('warming up')
  await bench.measure(true)
  const rounds = await interleave(roundCount, {
    quiet: () => bench.measure(false),
    pins: () => bench.measure(true),
  })
  note(`${floodSize} PIN checks at once`)
  const flood = await bench.flood(floodSize)
  const refused = flood.failed['429'] ?? 0
  const calibration = calibrationRange(rounds)
  const delays = rounds.map(({ samples }) => samples.pins.delayMs)
  const tails = rounds.map(({ samples }) => samples.pins.others.p99Ms)
  const of = (read: (sample: PinSample) => number, side: 'quiet' | 'pins') =>
    median(rounds.map(({ samples }) => read(samples[side]))).toFixed(1)
  return [
    {
      id: 'pin.delay',
      name: `Event-loop delay p99 while ${pinsAtOnce} PIN checks are queued`,
      reached: median(delays),
      rounds: delays,
      unit: 'ms',
      atMost: 20,
      calibration,
      remark: `without PIN checks ${of(({ delayMs }) => delayMs, 'quiet')} ms; ${of(({ pins }) => pins?.rate ?? 0, 'pins')} PIN checks a second`,
    },
    {
      id: 'pin.others',
      name: `p99 of other verifications meanwhile, ${rate}/s`,
      reached: median(tails),
      rounds: tails,
      unit: 'ms',
      calibration,
      remark: `without PIN checks ${of(({ others }) => others.p99Ms, 'quiet')} ms`,
    },
    {
      id: 'pin.refused',
      name: `429 for ${floodSize} PIN checks at once`,
      reached: refused,
      unit: '',
      atLeast: 1,
      remark: `${flood.accepted} accepted, other answers: ${flood.sent - flood.accepted - refused}`,
    },
  ]
}

{
  using folder = new TemporaryFolder()
  note('making tokens')
  const installation = await makeInstallation(folder.sqliteUrl('pin.db'), {
    tokenCount: plainCount + pinnedCount,
    pinned: { tokenCount: pinnedCount, pin },
  })
  await using server = await Server.start(installation)
  await using others = new LoadGenerator()
  await using pins = new LoadGenerator()
  print(await measure(new Bench(server, installation, [others, pins])), options)
}
