/** Gives the one instance of a class; it is made when it is first asked for: most transactions need two or three stores. */
export type OnceOf<Parts extends unknown[]> = <Made>(Class: new (...parts: Parts) => Made) => Made

/** @param parts what every class is made of, as far as it wants it. */
export function madeOnce<Parts extends unknown[]>(...parts: Parts): OnceOf<Parts> {
  const made = new Map<unknown, unknown>()
  return <Made>(Class: new (...parts: Parts) => Made) => {
    const known = made.get(Class) as Made | undefined
    if (known !== undefined) return known
    const fresh = new Class(...parts)
    made.set(Class, fresh)
    return fresh
  }
}
