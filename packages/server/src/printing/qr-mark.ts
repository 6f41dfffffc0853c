import QRCode from 'qrcode'

/** A QR code as dark strips of modules; no image, so it is sharp at any size. */
export interface QrMark {
  /** Modules a side, without the quiet zone. */
  readonly size: number
  readonly strips: readonly {
    readonly x: number
    readonly y: number
    readonly length: number
  }[]
}

/** White modules that must surround the mark. */
export const quietModules = 4

/** @param text short and ASCII, such as the id of a list. */
export function qrMarkOf(text: string): QrMark {
  const { modules } = QRCode.create(text, { errorCorrectionLevel: 'M' })
  const { size, data } = modules
  const strips: { x: number; y: number; length: number }[] = []
  for (let y = 0; y < size; y++) {
    let start: number | undefined
    for (let x = 0; x <= size; x++) {
      const isDark = x < size && data[y * size + x] === 1
      if (isDark && start === undefined) start = x
      if (!isDark && start !== undefined) {
        strips.push({ x: start, y, length: x - start })
        start = undefined
      }
    }
  }
  return { size, strips }
}
