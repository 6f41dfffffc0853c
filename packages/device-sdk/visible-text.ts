/**
 * What a text could do to a screen instead of being read on it: control characters (terminal escapes among them), marks
 * that turn the direction of writing, characters without width, separators of lines that are no line feed, fillers that
 * look like blanks.
 */
const invisible = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu

/**
 * A text as it is shown: each character that cannot be seen becomes its number in brackets, such as `⟨U+001B⟩`. Line feeds
 * stay. What is signed is never this text but the bytes that came.
 */
export function visibleText(text: string): string {
  return text.replaceAll(invisible, (character) => {
    const number = character.codePointAt(0) ?? 0
    return `⟨U+${number.toString(16).toUpperCase().padStart(4, '0')}⟩`
  })
}

/** As {@link visibleText}, on one line. */
export function visibleLine(text: string): string {
  return visibleText(text).replaceAll('\n', '⟨U+000A⟩')
}
