/** A pattern over the components of a template key. */
export interface KeyGlob {
  readonly matches: (key: string) => boolean
  /** What every matching key begins with; a whole key when `isLiteral`. */
  readonly prefix: string
  /** Only the key that is the prefix matches. */
  readonly isLiteral: boolean
}

/**
 * Compiles a glob: `*` is one component, `**` one or more, everything else itself. All places in the glob that the
 * components so far may have led to are kept as bits of one number, so that a key is read once, whatever the glob:
 * nothing is tried again.
 *
 * @param glob components joined by dots; a wildcard is a whole component.
 */
export function compileGlob(glob: string): KeyGlob {
  const parts = glob.split('.')
  const literalCount = parts.findIndex((part) => part === '*' || part === '**')
  if (literalCount === -1) return { matches: (key) => key === glob, prefix: glob, isLiteral: true }

  const end = 1n << BigInt(parts.length)
  /** Places that any component leads on from, that one component leads on from, and that `**` stays at. */
  let anyMask = 0n
  let stayMask = 0n
  const masks = new Map<string, bigint>()
  for (const [index, part] of parts.entries()) {
    const place = 1n << BigInt(index)
    if (part === '*' || part === '**') anyMask |= place
    else masks.set(part, (masks.get(part) ?? 0n) | place)
    if (part === '**') stayMask |= place << 1n
  }
  const matches = (key: string): boolean => {
    let places = 1n
    for (const component of key.split('.')) {
      const mask = anyMask | (masks.get(component) ?? 0n)
      places = ((places & mask) << 1n) | (places & stayMask)
      if (places === 0n) return false
    }
    return (places & end) !== 0n
  }
  const literals = parts.slice(0, literalCount)
  return { matches, prefix: literals.map((part) => `${part}.`).join(''), isLiteral: false }
}
