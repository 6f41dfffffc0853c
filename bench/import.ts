/**
 * Import of a large seed file by `countersign token import`: time and peak memory, and memory against the file's size.
 *
 *     node bench/import.ts [--json] [--rounds 1] [--keys 100000]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { calibrate } from './support/calibration.ts'
import { TemporaryFolder } from './support/databases.ts'
import { makeInstallation, masterKeyText, tenantId } from './support/installation.ts'
import { pskcKeyHex, writePskc } from './support/pskc.ts'
import { type Figure, note, print, readOptions } from './support/report.ts'
import { median } from './support/rounds.ts'
import { environmentWithoutSettings } from './support/server.ts'

const cliProgram = fileURLToPath(new URL('../packages/server/src/cli.ts', import.meta.url))
const preloaded = new URL('./support/peak-memory.ts', import.meta.url).href
/** How much smaller the file is that memory is compared with. */
const smallerBy = 2

const options = readOptions({ rounds: 1, keys: 100_000 })
const { rounds: roundCount = 1, keys: keyCount = 100_000 } = options.numbers

interface Import {
  readonly seconds: number
  readonly peakMib: number
  readonly calibration: number
}

interface SeedFile {
  readonly path: string
  readonly keyCount: number
  readonly isEncrypted: boolean
}

async function importOnce(folder: TemporaryFolder, file: SeedFile): Promise<Import> {
  const databaseUrl = folder.sqliteUrl(`import-${performance.now()}.db`)
  await makeInstallation(databaseUrl, { tokenCount: 0 })
  const keyFile = join(folder.path, 'key')
  writeFileSync(keyFile, pskcKeyHex)
  const peakFile = join(folder.path, 'peak')
  const calibration = calibrate()
  const startedAt = performance.now()
  const child = spawn(
    process.execPath,
    [
      ...['--import', preloaded, cliProgram, 'token', 'import', file.path, '--json'],
      ...['--tenant', tenantId, '--product', 'CS/HOTP', '--format', 'PSKC'],
      ...(file.isEncrypted ? ['--key-file', keyFile] : []),
    ],
    {
      env: {
        ...environmentWithoutSettings(),
        BENCH_PEAK_MEMORY_FILE: peakFile,
        COUNTERSIGN_DATABASE_URL: databaseUrl,
        COUNTERSIGN_MASTER_KEY: masterKeyText,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const [output, faults, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  const seconds = (performance.now() - startedAt) / 1000
  if (code !== 0) throw new Error(`The import ended with ${code}: ${output}${faults}`)
  const { imported } = JSON.parse(output) as { imported: number }
  if (imported !== file.keyCount) throw new Error(`${imported} of ${file.keyCount} were imported.`)
  return { seconds, peakMib: Number(readFileSync(peakFile, 'utf8')) / 1024, calibration }
}

async function measure(folder: TemporaryFolder, isEncrypted: boolean): Promise<Figure[]> {
  const name = isEncrypted ? 'AES-128-CBC with MAC' : 'plain'
  const id = isEncrypted ? 'aes' : 'plain'
  const fileOf = async (count: number): Promise<SeedFile> => {
    const path = join(folder.path, `${id}-${count}.xml`)
    await writePskc(path, { keyCount: count, isEncrypted })
    return { path, keyCount: count, isEncrypted }
  }
  const small = await fileOf(Math.floor(keyCount / smallerBy))
  const large = await fileOf(keyCount)
  const runs: { readonly small: Import; readonly large: Import }[] = []
  for (let round = 1; round <= roundCount; round++) {
    const run = {
      small: await importOnce(folder, small),
      large: await importOnce(folder, large),
    }
    note(
      `  ${name}: ${run.large.seconds.toFixed(1)} s, calibration ${Math.round(run.large.calibration)}`,
    )
    runs.push(run)
  }
  const calibrations = runs.flatMap((run) => [run.small.calibration, run.large.calibration])
  const calibration = [Math.min(...calibrations), Math.max(...calibrations)] as const
  const seconds = runs.map((run) => run.large.seconds)
  const growth = runs.map((run) => run.large.peakMib / run.small.peakMib)
  const peakOf = (size: 'small' | 'large') =>
    Math.round(median(runs.map((run) => run[size].peakMib)))
  return [
    {
      id: `import.${id}.seconds`,
      name: `Import of ${keyCount} PSKC keys, ${name}`,
      reached: median(seconds),
      rounds: seconds,
      unit: 's',
      atMost: 60,
      calibration,
      remark: `${Math.round(keyCount / median(seconds))} keys a second`,
    },
    {
      id: `import.${id}.memory`,
      name: `Peak memory, ${keyCount} ÷ ${small.keyCount} keys, ${name}`,
      reached: median(growth),
      rounds: growth,
      unit: 'ratio',
      atMost: 1.3,
      remark: `${small.keyCount} keys: ${peakOf('small')} MiB, ${keyCount} keys: ${peakOf('large')} MiB`,
    },
  ]
}

{
  using folder = new TemporaryFolder()
  const figures: Figure[] = []
  for (const isEncrypted of [false, true]) figures.push(...(await measure(folder, isEncrypted)))
  print(figures, options)
}
