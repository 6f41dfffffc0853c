/** Longest tag that is kept; registered ones are far shorter (RFC 5646 section 4.4). */
export const tagLengthMax = 64

/**
 * A tag in the case that RFC 5646 section 2.1.1 recommends: `zh-hant-tw` is `zh-Hant-TW`. Tags compare without case, so
 * this is the form in which they are kept and told.
 */
export function canonicalTag(tag: string): string {
  const subtags = tag.toLowerCase().split('-')
  const singleton = subtags.findIndex((subtag) => subtag.length === 1)
  const end = singleton === -1 ? subtags.length : singleton
  return subtags
    .map((subtag, index) => (index === 0 || index >= end ? subtag : withUsualCase(subtag)))
    .join('-')
}

/** Two letters are a region, four letters a script. */
function withUsualCase(subtag: string): string {
  if (/^[a-z]{2}$/.test(subtag)) return subtag.toUpperCase()
  if (/^[a-z]{4}$/.test(subtag)) return subtag.slice(0, 1).toUpperCase() + subtag.slice(1)
  return subtag
}
