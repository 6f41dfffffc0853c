import type { Paper } from './sheet.ts'

/** Points: 72 to the inch. */
const pointsPerMm = 72 / 25.4

/** A sheet of paper, in points from its upper left corner. */
export interface PageFormat {
  readonly width: number
  readonly height: number
  readonly marginLeft: number
  readonly marginRight: number
  readonly marginTop: number
  readonly marginBottom: number
  /** Where it is folded to fit its envelope. */
  readonly foldsAt: readonly number[]
  /** Where the envelope's window shows what is printed. */
  readonly address: {
    readonly left: number
    readonly top: number
    readonly width: number
    readonly height: number
  }
}

/**
 * A4: DIN 5008 form B, folded twice for a DL or C5/6 envelope, window on the left. Letter: folded in three for a number 10
 * envelope.
 */
export const pageFormats: Readonly<Record<Paper, PageFormat>> = {
  A4: {
    width: 210 * pointsPerMm,
    height: 297 * pointsPerMm,
    marginLeft: 20 * pointsPerMm,
    marginRight: 15 * pointsPerMm,
    marginTop: 15 * pointsPerMm,
    marginBottom: 18 * pointsPerMm,
    foldsAt: [105 * pointsPerMm, 210 * pointsPerMm],
    address: {
      left: 25 * pointsPerMm,
      top: 62.7 * pointsPerMm,
      width: 75 * pointsPerMm,
      height: 27.3 * pointsPerMm,
    },
  },
  LETTER: {
    width: 612,
    height: 792,
    marginLeft: 54,
    marginRight: 45,
    marginTop: 43,
    marginBottom: 51,
    foldsAt: [264, 528],
    address: { left: 65, top: 150, width: 240, height: 78 },
  },
}
