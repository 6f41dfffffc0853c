import type { OtpList, OtpListWithCodes } from '#domain/otp-lists/otp-list.ts'
import type { XmlElement } from '#http/xml.ts'
import type { NamedUser } from './parameters.ts'
import { toTimestamp, toUuid, wireStatus } from './wire.ts'

/** Contract, schema OtpListWithSequence. */
export function newListElement({ list, codes }: OtpListWithCodes): XmlElement {
  const otps = codes.map(({ index, otp }) => ({
    name: 'otp',
    attributes: { index },
    content: otp,
  }))
  return listElement(list, { size: list.size }, [
    statusElement(list),
    { name: 'sequence', content: otps },
  ])
}

/** Contract, schema OtpListWithStatus: a list read by itself, with its owner. */
export function ownedListElement(list: OtpList, named?: NamedUser): XmlElement {
  return listElement(list, {}, [statusElement(list, ownerElements(list, named))])
}

/** As {@link ownedListElement}, in a page of a query. */
export function foundListElement(list: OtpList, named?: NamedUser): XmlElement {
  const more = { created: toTimestamp(list.createdAtMs), size: list.size }
  return listElement(list, more, [statusElement(list, ownerElements(list, named))])
}

/** What a user has of one method; `ListUserInfo` of the core is one. */
export interface UserLists {
  readonly userUniqueId: string
  readonly active: OtpList | undefined
  readonly associated: OtpList | undefined
}

/** Contract, schema UserInfoWithLists: the active list first. */
export function userElement(user: UserLists, named: NamedUser): XmlElement {
  const lists = [user.active, user.associated].filter((list) => list !== undefined)
  const content = lists.map((list) => listElement(list, {}, [statusElement(list)]))
  return { ...userReference(user.userUniqueId, named), content }
}

function listElement(
  { id, expiresAtMs }: OtpList,
  more: Readonly<Record<string, string | number>>,
  content: readonly XmlElement[],
): XmlElement {
  const expires = expiresAtMs === null ? undefined : toTimestamp(expiresAtMs)
  return { name: 'otp-list', attributes: { id: toUuid(id), expires, ...more }, content }
}

function statusElement(list: OtpList, content: readonly XmlElement[] = []): XmlElement {
  return {
    name: 'status',
    attributes: {
      value: wireStatus[list.status],
      index: list.nextIndex ?? undefined,
      remaining: list.status === 'ACTIVE' ? list.remaining : undefined,
    },
    content,
  }
}

function ownerElements({ userUniqueId }: OtpList, named: NamedUser | undefined): XmlElement[] {
  return userUniqueId === null ? [] : [userReference(userUniqueId, named)]
}

/** Contract, schema UserRef: a user is called as the request has called it, and always by a `uniqueID` too. */
function userReference(uniqueId: string, named: NamedUser | undefined): XmlElement {
  const { uniqueID = uniqueId, login, objectGuid } = named?.told ?? {}
  return { name: 'user-info', attributes: { uniqueID, login, objectGuid } }
}
