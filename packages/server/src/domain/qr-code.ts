/*
 * The library is loaded with the first code that is drawn: most servers draw none, and it would take 3 MiB in all of them.
 */

const options = { errorCorrectionLevel: 'M' } as const

/** @returns an SVG document. */
export async function drawQrSvg(text: string): Promise<string> {
  const { default: QRCode } = await import('qrcode')
  return QRCode.toString(text, { type: 'svg', ...options })
}

/** @returns the bytes of a PNG image. */
export async function drawQrPng(text: string): Promise<Uint8Array> {
  const { default: QRCode } = await import('qrcode')
  return QRCode.toBuffer(text, { type: 'png', ...options })
}
