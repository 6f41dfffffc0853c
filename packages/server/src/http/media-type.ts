/** True for `application/json` and every `application/…+json`. */
export function isJson(mediaType: string): boolean {
  return /^application\/([a-z0-9.-]+\+)?json$/.test(mediaType)
}

/** `Application/JSON; charset="UTF-8"` → `application/json`; undefined for any other charset. */
export function mediaTypeOf(contentType: string): string | undefined {
  const [essence = '', ...parameters] = contentType.split(';').map((part) => part.trim())
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=')
    if (name.toLowerCase() !== 'charset') continue
    if (!/^("utf-8"|utf-8)$/i.test(value)) return undefined
  }
  return essence.toLowerCase()
}

/** The media type as it stands in `Content-Type`: with the charset where text needs one. */
export function fullContentType(mediaType: string): string {
  return mediaType === 'application/json' || mediaType.startsWith('text/')
    ? `${mediaType}; charset=utf-8`
    : mediaType
}

/** RFC 9110 section 12.5.1, for media types without parameters. No `Accept` accepts everything. */
export function isAcceptable(accept: string | undefined, offered: readonly string[]): boolean {
  if (accept === undefined || offered.length === 0) return true
  const ranges = accept.split(',').map((part) => part.trim().toLowerCase())
  return offered.some((mediaType) => {
    const [type = ''] = mediaType.split('/')
    // The most exact range that covers the type decides.
    for (const candidate of [mediaType, `${type}/*`, '*/*']) {
      const range = ranges.find((one) => one.split(';')[0]?.trim() === candidate)
      if (range !== undefined) return !/;\s*q=0(\.0{0,3})?\s*(;|$)/.test(range)
    }
    return false
  })
}
