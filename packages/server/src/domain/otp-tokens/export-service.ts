import { setImmediate as nextTurn } from 'node:timers/promises'
import { decodeHex } from '@countersign/protocol/encoding/hex.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import { DomainError } from '../errors.ts'
import type { Storage } from '../storage.ts'
import { MemberCheck } from '../users/name-text.ts'
import { type OtpToken, secretPlace, tokenNotFound, tokenTarget } from './otp-token.ts'
import { codesOf } from './product-service.ts'
import { type PskcEncryption, type PskcKey, pskcParts } from './seed-files/pskc-writer.ts'
import { findProduct, type ProductReference } from './token-references.ts'
import { requireTokenAdmin } from './token-rights.ts'

/** One of `tokenIds` and `product`, one of `key` and `password`. */
export interface ExportRequest {
  readonly tokenIds?: readonly string[] | undefined
  /** All tokens of the product. */
  readonly product?: ProductReference | undefined
  /** AES key of 16, 24 or 32 bytes in hex. */
  readonly key?: string | undefined
  readonly password?: string | undefined
}

/** A PSKC file under way. */
export interface TokenExport {
  readonly file: AsyncIterable<string>
  readonly exportedCount: number
  /** Imported tokens that were asked for: their secrets are never read back. */
  readonly omittedCount: number
}

export const exportCountMax = 10_000
const pageSize = 500
const keyName = 'pre-shared'
const passwordLengthMin = 12
const passwordLengthMax = 255
/** OWASP's figure for PBKDF2 with HMAC-SHA-256. */
const pbkdf2Iterations = 600_000
const keyLengths: ReadonlySet<number> = new Set([16, 24, 32])

/** Lets tokens that this server made move to another one. */
export class ExportService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #randomness: Randomness

  constructor(dependencies: { storage: Storage; vault: Vault; randomness: Randomness }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#randomness = dependencies.randomness
  }

  /**
   * Every exported token is on record before the first byte of the file is there.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `token_not_found` and `product_not_found` with
   *   a pointer; `limit_reached` for more than 10,000 tokens.
   */
  async export(caller: Caller, tenantId: string, request: ExportRequest): Promise<TokenExport> {
    requireTokenAdmin(caller, tenantId)
    const encryption = readEncryption(request)
    await this.#storage.read.tenants.requireFor(caller, tenantId)
    const asked = await this.#listAsked(tenantId, request)
    const exported = asked.filter(({ origin }) => origin !== 'IMPORTED')
    await this.#record(caller, tenantId, exported)
    return {
      file: pskcParts({
        keys: this.#readKeys(tenantId, exported),
        encryption,
        randomness: this.#randomness,
      }),
      exportedCount: exported.length,
      omittedCount: asked.length - exported.length,
    }
  }

  async #listAsked(
    tenantId: string,
    { tokenIds, product: named }: ExportRequest,
  ): Promise<OtpToken[]> {
    const { read } = this.#storage
    const tokens: OtpToken[] = []
    if (tokenIds !== undefined) {
      for (const ids of pages([...new Set(tokenIds)])) {
        const found = await read.tokenExports.listNamed(tenantId, ids)
        if (found.length < ids.length) throw tokenNotFound('/tokenIds')
        tokens.push(...found)
        await nextTurn()
      }
      return tokens
    }
    if (named === undefined) return tokens
    const { id: productId } = await findProduct(read, tenantId, named)
    for (;;) {
      const afterId = tokens.at(-1)?.id ?? ''
      const page = { afterId, limit: pageSize }
      const found = await read.tokenExports.listOfProduct(tenantId, productId, page)
      tokens.push(...found)
      if (tokens.length > exportCountMax) {
        throw new DomainError('limit_reached', `A file has at most ${exportCountMax} tokens.`)
      }
      if (found.length < pageSize) return tokens
      await nextTurn()
    }
  }

  async #record(caller: Caller, tenantId: string, tokens: readonly OtpToken[]): Promise<void> {
    for (const page of pages(tokens)) {
      await this.#storage.transaction(async ({ journal }) => {
        for (const { id, serial, product } of page) {
          await journal.append(caller, tenantId, {
            action: 'otp-token.exported',
            target: tokenTarget(id),
            detail: { serial, ...codesOf(product), format: 'PSKC' },
          })
        }
      })
    }
  }

  /** A token that was deleted meanwhile is not in the file. */
  async *#readKeys(tenantId: string, tokens: readonly OtpToken[]): AsyncGenerator<PskcKey> {
    for (const page of pages(tokens)) {
      const secrets = await this.#storage.read.tokenExports.findSecrets(
        tenantId,
        page.map(({ id }) => id),
      )
      for (const token of page) {
        const sealed = secrets.get(token.id)
        if (sealed === undefined) continue
        yield pskcKey(token, await this.#vault.open(secretPlace(tenantId, token.id), sealed))
      }
      await nextTurn()
    }
  }
}

function pskcKey(token: OtpToken, secret: Uint8Array): PskcKey {
  const { serial, type, algorithm, digits, product } = token
  return {
    serial,
    secret,
    type,
    algorithm,
    digits,
    periodSeconds: token.periodSeconds ?? undefined,
    counter: token.counter ?? undefined,
    driftSteps: token.driftSteps ?? undefined,
    description: token.description ?? undefined,
    manufacturer: product.manufacturerCode,
    model: product.productCode,
    startsAtMs: token.startsAtMs ?? undefined,
    expiresAtMs: token.expiresAtMs ?? undefined,
  }
}

function readEncryption({ tokenIds, product, key, password }: ExportRequest): PskcEncryption {
  const check = new MemberCheck()
  const exclusive = 'must be given alone'
  if (tokenIds !== undefined && product !== undefined) {
    check.add('/product', 'mutually_exclusive', exclusive)
  }
  if (tokenIds === undefined && product === undefined) {
    check.add('/tokenIds', 'required', 'must be given, or product')
  }
  if (tokenIds !== undefined && tokenIds.length > exportCountMax) {
    check.add('/tokenIds', 'out_of_range', `must name at most ${exportCountMax} tokens`)
  }
  if (key !== undefined && password !== undefined) {
    check.add('/password', 'mutually_exclusive', exclusive)
  }
  if (key === undefined && password === undefined) {
    check.add('/password', 'required', 'must be given, or key: secrets never leave unencrypted')
  }
  const keyBytes = key === undefined ? undefined : decodeHex(key)
  if (key !== undefined && !keyLengths.has(keyBytes?.length ?? 0)) {
    check.add('/key', 'bad_format', 'must be 16, 24 or 32 bytes in hex')
  }
  const { length = passwordLengthMin } = password ?? {}
  if (length < passwordLengthMin || length > passwordLengthMax) {
    const range = `${passwordLengthMin} to ${passwordLengthMax}`
    check.add('/password', 'out_of_range', `must have ${range} characters`)
  }
  check.finish()
  return keyBytes === undefined
    ? { password: password ?? '', iterations: pbkdf2Iterations }
    : { key: keyBytes, keyName }
}

function* pages<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += pageSize) {
    yield items.slice(start, start + pageSize)
  }
}
