import { calibrate } from './calibration.ts'
import { note } from './report.ts'

/** Largest ratio between the calibrations of one round. */
const calibrationSpreadMax = 1.3

/** One round: every side measured once, one after another. */
export interface Round<Name extends string, Sample> {
  readonly samples: Readonly<Record<Name, Sample>>
  /** HMAC-SHA1 per second before each side and after the last. */
  readonly calibrations: readonly number[]
}

/**
 * Measures sides in turn, so that what a machine does besides meets all of them alike. A round in which the machine's
 * speed moved by more than 30 % is repeated; when half of all rounds were, the next ones count whatever they were.
 */
export async function interleave<Name extends string, Sample>(
  roundCount: number,
  sides: Readonly<Record<Name, () => Promise<Sample>>>,
): Promise<Round<Name, Sample>[]> {
  const rounds: Round<Name, Sample>[] = []
  let repeatsLeft = roundCount
  while (rounds.length < roundCount) {
    const calibrations = [calibrate()]
    const samples: Partial<Record<Name, Sample>> = {}
    for (const name of Object.keys(sides) as Name[]) {
      samples[name] = await sides[name]()
      calibrations.push(calibrate())
    }
    const speeds = calibrations.map((rate) => `${Math.round(rate / 1000)}k`).join(' ')
    const isSteady = Math.max(...calibrations) / Math.min(...calibrations) <= calibrationSpreadMax
    const verdict = isSteady ? '' : repeatsLeft > 0 ? ', unsteady: repeated' : ', unsteady'
    note(`  round ${rounds.length + 1} of ${roundCount}: calibration ${speeds}${verdict}`)
    if (!isSteady && repeatsLeft > 0) repeatsLeft--
    else rounds.push({ samples: samples as Record<Name, Sample>, calibrations })
  }
  return rounds
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
