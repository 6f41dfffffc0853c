import { JsonError, parseJson as parse } from '@countersign/protocol/encoding/json.ts'
import { RequestRefused } from './failure.ts'

/**
 * A body that every reader would read the same, see `parseJson` of the protocol.
 *
 * @throws RequestRefused `malformed_body`; its reason never repeats anything of the body.
 */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return parse(bytes)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new RequestRefused({ kind: 'malformed_body', reason: error.fault })
  }
}
