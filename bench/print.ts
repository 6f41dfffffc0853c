/**
 * A PDF document of many sheets, read as fast as it comes and read slowly: time, and resident memory meanwhile.
 *
 *     node --expose-gc bench/print.ts [--json] [--sheets 1000] [--codes 50]
 */
import { setTimeout } from 'node:timers/promises'
import { pdfOfSheets } from '../packages/server/src/printing/pdf-document.ts'
import {
  englishLabels,
  type Sheet,
  type SheetDesign,
} from '../packages/server/src/printing/sheet.ts'
import { calibrate } from './support/calibration.ts'
import { type Figure, note, print, readOptions } from './support/report.ts'

const options = readOptions({ sheets: 1_000, codes: 50 })
const { sheets: sheetCount = 1_000, codes: codeCount = 50 } = options.numbers
const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

const design: SheetDesign = {
  paper: 'A4',
  title: 'Sparkasse Musterstadt · Банк · 銀行',
  notice: 'Enter the code beside the number that you are asked for. Keep this sheet from others.',
  labels: englishLabels,
  atMs: Date.UTC(2026, 10, 21),
}

function* makeSheets(count: number): Generator<Sheet> {
  for (let number = 0; number < count; number++) {
    const tail = [...String(number).padStart(8, '0')].map((digit) => crockford[Number(digit)])
    yield {
      listId: `01M7YRRT803GSW05TH${tail.join('')}`,
      method: 'otp.1',
      expiresAtMs: design.atMs,
      codes: Array.from({ length: codeCount }, (_, position) => ({
        index: String(position + 1),
        otp: String((number * 7_919 + position * 104_729) % 1_000_000).padStart(6, '0'),
      })),
    }
  }
}

interface Printing {
  readonly seconds: number
  readonly bytes: number
  readonly longestPauseMs: number
  /** Resident memory while the second tenth was printed, and while the last one was. */
  readonly earlyMib: number
  readonly lateMib: number
}

async function printAll(count: number, isSlow: boolean): Promise<Printing> {
  let bytes = 0
  let taken = 0
  let longestPauseMs = 0
  const residentMib: number[] = []
  const counted = (function* () {
    for (const sheet of makeSheets(count)) {
      taken += 1
      if (taken % 10 === 0) residentMib.push(process.memoryUsage.rss() / 1_048_576)
      yield sheet
    }
  })()
  let turnAt = performance.now()
  const watch = setInterval(() => {
    longestPauseMs = Math.max(longestPauseMs, performance.now() - turnAt - 1)
    turnAt = performance.now()
  }, 1)
  const startedAt = performance.now()
  for await (const piece of pdfOfSheets(counted, count, design)) {
    bytes += piece.length
    if (isSlow) await setTimeout(5)
  }
  clearInterval(watch)
  const tenth = Math.max(1, Math.floor(residentMib.length / 10))
  const most = (part: readonly number[]) => Math.max(...part)
  return {
    seconds: (performance.now() - startedAt) / 1_000,
    bytes,
    longestPauseMs,
    earlyMib: most(residentMib.slice(tenth, 2 * tenth)),
    lateMib: most(residentMib.slice(-tenth)),
  }
}

const calibration = calibrate()
await printAll(20, false)
const figures: Figure[] = []
for (const isSlow of [false, true]) {
  const run = await printAll(sheetCount, isSlow)
  const reader = isSlow ? 'a slow reader' : 'a fast reader'
  note(`  ${reader}: ${run.seconds.toFixed(1)} s, ${Math.round(run.bytes / 1_024)} KiB`)
  figures.push(
    {
      id: `print.${isSlow ? 'slow' : 'fast'}.memory`,
      name: `Memory, last ÷ second tenth of a PDF of ${sheetCount} sheets, ${reader}`,
      reached: run.lateMib / run.earlyMib,
      unit: 'ratio',
      atMost: 1.3,
      calibration: [calibration, calibration],
      remark: `resident: ${Math.round(run.earlyMib)} MiB, then ${Math.round(run.lateMib)} MiB`,
    },
    {
      id: `print.${isSlow ? 'slow' : 'fast'}.seconds`,
      name: `PDF of ${sheetCount} sheets of ${codeCount} codes, ${reader}`,
      reached: run.seconds,
      unit: 's',
      remark: `${Math.round(sheetCount / run.seconds)} sheets a second, longest pause ${Math.round(run.longestPauseMs)} ms`,
    },
  )
}
print(figures, options)
