import { availableParallelism } from 'node:os'
import { type Figure, gateText, passes, quantity } from './report.ts'

/** The figures as Markdown, with the machine they were reached on. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { name, reached, unit, aim, remark = '' } = figure
    const aimed = aim === undefined ? '' : `, aim ${quantity(aim, unit)}`
    const verdict = passes(figure) === false ? ' (below its gate)' : ''
    return `| ${name} | ${gateText(figure)}${aimed} | ${quantity(reached, unit)}${verdict} | ${remark} |`
  })
  const calibrations = figures.flatMap(({ calibration }) => calibration ?? [])
  const inThousands = (rate: number): string => `${Math.round(rate / 1000)}k`
  return [
    `Node ${process.versions.node}, ${availableParallelism()} processors, calibration from ` +
      `${inThousands(Math.min(...calibrations))} to ${inThousands(Math.max(...calibrations))} HMAC-SHA1/s.`,
    '',
    '| Figure | Gate | Reached | Beside it |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}
