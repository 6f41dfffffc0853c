/**
 * Durable HOTP verification through `verifyCode` compared with a bare Fastify POST; wrong with fresh codes; group commit
 * with one commit a request.
 *
 *     node bench/verify.ts [--json] [--rounds 5] [--seconds 3] [--tokens 20000] [--engines sqlite,postgres]
 */
import { fileURLToPath } from 'node:url'
import { diskSyncMs } from './support/calibration.ts'
import { PostgresServer, TemporaryFolder } from './support/databases.ts'
import { makeInstallation } from './support/installation.ts'
import { LoadGenerator } from './support/load.ts'
import {
  calibrationRange,
  type Figure,
  note,
  type Options,
  print,
  readOptions,
} from './support/report.ts'
import { interleave, median, type Round } from './support/rounds.ts'
import { type Sample, Target } from './support/target.ts'

const bareProgram = fileURLToPath(new URL('./support/bare-server.ts', import.meta.url))
const singleProgram = fileURLToPath(new URL('./support/single-commit-server.ts', import.meta.url))

const gates = { sqlite: { atLeast: 0.25, aim: 0.35 }, postgres: { atLeast: 0.18, aim: 0.25 } }
type Engine = keyof typeof gates

async function measureEngine(
  engine: Engine,
  databaseUrl: string,
  folder: TemporaryFolder,
  { numbers }: Options,
  generator: LoadGenerator,
): Promise<Figure[]> {
  const { rounds: roundCount = 5, seconds = 3, tokens: tokenCount = 20_000 } = numbers
  note(`${engine}: making ${tokenCount} tokens`)
  const installation = await makeInstallation(databaseUrl, { tokenCount })
  await using target = await Target.start(installation, generator)
  await using bare = await Target.start(installation, generator, {
    program: bareProgram,
    isBare: true,
  })
  note(`${engine}: warming up`)
  await target.warmUp()
  await bare.warmUp()
  await target.wrong({ seconds: 1 })
  const syncMs: number[] = []
  const rounds = await interleave(roundCount, {
    fresh: () => {
      syncMs.push(diskSyncMs(folder.path))
      return target.fresh({ seconds })
    },
    bare: () => bare.fresh({ seconds }),
    wrong: () => target.wrong({ seconds }),
  })
  const calibration = calibrationRange(rounds)
  const of = (part: Part): number[] => rounds.map(part)
  const ratio = of(({ samples }) => samples.fresh.rate / samples.bare.rate)
  const sealed = of(({ samples }) => sealedRate(samples.fresh) / samples.bare.rate)
  const wrong = of(({ samples }) => samples.wrong.rate / samples.fresh.rate)
  const cpu = of(
    ({ samples }) => (samples.bare.cpuUs ?? Number.NaN) / (samples.fresh.cpuUs ?? Number.NaN),
  )
  const common = { unit: 'ratio', calibration } as const
  return [
    {
      id: `verify.${engine}`,
      name: `Durable verification ÷ bare POST, ${engine}`,
      reached: median(ratio),
      rounds: ratio,
      ...gates[engine],
      ...common,
      remark: `${describe(rounds)}; one sync of the disk ${median(syncMs).toFixed(2)} ms`,
    },
    {
      id: `verify.${engine}.sealed`,
      name: `The same, with the time until the last record is chained, ${engine}`,
      reached: median(sealed),
      rounds: sealed,
      ...common,
      remark: `sealing went on for ${median(of(({ samples }) => samples.fresh.sealingSeconds)).toFixed(1)} s behind ${seconds} s of load`,
    },
    ...(cpu.every(Number.isFinite)
      ? [
          {
            id: `verify.${engine}.cpu`,
            name: `Processor time of a bare POST ÷ that of a verification, sealing included, ${engine}`,
            reached: median(cpu),
            rounds: cpu,
            ...common,
            remark: 'hardly moved by what else runs; without the time of PostgreSQL itself',
          },
        ]
      : []),
    {
      id: `verify.${engine}.wrong`,
      name: `Wrong ÷ fresh codes, ${engine}`,
      reached: median(wrong),
      rounds: wrong,
      atLeast: 0.6,
      ...common,
    },
  ]
}

type Part = (round: Round<'fresh' | 'bare' | 'wrong', Sample>) => number

function sealedRate({ sent, seconds, sealingSeconds }: Sample): number {
  return sent / (seconds + sealingSeconds)
}

function describe(rounds: readonly Round<'fresh' | 'bare' | 'wrong', Sample>[]): string {
  const of = (name: 'fresh' | 'bare' | 'wrong', member: 'rate' | 'p50Ms' | 'p99Ms') =>
    median(rounds.map(({ samples }) => samples[name][member]))
  return (
    `fresh ${Math.round(of('fresh', 'rate'))}/s (p50 ${of('fresh', 'p50Ms').toFixed(1)} ms, ` +
    `p99 ${of('fresh', 'p99Ms').toFixed(1)} ms), bare ${Math.round(of('bare', 'rate'))}/s, ` +
    `wrong ${Math.round(of('wrong', 'rate'))}/s`
  )
}

/** On SQLite: what committing together gains. */
async function measureGroupCommit(
  folder: TemporaryFolder,
  { numbers }: Options,
  generator: LoadGenerator,
): Promise<Figure> {
  const { rounds: roundCount = 5, seconds = 3, tokens: tokenCount = 20_000 } = numbers
  note('group commit: making tokens')
  const [together, alone] = await Promise.all(
    ['together.db', 'alone.db'].map((name) =>
      makeInstallation(folder.sqliteUrl(name), { tokenCount }),
    ),
  )
  if (together === undefined || alone === undefined) throw new Error('There are two databases.')
  await using grouped = await Target.start(together, generator)
  await using single = await Target.start(alone, generator, { program: singleProgram })
  note('group commit: warming up')
  await grouped.warmUp()
  await single.warmUp()
  const rounds = await interleave(roundCount, {
    grouped: () => grouped.fresh({ seconds }),
    single: () => single.fresh({ seconds }),
  })
  const ratios = rounds.map(({ samples }) => samples.grouped.rate / samples.single.rate)
  const rateOf = (name: 'grouped' | 'single') =>
    Math.round(median(rounds.map(({ samples }) => samples[name].rate)))
  return {
    id: 'verify.sqlite.group-commit',
    name: 'Group commit ÷ one commit a request, sqlite',
    reached: median(ratios),
    rounds: ratios,
    unit: 'ratio',
    atLeast: 4,
    calibration: calibrationRange(rounds),
    remark: `together ${rateOf('grouped')}/s, one by one ${rateOf('single')}/s`,
  }
}

const options = readOptions({ rounds: 5, seconds: 3, tokens: 20_000 }, ['engines'])
const engines = (options.texts.engines ?? 'sqlite,postgres').split(',')
const figures: Figure[] = []
{
  using folder = new TemporaryFolder()
  await using generator = new LoadGenerator()
  if (engines.includes('sqlite')) {
    figures.push(
      ...(await measureEngine('sqlite', folder.sqliteUrl('bench.db'), folder, options, generator)),
    )
    figures.push(await measureGroupCommit(folder, options, generator))
  }
  if (engines.includes('postgres')) {
    await using postgres = await PostgresServer.start()
    const url = await postgres.createDatabase('countersign_bench')
    figures.push(...(await measureEngine('postgres', url, folder, options, generator)))
  }
}
print(figures, options)
