import {
  type AccessList,
  lockListDigest,
  userListDigest,
} from '@countersign/protocol/cabinet/access-list.ts'
import { keyedHashHex } from '#custody/secrets.ts'
import type { PlatformSecret } from '../tenants/platform-secret.ts'
import type { ListDigests } from './rights-store.ts'

const keptMacsMax = 20_000

/**
 * Digests of lists in the form in which they are kept. Those of user lists are HMACs under a key of the platform: the
 * digest over a list of one user would let that user's PIN be found by trying, and the server only ever compares digests,
 * it never sends one.
 */
export class ListDigester {
  readonly #key: PlatformSecret
  /** Cabinets report the same digest poll after poll. */
  readonly #macs = new Map<string, string>()

  constructor({ digestKey }: { digestKey: PlatformSecret }) {
    this.#key = digestKey
  }

  /** Not inside a transaction. */
  async digestsOf({ locks, users }: AccessList): Promise<ListDigests> {
    return {
      lockDigest: lockListDigest(locks),
      userDigestMac: await this.macOf(userListDigest(users)),
    }
  }

  /** Not inside a transaction. @param userDigest hex, in lower case. */
  async macOf(userDigest: string): Promise<string> {
    const kept = this.#macs.get(userDigest)
    if (kept !== undefined) return kept
    const mac = keyedHashHex(await this.#key.get(), userDigest)
    if (this.#macs.size >= keptMacsMax) this.#macs.clear()
    this.#macs.set(userDigest, mac)
    return mac
  }
}
