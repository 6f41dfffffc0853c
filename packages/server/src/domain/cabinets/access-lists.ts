import type { AccessList } from '@countersign/protocol/cabinet/access-list.ts'
import type { Vault } from '#custody/vault.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { aclContentPlace, decodeAclContent } from './acl-content.ts'
import type { CabinetKey } from './cabinet-store.ts'
import type { ListDigester } from './list-digester.ts'
import { mergeAcls, type SourceAcl } from './merge.ts'
import type { CarriedAcl, CarriedAcls, ListDigests } from './rights-store.ts'

/** Users times locks of the merged lists that a process keeps, and how many lists. */
const keptPermissionsMax = 2_000_000
const keptListsMax = 200
const attemptsMax = 5

/** A cabinet's list with its digests: all of one moment. */
export interface DigestedList extends ListDigests {
  readonly list: AccessList
}

/** A list was overwritten between being named and being read. */
class ListChanged extends Error {
  override readonly name = 'ListChanged'
}

/**
 * What cabinets decide by. Which lists a cabinet carries, and their versions, is read in one statement; what is merged
 * from them belongs to exactly these versions or is merged again. Cabinets that carry the same lists share the result.
 */
export class AccessLists {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #digester: ListDigester
  readonly #kept = new Map<string, Promise<DigestedList>>()
  readonly #weights = new Map<string, number>()
  #keptPermissions = 0

  constructor(dependencies: { storage: Storage; vault: Vault; digester: ListDigester }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#digester = dependencies.digester
  }

  /** The list that holds now. @throws DomainError `cabinet_not_found`, `unavailable`. */
  async current(key: CabinetKey): Promise<DigestedList> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const carried = await this.#carried(key)
      const list = await this.#unlessChanged(() => this.#merged(key.tenantId, carried.acls))
      if (list !== undefined) return list
    }
    throw busy()
  }

  /**
   * Computes the cabinet's digests again and keeps them, unless something changed meanwhile: then they are those of a
   * moment that is past, and the next poll computes them anew.
   *
   * @throws DomainError `cabinet_not_found`, `unavailable`.
   */
  async refreshDigests(key: CabinetKey): Promise<ListDigests> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const carried = await this.#carried(key)
      const digests = await this.#unlessChanged(() => this.#digestsOf(key.tenantId, carried.acls))
      if (digests === undefined) continue
      // By itself: a group of several cabinets could wait for a change of a list that waits for the group.
      await this.#storage.transaction(({ cabinets }) =>
        cabinets.rights.putDigests(key, carried.version, digests),
      )
      return digests
    }
    throw busy()
  }

  async #carried(key: CabinetKey): Promise<CarriedAcls> {
    const carried = await this.#storage.read.cabinets.rights.listCarried(key)
    if (carried === undefined) throw new DomainError('cabinet_not_found', 'No such cabinet.')
    return carried
  }

  /** Those of a single list are stored with it. */
  async #digestsOf(tenantId: string, acls: readonly CarriedAcl[]): Promise<ListDigests> {
    const [only] = acls
    const { lockDigest, userDigestMac } =
      acls.length === 1 && only !== undefined ? only : await this.#merged(tenantId, acls)
    return { lockDigest, userDigestMac }
  }

  async #unlessChanged<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof ListChanged) return undefined
      throw error
    }
  }

  #merged(tenantId: string, acls: readonly CarriedAcl[]): Promise<DigestedList> {
    const name = JSON.stringify([tenantId, ...acls.map(({ id, version }) => [id, version])])
    const kept = this.#kept.get(name)
    if (kept !== undefined) {
      // The one used last goes last.
      this.#kept.delete(name)
      this.#kept.set(name, kept)
      return kept
    }
    const merging = this.#merge(tenantId, acls)
    this.#kept.set(name, merging)
    merging.then(
      ({ list }) => this.#weigh(name, list.users.length * (list.locks.length + 1)),
      () => this.#drop(name),
    )
    return merging
  }

  async #merge(tenantId: string, acls: readonly CarriedAcl[]): Promise<DigestedList> {
    const sources: SourceAcl[] = []
    for (const { id, version } of acls) {
      const sealed = await this.#storage.read.cabinets.acls.find(tenantId, id)
      if (sealed?.version !== version) throw new ListChanged()
      const bytes = await this.#vault.open(aclContentPlace(tenantId, id), sealed.sealedContent)
      sources.push({ id, writtenAtMs: sealed.writtenAtMs, ...decodeAclContent(bytes) })
    }
    const list = mergeAcls(sources)
    return { list, ...(await this.#digester.digestsOf(list)) }
  }

  #weigh(name: string, weight: number): void {
    if (!this.#kept.has(name)) return
    this.#weights.set(name, weight)
    this.#keptPermissions += weight
    for (const oldest of this.#kept.keys()) {
      if (this.#keptPermissions <= keptPermissionsMax && this.#kept.size <= keptListsMax) return
      this.#drop(oldest)
    }
  }

  #drop(name: string): void {
    this.#kept.delete(name)
    this.#keptPermissions -= this.#weights.get(name) ?? 0
    this.#weights.delete(name)
  }
}

function busy(): DomainError {
  return new DomainError('unavailable', 'The access lists are being changed.', {
    retryAfterSeconds: 1,
  })
}
