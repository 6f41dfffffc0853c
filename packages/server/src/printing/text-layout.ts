import bidiFactory, { type Bidi } from 'bidi-js'
import { type PrintFont, textFont, type Weight } from './fonts.ts'

/** Characters of one font and direction, in the order in which a font's shaper wants them. */
export interface TextRun {
  readonly font: PrintFont
  readonly text: string
  /** In points. */
  readonly width: number
}

/** One line; its runs go from left to right. */
export interface TextLine {
  readonly runs: readonly TextRun[]
  readonly width: number
  /** Of the paragraph: such a line begins at the right margin. */
  readonly isRightToLeft: boolean
}

export interface TextStyle {
  readonly weight: Weight
  readonly sizePoints: number
}

// The package is CommonJS, its types describe a module: what is imported is the factory itself.
const bidi = (bidiFactory as unknown as () => Bidi)()
const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })

const ideograph =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uffef]/u
const notAtStart = /^[\p{Pe}\p{Pf}\p{Po}\p{Lm}ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ]/u
const notAtEnd = /[\p{Ps}\p{Pi}]$/u
const rightToLeftLetter =
  /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u

/** One grapheme of a paragraph. */
interface Cluster {
  readonly text: string
  readonly start: number
  readonly font: PrintFont
}

/** The first character that no font of ours has, or undefined when all can be printed. */
export function findUnprintable(text: string): string | undefined {
  for (const { segment } of graphemes.segment(text.normalize('NFC').replaceAll('\n', ''))) {
    if (textFont(segment, 'regular') === undefined || textFont(segment, 'bold') === undefined) {
      return segment
    }
  }
  return undefined
}

/**
 * Breaks text into lines, each with its characters in the order in which they stand on paper (Unicode Standard Annex 9).
 *
 * @param text printable, see {@link findUnprintable}; `\n` ends a paragraph.
 * @param widthMax in points. A word that is longer is broken.
 */
export function layOutText(text: string, style: TextStyle, widthMax: number): readonly TextLine[] {
  return text
    .normalize('NFC')
    .split('\n')
    .flatMap((paragraph) => layOutParagraph(paragraph, style, widthMax))
}

function layOutParagraph(text: string, style: TextStyle, widthMax: number): readonly TextLine[] {
  const clusters = clustersOf(text, style.weight)
  const embedding = bidi.getEmbeddingLevels(text, 'auto')
  const isRightToLeft = (embedding.paragraphs[0]?.level ?? 0) % 2 === 1
  return breakLines(clusters, style, widthMax).map((line) => {
    const runs = visualRuns(line, embedding.levels, style)
    return { runs, width: widthOf(runs), isRightToLeft }
  })
}

function clustersOf(text: string, weight: Weight): readonly Cluster[] {
  const clusters: Cluster[] = []
  for (const { segment, index } of graphemes.segment(text)) {
    const font = textFont(segment, weight)
    if (font === undefined) throw new Error('The text was not checked before it was laid out.')
    clusters.push({ text: segment, start: index, font })
  }
  return clusters
}

/** Greedily: a line takes as many words as fit. */
function breakLines(
  clusters: readonly Cluster[],
  style: TextStyle,
  widthMax: number,
): readonly (readonly Cluster[])[] {
  const lines: (readonly Cluster[])[] = []
  let line: readonly Cluster[] = []
  for (const word of wordsOf(clusters)) {
    const joined = [...line, ...word]
    if (measure(trimEnd(joined), style) <= widthMax) {
      line = joined
      continue
    }
    if (line.length > 0) lines.push(trimEnd(line))
    const pieces = splitWord(word, style, widthMax)
    lines.push(...pieces.slice(0, -1))
    line = pieces.at(-1) ?? []
  }
  lines.push(trimEnd(line))
  return lines
}

