/** Longer than any PIN and code that are typed together, with their blanks. */
const typedLengthMax = 128

const ignored = /[ \t-]+/g
const allowed = /^[0-9A-Za-z]+$/

/**
 * The one form in which a typed code is compared and remembered: blanks, tabs and hyphens (ASCII only) are removed,
 * what is left must be ASCII digits and letters. Nothing is folded: a digit of another script, a full-width digit, a
 * no-break space or an invisible character makes the text no code at all, so that one code has one form and a spent
 * code cannot come back in other characters. Letters keep their case.
 *
 * @returns undefined if the text is no code.
 */
export function normaliseCode(text: string): string | undefined {
  if (text.length > typedLengthMax) return undefined
  const code = text.replace(ignored, '')
  return allowed.test(code) ? code : undefined
}
