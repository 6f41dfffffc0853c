/** What somebody reads: a text as it is, or the key of one that the app has in its own languages. */
export type PushText = { readonly text: string } | { readonly key: string }

/** All that a push message says: that something waits, for whom, and how to call it on the screen. */
export interface PushNote {
  readonly tenantId: string
  readonly userId: string
  /** Of the approval. */
  readonly messageId: string
  /** Undefined: none. Without title and body the app is woken and nothing is shown. */
  readonly title: PushText | undefined
  readonly body: PushText | undefined
  /** From then on nobody needs it any more. */
  readonly expiresAtMs: number
}

/** Bytes of UTF-8, so that every provider's 4,096 bytes hold both with what stands around them. */
const textBytesMax = { title: 300, body: 1_000 } as const

/** A text as it goes on a screen: one line's worth of it, no control characters. */
export function shownText(text: string, part: keyof typeof textBytesMax): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  return clipped(text.replace(/[\u0000-\u001f\u007f]+/g, ' '), textBytesMax[part])
}

/** Cut between characters, with a sign that it was. */
function clipped(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text
  const ellipsis = '…'
  let left = bytesMax - Buffer.byteLength(ellipsis)
  let kept = ''
  for (const character of text) {
    left -= Buffer.byteLength(character)
    if (left < 0) break
    kept += character
  }
  return kept + ellipsis
}

/** Whole seconds that are left, from 1 to `most`. */
export function secondsLeft({ expiresAtMs }: PushNote, nowMs: number, most: number): number {
  return Math.min(most, Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000)))
}
