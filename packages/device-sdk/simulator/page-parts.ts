/** An element of the page by its id. @throws TypeError when there is none of that kind. */
export function element<Type extends Element>(id: string, type: new () => Type): Type {
  return part(document, `#${id}`, type)
}

/** An element within another one. @throws TypeError when there is none of that kind. */
export function part<Type extends Element>(
  within: ParentNode,
  selector: string,
  type: new () => Type,
): Type {
  const found = within.querySelector(selector)
  if (!(found instanceof type)) throw new TypeError(`The page lacks ${selector}.`)
  return found
}
