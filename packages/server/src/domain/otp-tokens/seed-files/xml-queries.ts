import { EntryProblem } from './seed-file.ts'
import type { XmlElement } from './xml-elements.ts'

/** `namespace` undefined matches any. */
export interface XmlName {
  readonly namespace?: string
  readonly name: string
}

export function isNamed(element: XmlElement, { namespace, name }: XmlName): boolean {
  return element.name === name && (namespace === undefined || element.namespace === namespace)
}

/**
 * The one child of that name, or undefined.
 *
 * @throws EntryProblem if there are two: which one counts would be a guess.
 */
export function findChild(element: XmlElement, name: XmlName): XmlElement | undefined {
  const found = element.children.filter((child) => isNamed(child, name))
  if (found.length > 1) {
    throw new EntryProblem('bad_format', `${element.name} has more than one ${name.name}.`)
  }
  return found[0]
}

/** Follows a path of single children; undefined as soon as one is missing. */
export function findDescendant(
  element: XmlElement,
  path: readonly XmlName[],
): XmlElement | undefined {
  let found: XmlElement | undefined = element
  for (const name of path) {
    if (!found) return undefined
    found = findChild(found, name)
  }
  return found
}

/**
 * The text of an element without the blanks around it.
 *
 * @throws EntryProblem if it holds elements.
 */
export function textOf(element: XmlElement): string {
  if (element.children.length > 0) {
    throw new EntryProblem('bad_format', `${element.name} must hold text only.`)
  }
  return element.text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
}

/** The text of a child; undefined if there is no such child or it is empty. */
export function childText(element: XmlElement | undefined, name: XmlName): string | undefined {
  const child = element && findChild(element, name)
  const text = child && textOf(child)
  return text === '' ? undefined : text
}
