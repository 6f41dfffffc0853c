import { getDocumentProxy } from 'unpdf'
import { englishLabels, type PrintedCode, type SheetDesign } from './sheet.ts'

export const listId = '01M7YRRT803GSW05TH0QPMAZMK'
export const atMs = Date.UTC(2026, 10, 21, 10)

export function design(changes: Partial<SheetDesign> = {}): SheetDesign {
  return { paper: 'A4', title: 'Acme', notice: '', labels: englishLabels, atMs, ...changes }
}

export const alphabets = {
  digits: '0123456789',
  upper: '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  lower: '0123456789abcdefghijklmnopqrstuvwxyz',
} as const

/** Codes that look random and are the same in every run. */
export function codes(
  count: number,
  { alphabet = `${alphabets.digits}`, length = 6, block = 0 } = {},
): PrintedCode[] {
  let state = 1
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff
    return alphabet[(state >>> 8) % alphabet.length] ?? ''
  }
  return Array.from({ length: count }, (_, position) => ({
    index:
      block === 0
        ? String(position + 1)
        : String.fromCharCode(65 + Math.floor(position / block)) + ((position % block) + 1),
    otp: Array.from({ length }, next).join(''),
  }))
}

export function sheet(printed: readonly PrintedCode[], changes: object = {}) {
  return { listId, method: 'otp.1', expiresAtMs: atMs + 86_400_000, codes: printed, ...changes }
}

/** A text as it stands on a page. */
export interface Word {
  readonly text: string
  readonly x: number
  readonly width: number
  /** From the bottom. */
  readonly y: number
}

export interface ReadPage {
  readonly width: number
  readonly height: number
  readonly words: readonly Word[]
}

/** What a reader finds on the pages of a PDF document. */
export async function readPdf(bytes: Uint8Array): Promise<ReadPage[]> {
  const document = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 })
  const pages: ReadPage[] = []
  for (let number = 1; number <= document.numPages; number++) {
    const page = await document.getPage(number)
    const { width, height } = page.getViewport({ scale: 1 })
    const { items } = await page.getTextContent({ disableNormalization: true })
    const words = items.flatMap((item) =>
      'str' in item && item.str.trim() !== ''
        ? [{ text: item.str, x: item.transform[4], y: item.transform[5], width: item.width }]
        : [],
    )
    pages.push({ width, height, words })
  }
  return pages
}

/** Pairs of a label and the code to its right, wherever the reader would see one. */
export function pairsOn({ words }: ReadPage): PrintedCode[] {
  const labels = words.filter(({ text }) => /^[A-Z]{0,2}\d{1,4}$/.test(text))
  return labels.flatMap((label) => {
    const beside = words
      .filter(({ x, y }) => Math.abs(y - label.y) < 1 && x > label.x)
      .sort((one, other) => one.x - other.x)[0]
    const isNear = beside !== undefined && beside.x - (label.x + label.width) < 12
    return isNear ? [{ index: label.text, otp: beside.text }] : []
  })
}

export async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