function splitWord(
  word: readonly Cluster[],
  style: TextStyle,
  widthMax: number,
): readonly (readonly Cluster[])[] {
  const pieces: Cluster[][] = [[]]
  for (const cluster of word) {
    const piece = pieces.at(-1) ?? []
    const isFull = piece.length > 0 && measure(trimEnd([...piece, cluster]), style) > widthMax
    if (isFull) pieces.push([cluster])
    else piece.push(cluster)
  }
  return pieces
}

/** What stays together on a line, with the spaces behind it. */
function wordsOf(clusters: readonly Cluster[]): readonly (readonly Cluster[])[] {
  const words: Cluster[][] = []
  let before = ''
  for (const cluster of clusters) {
    const word = words.at(-1)
    if (word === undefined || mayBreak(before, cluster.text)) words.push([cluster])
    else word.push(cluster)
    before = cluster.text
  }
  return words
}

function mayBreak(before: string, after: string): boolean {
  if (after === ' ') return false
  if (before === ' ') return true
  if (notAtStart.test(after) || notAtEnd.test(before)) return false
  return ideograph.test(before) || ideograph.test(after)
}

function trimEnd(clusters: readonly Cluster[]): readonly Cluster[] {
  let end = clusters.length
  while (end > 0 && clusters[end - 1]?.text === ' ') end -= 1
  return clusters.slice(0, end)
}

interface LevelRun {
  readonly font: PrintFont
  readonly level: number
  readonly clusters: Cluster[]
}

function levelRuns(
  clusters: readonly Cluster[],
  levelAt: (cluster: Cluster) => number,
): readonly LevelRun[] {
  const runs: LevelRun[] = []
  for (const cluster of clusters) {
    const level = levelAt(cluster)
    const last = runs.at(-1)
    if (last?.font === cluster.font && last.level === level) last.clusters.push(cluster)
    else runs.push({ font: cluster.font, level, clusters: [cluster] })
  }
  return runs
}

function visualRuns(
  clusters: readonly Cluster[],
  levels: Uint8Array,
  style: TextStyle,
): readonly TextRun[] {
  const runs = [...levelRuns(clusters, ({ start }) => levels[start] ?? 0)]
  const highest = Math.max(0, ...runs.map(({ level }) => level))
  // Rule L2: from the highest level down to 1, turn round every stretch that is at least so deep.
  for (let level = highest; level >= 1; level--) {
    let start = 0
    while (start < runs.length) {
      let end = start
      while ((runs[end]?.level ?? 0) >= level) end += 1
      if (end > start) runs.splice(start, end - start, ...runs.slice(start, end).reverse())
      start = end + 1
    }
  }
  return runs.map((run) => {
    const text = run.level % 2 === 1 ? rightToLeftText(run.clusters) : textOf(run.clusters)
    return { font: run.font, text, width: widthOfText(text, run.font, style.sizePoints) }
  })
}

/** The shaper turns round what has letters of such a script; brackets must be mirrored for it, the rest turned too. */
function rightToLeftText(clusters: readonly Cluster[]): string {
  const mirrored = clusters.map(({ text }) => bidi.getMirroredCharacter(text) ?? text)
  const isTurnedByShaper = rightToLeftLetter.test(textOf(clusters))
  return (isTurnedByShaper ? mirrored : mirrored.reverse()).join('')
}

function textOf(clusters: readonly Cluster[]): string {
  return clusters.map(({ text }) => text).join('')
}

function measure(clusters: readonly Cluster[], style: TextStyle): number {
  return levelRuns(clusters, () => 0).reduce(
    (sum, run) => sum + widthOfText(textOf(run.clusters), run.font, style.sizePoints),
    0,
  )
}

function widthOf(runs: readonly TextRun[]): number {
  return runs.reduce((sum, { width }) => sum + width, 0)
}

/** In points. */
export function widthOfText(text: string, { font }: PrintFont, sizePoints: number): number {
  return (font.layout(text).advanceWidth * sizePoints) / font.unitsPerEm
}
