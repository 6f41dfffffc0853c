import { hasEncryptedValue, isPinPackage, readKeyPackage } from './pskc-key-package.ts'
import { namespaces, pskcName } from './pskc-names.ts'
import { type PskcKeys, PskcProtection } from './pskc-protection.ts'
import {
  type EntryFault,
  type EntryOutcome,
  entriesRejected,
  fileRejected,
  formatUnknown,
  type SeedEntry,
} from './seed-file.ts'
import { textPieces } from './text-pieces.ts'
import { type XmlElement, xmlElements } from './xml-elements.ts'
import { isNamed } from './xml-queries.ts'

const versionPattern = /^0*1\.\d{1,3}$/

export interface PskcStreamOptions extends PskcKeys {
  /** Told of every entry that cannot be imported. Absent: the first one ends the stream. */
  readonly onFaults?: (faults: readonly EntryFault[]) => void
}

/**
 * Reads a PSKC file of any length in little memory. Duplicate serials are not looked for, because that would need
 * memory that grows with the file: whoever stores the entries sees them.
 *
 * @throws DomainError `import_format_unknown`, `import_rejected`, `import_key_required`, also in the middle of the file.
 */
export async function* parsePskcStream(
  chunks: AsyncIterable<string> | Iterable<string>,
  { onFaults, ...keys }: PskcStreamOptions = {},
): AsyncGenerator<SeedEntry> {
  const elements = xmlElements(textPieces(chunks))
  const { value: root } = await elements.next()
  if (!root || !isPskc(root)) throw formatUnknown('The file is not a PSKC file (RFC 6030).')
  for await (const { entry, faults } of pskcEntries(root, elements, keys)) {
    if (entry) yield entry
    else if (onFaults) onFaults(faults)
    else throw entriesRejected(faults)
  }
}

export function isPskc(root: XmlElement): boolean {
  return isNamed(root, pskcName('KeyContainer'))
}

/**
 * The entries of a KeyContainer in their order. The index counts KeyPackages; those that carry a PIN are passed over,
 * because a PIN is checked by the device and a token whose PIN is not is refused. A Signature is not verified.
 */
export async function* pskcEntries(
  root: XmlElement,
  elements: AsyncIterable<XmlElement>,
  keys: PskcKeys,
): AsyncGenerator<EntryOutcome> {
  checkVersion(root)
  let encryptionKey: XmlElement | undefined
  let macMethod: XmlElement | undefined
  let protection: PskcProtection | undefined
  let index = 0
  for await (const element of elements) {
    if (element.namespace !== namespaces.pskc) continue
    switch (element.name) {
      case 'EncryptionKey':
        checkPlace(element, { isRepeated: encryptionKey !== undefined, isLate: index > 0 })
        encryptionKey = element
        break
      case 'MACMethod':
        checkPlace(element, { isRepeated: macMethod !== undefined, isLate: index > 0 })
        macMethod = element
        break
      case 'KeyPackage': {
        index++
        protection ??= new PskcProtection(encryptionKey, macMethod, keys)
        if (isPinPackage(element)) break
        if (hasEncryptedValue(element)) await protection.unlock()
        yield readKeyPackage(element, index, protection)
        break
      }
    }
  }
  if (index === 0) throw fileRejected('required', 'KeyContainer has no KeyPackage.')
}

/** RFC 6030 section 1.2: leading zeros mean nothing, a higher minor version is read as this one. */
function checkVersion(root: XmlElement): void {
  const version = root.attributes.get('Version')
  if (version === undefined) throw fileRejected('required', 'KeyContainer: Version is missing.')
  if (!versionPattern.test(version)) {
    throw fileRejected('unsupported', 'KeyContainer: only version 1.0 is read.')
  }
}

function checkPlace(
  { name, line }: XmlElement,
  { isRepeated, isLate }: { isRepeated: boolean; isLate: boolean },
): void {
  if (isRepeated) throw fileRejected('bad_format', `Line ${line}: a second ${name}.`)
  if (isLate) throw fileRejected('bad_format', `Line ${line}: ${name} comes after a KeyPackage.`)
}
