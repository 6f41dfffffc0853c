/**
 * A PDF document of many sheets from a running server, read as fast as it comes and read slowly: sheets a second, and the
 * server's resident memory meanwhile.
 *
 *     node bench/print.ts [--json] [--rounds 1] [--sheets 1000] [--codes 50]
 */
import { setTimeout } from 'node:timers/promises'
import { calibrate } from './support/calibration.ts'
import { TemporaryFolder } from './support/databases.ts'
import { adminToken, makeInstallation, tenantId } from './support/installation.ts'
import { type Figure, note, print, readOptions } from './support/report.ts'
import { median } from './support/rounds.ts'
import { Server } from './support/server.ts'

const options = readOptions({ rounds: 1, sheets: 1_000, codes: 50 })
const {
  rounds: roundCount = 1,
  sheets: sheetCount = 1_000,
  codes: codeCount = 50,
} = options.numbers
const slowPauseMs = 20
const method = 'bench'

interface Printing {
  /** Until the lists are durable and the document begins. */
  readonly createdAfterSeconds: number
  readonly printedAfterSeconds: number
  readonly bytes: number
  /** The most while the second tenth of the document went out, and while the last one did. */
  readonly earlyMib: number
  readonly lateMib: number
}

async function post(server: Server, path: string, body: object): Promise<Response> {
  const response = await fetch(
    `http://127.0.0.1:${server.port}/api/v1/tenants/${tenantId}/${path}`,
    {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    },
  )
  if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`)
  return response
}

async function printOnce(server: Server, count: number, isSlow: boolean): Promise<Printing> {
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1_000
  const title = 'Sparkasse Musterstadt · Банк · 銀行'
  const response = await post(server, 'otp-lists', { method, count, output: 'PDF', title })
  const createdAfterSeconds = seconds()
  const samples: { readonly bytes: number; readonly mib: number }[] = []
  let bytes = 0
  if (response.body === null) throw new Error('There is no document.')
  for await (const piece of response.body) {
    bytes += piece.length
    if (isSlow) await setTimeout(slowPauseMs)
    if (bytes - (samples.at(-1)?.bytes ?? 0) < 32_768) continue
    samples.push({ bytes, mib: await server.residentMib() })
  }
  const printedAfterSeconds = seconds() - createdAfterSeconds
  const mostBetween = (from: number, to: number) =>
    Math.max(
      ...samples
        .filter((sample) => sample.bytes >= from * bytes && sample.bytes <= to * bytes)
        .map(({ mib }) => mib),
    )
  return {
    createdAfterSeconds,
    printedAfterSeconds,
    bytes,
    earlyMib: mostBetween(0.1, 0.2),
    lateMib: mostBetween(0.9, 1),
  }
}

async function measure(server: Server, isSlow: boolean): Promise<Figure[]> {
  const reader = isSlow ? 'a slow reader' : 'a fast reader'
  const id = isSlow ? 'slow' : 'fast'
  const runs: Printing[] = []
  const calibrations: number[] = []
  for (let round = 1; round <= roundCount; round++) {
    calibrations.push(calibrate())
    const run = await printOnce(server, sheetCount, isSlow)
    note(
      `  ${reader}: ${run.printedAfterSeconds.toFixed(1)} s, ${Math.round(run.bytes / 1_024)} KiB`,
    )
    runs.push(run)
  }
  const calibration = [Math.min(...calibrations), Math.max(...calibrations)] as const
  const growth = runs.map((run) => run.lateMib / run.earlyMib)
  const seconds = runs.map((run) => run.printedAfterSeconds)
  const mib = (name: 'earlyMib' | 'lateMib') => Math.round(median(runs.map((run) => run[name])))
  const created = median(runs.map((run) => run.createdAfterSeconds))
  return [
    {
      id: `print.${id}.memory`,
      name: `Memory, last ÷ second tenth of a PDF of ${sheetCount} sheets, ${reader}`,
      reached: median(growth),
      rounds: growth,
      unit: 'ratio',
      atMost: 1.3,
      calibration,
      remark: `resident: ${mib('earlyMib')} MiB, then ${mib('lateMib')} MiB`,
    },
    {
      id: `print.${id}.seconds`,
      name: `PDF of ${sheetCount} sheets of ${codeCount} codes, ${reader}`,
      reached: median(seconds),
      rounds: seconds,
      unit: 's',
      remark: `${Math.round(sheetCount / median(seconds))} sheets a second; before that ${created.toFixed(1)} s to make the lists`,
    },
  ]
}

{
  using folder = new TemporaryFolder()
  const installation = await makeInstallation(folder.sqliteUrl('print.db'), { tokenCount: 0 })
  await using server = await Server.start(installation)
  await server.ready()
  await post(server, 'otp-list-methods', { name: method, listSize: codeCount })
  await printOnce(server, Math.min(sheetCount, 100), false)
  const figures: Figure[] = []
  for (const isSlow of [false, true]) figures.push(...(await measure(server, isSlow)))
  print(figures, options)
}
