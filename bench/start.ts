/**
 * From the start of the process to readiness with all contracts loaded, and resident memory, fresh and after work.
 *
 *     node bench/start.ts [--json] [--rounds 5] [--verifications 200000] [--tokens 20000]
 */
import { calibrate } from './support/calibration.ts'
import { TemporaryFolder } from './support/databases.ts'
import { type Installation, makeInstallation } from './support/installation.ts'
import { LoadGenerator } from './support/load.ts'
import { type Figure, note, print, readOptions } from './support/report.ts'
import { median } from './support/rounds.ts'
import { Server } from './support/server.ts'
import { Target } from './support/target.ts'

const options = readOptions({ rounds: 5, verifications: 200_000, tokens: 20_000 })
const { rounds: roundCount = 5, verifications: wanted = 200_000 } = options.numbers
const { tokens: tokenCount = 20_000 } = options.numbers

interface Start {
  readonly readyAfterSeconds: number
  readonly residentMib: number
  readonly calibration: number
}

async function startOnce(installation: Pick<Installation, 'databaseUrl'>): Promise<Start> {
  const calibration = calibrate()
  const startedAt = performance.now()
  await using server = await Server.start(installation)
  await server.ready()
  const readyAfterSeconds = (performance.now() - startedAt) / 1000
  return { readyAfterSeconds, residentMib: await server.residentMib(), calibration }
}

async function measureStarts(
  name: string,
  id: string,
  installationOf: (round: number) => Pick<Installation, 'databaseUrl'>,
): Promise<Figure[]> {
  const starts: Start[] = []
  for (let round = 1; round <= roundCount; round++) {
    starts.push(await startOnce(installationOf(round)))
  }
  const seconds = starts.map(({ readyAfterSeconds }) => readyAfterSeconds)
  const calibrations = starts.map(({ calibration }) => calibration)
  const resident = Math.round(median(starts.map(({ residentMib }) => residentMib)))
  return [
    {
      id: `start.${id}`,
      name: `Start to ready, ${name}`,
      reached: median(seconds),
      rounds: seconds,
      unit: 's',
      atMost: 3,
      calibration: [Math.min(...calibrations), Math.max(...calibrations)],
      remark: `resident memory then ${resident} MiB`,
    },
  ]
}

async function measureMemory(installation: Installation): Promise<Figure> {
  await using generator = new LoadGenerator()
  await using target = await Target.start(installation, generator)
  let done = 0
  let resident = 0
  while (done < wanted) {
    const { sent } = await target.fresh({ seconds: 10 })
    done += sent
    resident = await target.server.residentMib()
    note(`  ${done} of ${wanted} verifications: ${Math.round(resident)} MiB`)
  }
  return {
    id: 'start.memory',
    name: `Resident memory after ${Math.floor(done / 1000)},000 verifications`,
    reached: resident,
    unit: 'MiB',
    atMost: 200,
  }
}

{
  using folder = new TemporaryFolder()
  note('making tokens')
  const installation = await makeInstallation(folder.sqliteUrl('start.db'), { tokenCount })
  const figures = [
    ...(await measureStarts('new database', 'new', (round) => ({
      databaseUrl: folder.sqliteUrl(`new-${round}.db`),
    }))),
    ...(await measureStarts(`database with ${tokenCount} tokens`, 'existing', () => installation)),
    await measureMemory(installation),
  ]
  print(figures, options)
}
