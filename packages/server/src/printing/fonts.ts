import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { create, type Font } from 'fontkit'

/** A font of ours. `font` is opened once, to measure and to look characters up; a document opens `bytes` for itself. */
export interface PrintFont {
  readonly name: string
  readonly font: Font
  readonly bytes: Uint8Array
}

export type Weight = 'regular' | 'bold'

const require = createRequire(import.meta.url)

const dejaVu = (file: string) => require.resolve(`dejavu-fonts-ttf/ttf/${file}.ttf`)
const hans = () => {
  const folder = dirname(require.resolve('@embedpdf/fonts-sc'))
  return join(folder, '../fonts/NotoSansHans-Regular.otf')
}
const hangul = () =>
  require.resolve('@expo-google-fonts/nanum-gothic/400Regular/NanumGothic_400Regular.ttf')

const paths = {
  sans: () => dejaVu('DejaVuSans'),
  'sans-bold': () => dejaVu('DejaVuSans-Bold'),
  mono: () => dejaVu('DejaVuSansMono'),
  'mono-bold': () => dejaVu('DejaVuSansMono-Bold'),
  hans,
  hangul,
} as const
type FontName = keyof typeof paths

/** In this order the first font is taken that has all characters of what a reader takes for one. */
const textFonts: Readonly<Record<Weight, readonly FontName[]>> = {
  regular: ['sans', 'hans', 'hangul'],
  bold: ['sans-bold', 'hans', 'hangul'],
}

const opened = new Map<FontName, PrintFont>()

/** Digits and letters of one width; tells O from 0, and I from l and 1. */
export function codeFont(weight: Weight): PrintFont {
  return openFont(weight === 'bold' ? 'mono-bold' : 'mono')
}

/**
 * The font for one grapheme.
 *
 * @returns undefined when none of ours has it.
 */
export function textFont(grapheme: string, weight: Weight): PrintFont | undefined {
  const codePoints = [...grapheme].map((character) => character.codePointAt(0) ?? 0)
  for (const name of textFonts[weight]) {
    const candidate = openFont(name)
    if (codePoints.every((codePoint) => hasGlyph(candidate.font, codePoint))) return candidate
  }
  return undefined
}

/** Joiners have no shape of their own: fonts use them up or leave them out. */
function hasGlyph(font: Font, codePoint: number): boolean {
  return codePoint === 0x200c || codePoint === 0x200d || font.hasGlyphForCodePoint(codePoint)
}

function openFont(name: FontName): PrintFont {
  const known = opened.get(name)
  if (known !== undefined) return known
  const bytes = readFileSync(paths[name]())
  const font = create(bytes)
  if ('fonts' in font) throw new Error(`The font ${name} is a collection.`)
  const fresh = { name, font, bytes }
  opened.set(name, fresh)
  return fresh
}
