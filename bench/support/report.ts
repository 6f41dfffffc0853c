import { parseArgs } from 'node:util'

/** What one program found out. */
export interface Figure {
  /** `verify.sqlite`, unique over all programs. */
  readonly id: string
  readonly name: string
  readonly reached: number
  readonly unit: 'ratio' | 'ms' | 's' | 'MiB' | '/s' | ''
  readonly atLeast?: number
  readonly atMost?: number
  readonly aim?: number
  /** The same figure of every round. */
  readonly rounds?: readonly number[]
  /** HMAC-SHA1 per second over all rounds: lowest and highest. */
  readonly calibration?: readonly [number, number]
  readonly remark?: string
}

export interface Options {
  readonly isJson: boolean
  readonly numbers: Readonly<Record<string, number>>
  readonly texts: Readonly<Record<string, string | undefined>>
}

/** Reads `--json` and the program's own options: those with a number as default take numbers. */
export function readOptions(
  defaults: Readonly<Record<string, number>>,
  textNames: readonly string[] = [],
): Options {
  const names = [...Object.keys(defaults), ...textNames]
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' } as const])),
    },
  })
  const given = values as Readonly<Record<string, string | boolean | undefined>>
  const numbers: Record<string, number> = {}
  for (const [name, value] of Object.entries(defaults)) {
    const number = Number(given[name] ?? value)
    if (!Number.isFinite(number)) throw new Error(`--${name} must be a number.`)
    numbers[name] = number
  }
  const texts = Object.fromEntries(textNames.map((name) => [name, given[name]?.toString()]))
  return { isJson: given.json === true, numbers, texts }
}

/** What happens meanwhile; apart from the result, so that `--json` can be read by programs. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Prints what a program found out, for people or with `--json` for programs. */
export function print(figures: readonly Figure[], { isJson }: Options): void {
  if (isJson) {
    process.stdout.write(`${JSON.stringify(figures)}\n`)
    return
  }
  for (const figure of figures) {
    const verdict = passes(figure) === undefined ? '' : passes(figure) ? ' ok' : ' BELOW ITS GATE'
    process.stdout.write(
      `${figure.name}: ${quantity(figure.reached, figure.unit)}${gateText(figure, ' (gate ', ')')}${verdict}\n`,
    )
    if (figure.rounds !== undefined) {
      const each = figure.rounds.map((value) => quantity(value, figure.unit)).join(', ')
      process.stdout.write(`    rounds: ${each}\n`)
    }
    if (figure.calibration !== undefined) {
      const [lowest, highest] = figure.calibration
      process.stdout.write(
        `    calibration: ${Math.round(lowest)} to ${Math.round(highest)} HMAC-SHA1/s\n`,
      )
    }
    if (figure.remark !== undefined) process.stdout.write(`    ${figure.remark}\n`)
  }
}

/** Undefined for a figure without gate. */
export function passes({ reached, atLeast, atMost }: Figure): boolean | undefined {
  if (atLeast === undefined && atMost === undefined) return undefined
  return reached >= (atLeast ?? Number.NEGATIVE_INFINITY) && reached <= (atMost ?? Infinity)
}

export function gateText({ atLeast, atMost, unit }: Figure, before = '', after = ''): string {
  if (atLeast !== undefined) return `${before}at least ${quantity(atLeast, unit)}${after}`
  if (atMost !== undefined) return `${before}at most ${quantity(atMost, unit)}${after}`
  return ''
}

export function quantity(value: number, unit: Figure['unit']): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
  const text = Number.isInteger(value) ? String(value) : value.toFixed(digits)
  if (unit === 'ratio' || unit === '') return text
  return unit === '/s' ? `${text}/s` : `${text} ${unit}`
}

/** Lowest and highest of all calibrations. */
export function calibrationRange(
  rounds: readonly { readonly calibrations: readonly number[] }[],
): readonly [number, number] {
  const all = rounds.flatMap(({ calibrations }) => calibrations)
  return [Math.min(...all), Math.max(...all)]
}
