/**
 * What a thousand times as many tokens cost: latency at a fixed rate, the saturated rate, and the tail at half of it.
 *
 *     node bench/scale.ts [--json] [--rounds 5] [--seconds 3] [--small 1000] [--large 1000000] [--rate 3000]
 *                         [--engine sqlite|postgres]
 */
import { PostgresServer, TemporaryFolder } from './support/databases.ts'
import { makeInstallation } from './support/installation.ts'
import { LoadGenerator } from './support/load.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median, type Round } from './support/rounds.ts'
import { type Sample, Target } from './support/target.ts'

type Side = 'small' | 'large'
type Rounds = readonly Round<Side, Sample>[]

/** A fixed rate is for latency without queues: more than this share of what the machine can do now is none. */
const fixedShareMax = 0.6

const options = readOptions(
  { rounds: 5, seconds: 3, small: 1_000, large: 1_000_000, rate: 3_000 },
  ['engine'],
)
const { rounds: roundCount = 5, seconds = 3, rate: wantedRate = 3_000 } = options.numbers
const { small: smallCount = 1_000, large: largeCount = 1_000_000 } = options.numbers

function of(rounds: Rounds, side: Side, member: 'rate' | 'p50Ms' | 'p99Ms'): number {
  return median(rounds.map(({ samples }) => samples[side][member]))
}

function ratios(rounds: Rounds, member: 'rate' | 'p50Ms'): number[] {
  return rounds.map(({ samples }) => samples.large[member] / samples.small[member])
}

function describe(rounds: Rounds, member: 'rate' | 'p50Ms' | 'p99Ms', unit: string): string {
  const [small, large] = (['small', 'large'] as const).map((side) => of(rounds, side, member))
  const digits = member === 'rate' ? 0 : 2
  return (
    `${smallCount} tokens: ${small?.toFixed(digits)}${unit}, ` +
    `${largeCount} tokens: ${large?.toFixed(digits)}${unit}`
  )
}

async function measure(small: Target, large: Target): Promise<Figure[]> {
  const atOnce = { small: () => small.fresh({ seconds }), large: () => large.fresh({ seconds }) }
  note('saturated')
  const saturated = await interleave(roundCount, atOnce)
  const slowest = of(saturated, 'large', 'rate')
  const rate = Math.min(wantedRate, Math.floor(slowest * fixedShareMax))
  note(`at ${rate}/s`)
  const fixed = await interleave(roundCount, {
    small: () => small.fresh({ seconds, rate }),
    large: () => large.fresh({ seconds, rate }),
  })
  const half = Math.floor(slowest / 2)
  note(`at half load, ${half}/s`)
  const halved = await interleave(roundCount, {
    small: () => small.fresh({ seconds, rate: half }),
    large: () => large.fresh({ seconds, rate: half }),
  })
  const lower = rate < wantedRate ? `; this machine does not hold ${wantedRate}/s now` : ''
  return [
    {
      id: 'scale.p50',
      name: `p50 at ${rate}/s, ${largeCount} ÷ ${smallCount} tokens`,
      reached: median(ratios(fixed, 'p50Ms')),
      rounds: ratios(fixed, 'p50Ms'),
      unit: 'ratio',
      atMost: 1.3,
      calibration: calibrationRange(fixed),
      remark: describe(fixed, 'p50Ms', ' ms') + lower,
    },
    {
      id: 'scale.saturated',
      name: `Saturated rate, ${largeCount} ÷ ${smallCount} tokens`,
      reached: median(ratios(saturated, 'rate')),
      rounds: ratios(saturated, 'rate'),
      unit: 'ratio',
      atLeast: 0.45,
      calibration: calibrationRange(saturated),
      remark: describe(saturated, 'rate', '/s'),
    },
    {
      id: 'scale.p99',
      name: `p99 at half load (${half}/s), ${largeCount} tokens`,
      reached: of(halved, 'large', 'p99Ms'),
      rounds: halved.map(({ samples }) => samples.large.p99Ms),
      unit: 'ms',
      atMost: 15,
      calibration: calibrationRange(halved),
      remark: describe(halved, 'p99Ms', ' ms'),
    },
  ]
}

async function run(urlOf: (name: string) => Promise<string>): Promise<Figure[]> {
  await using generator = new LoadGenerator()
  note(`making ${smallCount} tokens`)
  const few = await makeInstallation(await urlOf('few'), { tokenCount: smallCount })
  note(`making ${largeCount} tokens`)
  const many = await makeInstallation(await urlOf('many'), { tokenCount: largeCount })
  await using small = await Target.start(few, generator)
  await using large = await Target.start(many, generator)
  note('warming up')
  await small.warmUp()
  await large.warmUp()
  return await measure(small, large)
}

if (options.texts.engine === 'postgres') {
  await using postgres = await PostgresServer.start()
  print(await run((name) => postgres.createDatabase(`countersign_bench_${name}`)), options)
} else {
  using folder = new TemporaryFolder()
  print(await run(async (name) => folder.sqliteUrl(`${name}.db`)), options)
}
