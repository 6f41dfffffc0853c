/** Why a document could not be had. */
export type DocumentFailure =
  | 'address_refused'
  | 'busy'
  | 'connection'
  | 'redirect'
  | 'status'
  | 'timeout'
  | 'tls'
  | 'too_large'

/** The document could not be had; nothing of what was answered is told. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError'
  readonly failure: DocumentFailure
  constructor(failure: DocumentFailure) {
    super(`The document could not be fetched: ${failure}.`)
    this.failure = failure
  }
}

/** Gets documents from addresses that tenants chose: bounded in time and size, wherever the outbound rule lets it. */
export interface DocumentSource {
  /** @throws DocumentError */
  fetch(url: string): Promise<Uint8Array>
}
