import { setImmediate } from 'node:timers/promises'

/** How much text is read between two turns of the event loop. */
const pieceLengthMax = 65_536

/** Cuts texts into small pieces and lets other work run each time that enough of them have been read. */
export async function* textPieces(
  chunks: AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<string> {
  let lengthInTurn = 0
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += pieceLengthMax) {
      const piece = chunk.slice(start, start + pieceLengthMax)
      yield piece
      lengthInTurn += piece.length
      if (lengthInTurn >= pieceLengthMax) {
        lengthInTurn = 0
        await setImmediate()
      }
    }
  }
}
