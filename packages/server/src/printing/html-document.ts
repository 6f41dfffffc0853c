import { createHash } from 'node:crypto'
import { qrMarkOf, quietModules } from './qr-mark.ts'
import {
  type AddressPage,
  type Paper,
  printedMoment,
  type Sheet,
  type SheetDesign,
} from './sheet.ts'

const pageNames: Readonly<Record<Paper, string>> = { A4: 'A4 portrait', LETTER: 'letter portrait' }
/** Where an envelope's window is, from the top of the paper. */
const addressTops: Readonly<Record<Paper, string>> = { A4: '47.7mm', LETTER: '37.7mm' }

const otpLengthMin = 4
const otpLengthMax = 16
/** A style attribute would need a policy of its own: a class for each length of codes. */
const columnWidths = Array.from({ length: otpLengthMax - otpLengthMin + 1 }, (_, more) => {
  const length = otpLengthMin + more
  return `.of${length}{columns:${Math.ceil(15 + 2.5 * length)}mm}`
}).join('')

function styleFor(paper: Paper): string {
  return `@page{size:${pageNames[paper]};margin:15mm 15mm 18mm 20mm}
*{box-sizing:border-box}
body{margin:0;color:#000;background:#fff;font:9pt/1.35 "DejaVu Sans","Noto Sans",Arial,sans-serif}
section{break-after:page;position:relative}
section:last-child{break-after:auto}
header{display:flex;justify-content:space-between;gap:4mm}
h1{font-size:15pt;line-height:1.2;margin:0 0 3mm;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 4mm;margin:0}
dt{color:#555}
dd{margin:0;font-weight:bold}
dd,.codes{font-family:"DejaVu Sans Mono","Noto Sans Mono",Consolas,Menlo,monospace}
svg{width:27mm;height:27mm;flex:none}
.notice{white-space:pre-line;unicode-bidi:plaintext;margin:3mm 0;overflow-wrap:anywhere}
.codes{list-style:none;margin:4mm 0 0;padding:0;column-gap:6mm;font-size:11pt}
${columnWidths}
.codes li{display:flex;gap:2.5mm;break-inside:avoid;line-height:1.6;border-bottom:.2mm solid #ddd}
.codes span{color:#555;min-width:4ch;text-align:right;font-size:9pt}
.address{padding-top:${addressTops[paper]}}
.address h1{position:absolute;top:0;left:0}
.address p{font-size:11pt;line-height:1.15;margin:0 0 40mm 5mm;min-height:27mm;white-space:pre-line;unicode-bidi:plaintext}
`
}

/** Headers that keep a printed page from loading or running anything, and from being shown inside another page. */
export function htmlHeaders(paper: Paper): Readonly<Record<string, string>> {
  return {
    'content-security-policy': `${contentPolicy(paper)}; frame-ancestors 'none'`,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  }
}

function contentPolicy(paper: Paper): string {
  const hash = createHash('sha256').update(styleFor(paper)).digest('base64')
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`
}

/** Sheets as one HTML page for printing, in pieces; needs nothing from anywhere. */
export function* htmlOfSheets(sheets: Iterable<Sheet>, design: SheetDesign): Generator<string> {
  yield headOf(design)
  for (const { recipient, ...sheet } of sheets) {
    const address = recipient && addressSection({ listId: sheet.listId, recipient }, design)
    yield (address ?? '') + sheetSection(sheet, design)
  }
  yield '</body></html>\n'
}

/** Address pages in the same way. */
export function* htmlOfAddresses(
  addresses: Iterable<AddressPage>,
  design: SheetDesign,
): Generator<string> {
  yield headOf(design)
  for (const address of addresses) yield addressSection(address, design)
  yield '</body></html>\n'
}

/** The style must be the text whose hash the policy names. */
function headOf({ title, paper }: SheetDesign): string {
  return `<!doctype html><html><head><meta charset="utf-8"><meta name="robots" content="noindex">\
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(contentPolicy(paper))}">\
<title>${escapeHtml(title)}</title><style>${styleFor(paper)}</style></head><body>\n`
}

function sheetSection(sheet: Sheet, { title, notice, labels }: SheetDesign): string {
  const { listId, method, expiresAtMs, codes } = sheet
  const facts = [
    fact(labels.list, listId),
    fact(labels.method, method),
    expiresAtMs === null ? '' : fact(labels.validUntil, printedMoment(expiresAtMs)),
  ]
  const rows = codes.map(
    ({ index, otp }) => `<li><span>${escapeHtml(index)}</span><b>${escapeHtml(otp)}</b></li>`,
  )
  return `<section><header><div>${headingOf(title)}<dl>${facts.join('')}</dl></div>${qrSvg(listId)}</header>\
${notice === '' ? '' : `<p class="notice" dir="auto">${escapeHtml(notice)}</p>`}\
<ol class="codes of${codes[0]?.otp.length}" dir="ltr">${rows.join('')}</ol></section>\n`
}

function addressSection({ listId, recipient }: AddressPage, design: SheetDesign): string {
  const lines = escapeHtml(recipient.join('\n'))
  return `<section class="address">${headingOf(design.title)}<p dir="auto">${lines}</p>\
<header><dl>${fact(design.labels.list, listId)}</dl>${qrSvg(listId)}</header></section>\n`
}

function headingOf(title: string): string {
  return title === '' ? '' : `<h1 dir="auto">${escapeHtml(title)}</h1>`
}

function fact(label: string, value: string): string {
  return `<dt dir="auto">${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`
}

function qrSvg(text: string): string {
  const { size, strips } = qrMarkOf(text)
  const path = strips
    .map(({ x, y, length }) => `M${x + quietModules} ${y + quietModules}h${length}v1h-${length}z`)
    .join('')
  const side = size + 2 * quietModules
  return `<svg viewBox="0 0 ${side} ${side}" role="img" aria-label="${escapeHtml(text)}"><path d="${path}"/></svg>`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? '')
}
