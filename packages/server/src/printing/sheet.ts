/** Sizes of paper that sheets are made for. */
export type Paper = 'A4' | 'LETTER'

/** One code as it is printed: the label that a login page asks for, and the code. */
export interface PrintedCode {
  readonly index: string
  readonly otp: string
}

/** One list with its codes, which are nowhere else. */
export interface Sheet {
  readonly listId: string
  readonly method: string
  /** Null: never. */
  readonly expiresAtMs: number | null
  readonly codes: readonly PrintedCode[]
  /** Name and address, a line each. Printed on a page of its own, in front of the codes. */
  readonly recipient?: readonly string[] | undefined
}

/** An address that belongs to a list; holds no code. */
export interface AddressPage {
  readonly listId: string
  readonly recipient: readonly string[]
}

/** The words that are the same on every sheet. */
export interface SheetLabels {
  readonly list: string
  readonly method: string
  readonly validUntil: string
  readonly page: string
}

export const englishLabels: SheetLabels = {
  list: 'List',
  method: 'Method',
  validUntil: 'Valid until',
  page: 'Page',
}

/** What all sheets of a document share. */
export interface SheetDesign {
  readonly paper: Paper
  /** The issuer's name, in bold at the top. */
  readonly title: string
  /** What the reader should know; lines are separated by `\n`. */
  readonly notice: string
  readonly labels: SheetLabels
  /** When the document is made; the same input at the same moment gives the same bytes. */
  readonly atMs: number
}

/** 2026-11-22 10:00 UTC */
export function printedMoment(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
