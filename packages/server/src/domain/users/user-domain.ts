import { foldText, MemberCheck, nameCharactersMax, normalDomainName } from './name-text.ts'

/** A name space of login names. Every tenant has at least one, and one of them is the default. */
export interface UserDomain {
  readonly tenantId: string
  /** The name as it is compared: what users and repositories refer to. */
  readonly key: string
  readonly ulid: string
  readonly name: string
  readonly dnsName: string | null
  readonly netbiosName: string | null
  readonly description: string | null
  readonly isDefault: boolean
  readonly repositoryId: string | null
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** The domain that every tenant starts with. */
export const firstDomainName = 'default'

export const netbiosNameCharactersMax = 15

/** Members that may be changed; absent ones stay. The mark can be taken, not given away. */
export interface UserDomainChanges {
  readonly dnsName?: string | null
  readonly netbiosName?: string | null
  readonly description?: string | null
  readonly repositoryId?: string | null
  readonly isDefault?: boolean
}

export interface UserDomainDraft extends UserDomainChanges {
  readonly name: string
}

/** The form in which domains are found by name; undefined for a name that no domain can have. */
export function domainKey(name: string): string | undefined {
  const normal = normalDomainName(name)
  return normal === undefined ? undefined : foldText(normal)
}

/** @throws DomainError `invalid_request`. @returns the name as it is stored, and as it is compared. */
export function checkDomainDraft(draft: UserDomainDraft): { name: string; key: string } {
  const check = new MemberCheck()
  checkChanges(check, draft)
  const name = normalDomainName(draft.name)
  if (name === undefined) {
    const rule = `must be 1 to ${nameCharactersMax} characters without control characters and / \\ ? # %`
    check.add('/name', 'bad_format', rule)
    throw check.refusal()
  }
  check.finish()
  return { name, key: foldText(name) }
}

/** @throws DomainError `invalid_request`. */
export function checkDomainChanges(changes: UserDomainChanges): void {
  const check = new MemberCheck()
  if (changes.isDefault === false) {
    check.add('/isDefault', 'out_of_range', 'must be true: another domain takes the mark')
  }
  checkChanges(check, changes)
  check.finish()
}

function checkChanges(check: MemberCheck, changes: UserDomainChanges): void {
  check.text('/dnsName', changes.dnsName)
  check.text('/netbiosName', changes.netbiosName, netbiosNameCharactersMax)
  check.text('/description', changes.description)
}
