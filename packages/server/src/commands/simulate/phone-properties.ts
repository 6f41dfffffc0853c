import type { Device } from '@countersign/device-sdk/device.ts'
import type {
  Property,
  PropertyAddress,
  PropertyType,
  TypedValue,
} from '@countersign/device-sdk/property.ts'
import { visibleLine } from '@countersign/device-sdk/visible-text.ts'
import { CommandError, exitCodes } from '../failure.ts'

/** A property of a phone as the command tells it. */
export interface ToldProperty {
  readonly phone: string
  readonly owner: string
  readonly name: string
  readonly type: string
  readonly value: string
  readonly version: number
  readonly cpFlags: number
}

/** What `--write` says. */
export interface PropertyWrite extends PropertyAddress, TypedValue {}

const written = /^(user|device)\/([^=]{3,255})=(OCTETSTRING|INTEGER|BOOLEAN|UTF8STRING|DATE):(.+)$/s
const writesMax = 100
const shownMax = 200

/** Reads `user/dailyLimit=INTEGER:1000`. @throws CommandError usage */
export function readWrites(texts: readonly string[] = []): readonly PropertyWrite[] {
  if (texts.length > writesMax) throw usage(`takes at most ${writesMax} properties`)
  return texts.map((text) => {
    const [, owner, name = '', type, value = ''] = written.exec(text) ?? []
    if (owner === undefined) throw usage('must be like user/dailyLimit=INTEGER:1000')
    return { owner: owner as 'user' | 'device', name, type: type as PropertyType, value }
  })
}

/** Brings copies and server together, then writes. @returns what the server has then. @throws DeviceError */
export async function dealWithProperties(
  phone: string,
  { properties }: Device,
  writes: readonly PropertyWrite[],
): Promise<readonly ToldProperty[]> {
  await properties.synchronise()
  for (const write of writes) await properties.write(write, write)
  return (await properties.list()).map(({ owner, name, type, value, version, cpFlags }) => ({
    phone,
    owner,
    name,
    type,
    value,
    version,
    cpFlags,
  }))
}

/** One property on one line, as far as a line goes; nothing that a terminal would obey. */
export function lineOf(property: Property | ToldProperty): string {
  const { owner, name, type, value, version, cpFlags } = property
  const [head, rest] = [value.slice(0, shownMax), value.slice(shownMax)]
  const left = rest === '' ? '' : ` … ${rest.length} more`
  const copy = { 0: '', 512: ', the phone wins', 768: ', the server wins' }[cpFlags] ?? ''
  return `${owner}/${visibleLine(name)} = ${visibleLine(head)}${left} (${type}, version ${version}${copy})`
}

function usage(message: string): CommandError {
  return new CommandError(exitCodes.usage, `--write ${message}`)
}
