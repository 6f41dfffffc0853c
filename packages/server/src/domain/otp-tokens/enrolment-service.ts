import type { PinHasher } from '#custody/pin-hasher.ts'
import type { Randomness } from '#custody/randomness.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import type { Storage, Stores } from '../storage.ts'
import type { IdSource } from '../ulid.ts'
import { assign, holdToken } from './assigning.ts'
import { checkDraft, parametersOf, secretBytes, type TokenDraft } from './enrolment-draft.ts'
import { type HeldToken, secretPlace, tokenTarget } from './otp-token.ts'
import type { NewToken } from './otp-token-store.ts'
import { hashPin } from './pin.ts'
import { genericCodes, isGeneric, type Product } from './product.ts'
import { codesOf } from './product-service.ts'
import { type Provisioning, provision } from './provisioning.ts'
import { findProduct, findRepository } from './token-references.ts'
import { requireTokenAdmin } from './token-rights.ts'

/** A new token; `provisioning` is told once and never again. */
export interface Enrolment {
  readonly token: HeldToken
  readonly provisioning: Provisioning
}

/** Ten digits leave room: after a million tokens, one serial in ten thousand has to be drawn again. */
const serialDigits = 10
const serialAttemptsMax = 20

/** Makes software tokens. */
export class EnrolmentService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #pins: PinHasher
  readonly #clock: Clock
  readonly #nextId: IdSource
  readonly #randomness: Randomness

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    pins: PinHasher
    clock: Clock
    nextId: IdSource
    randomness: Randomness
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#pins = dependencies.pins
    this.#clock = dependencies.clock
    this.#nextId = dependencies.nextId
    this.#randomness = dependencies.randomness
  }

  /**
   * Makes a token with its secret, moving factor, owner and journal records: all of them or none.
   *
   * @throws DomainError `forbidden`, `tenant_not_found`, `invalid_request`; `user_not_found`, `product_not_found`,
   *   `repository_not_found` with a pointer; `not_supported` when the secret of a hardware product is to be generated;
   *   `token_not_active` for a DISABLED token with a user; `already_exists` for a serial that the product has;
   *   `too_many_requests` when too many PINs wait.
   */
  async enrol(caller: Caller, tenantId: string, draft: TokenDraft): Promise<Enrolment> {
    requireTokenAdmin(caller, tenantId)
    const givenSecret = checkDraft(draft)
    const { read } = this.#storage
    await read.tenants.requireFor(caller, tenantId)
    const userId = draft.user && (await read.userResolver.getUserId(tenantId, draft.user, '/user'))
    const named = draft.product ?? genericCodes(draft.type ?? 'TOTP')
    const product = await findProduct(read, tenantId, named)
    const repositoryId = await findRepository(read, tenantId, draft.repositoryId)
    const parameters = parametersOf(draft, product)
    if (givenSecret === undefined && !product.downloadable) {
      throw new DomainError('not_supported', 'Tokens of a hardware product come with a secret.')
    }
    if (userId !== undefined && draft.status === 'DISABLED') {
      throw new DomainError('token_not_active', 'A DISABLED token cannot be assigned.')
    }

    const pinHash = await hashPin(this.#pins, draft.pin)
    const secret = givenSecret ?? this.#randomness(secretBytes[parameters.algorithm])
    const id = this.#nextId()
    const nowMs = this.#clock()
    const sealedSecret = await this.#vault.seal(secretPlace(tenantId, id), secret)
    const template: Omit<NewToken, 'serial' | 'identifier'> = {
      tenantId,
      id,
      productId: product.id,
      repositoryId,
      parameters,
      status: draft.status ?? 'ACTIVE',
      description: draft.description ?? null,
      origin: givenSecret === undefined ? 'GENERATED' : 'PROVIDED',
      startsAtMs: null,
      expiresAtMs: null,
      sealedSecret,
      counter: draft.counter ?? 0,
      driftSteps: 0,
      createdAtMs: nowMs,
    }

    const token = await this.#storage.transaction(async (stores): Promise<HeldToken> => {
      const serial = await this.#insert(stores, template, draft, product)
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.created',
        target: tokenTarget(id),
        detail: { serial, ...codesOf(product), type: parameters.type, origin: template.origin },
      })
      const made = await holdToken(stores, tenantId, id)
      if (userId === undefined) return { ...made, assignments: [] }
      const assignment = await assign(stores, caller, {
        token: made,
        userId,
        isShared: false,
        terms: {},
        status: 'ACTIVE',
        pinHash,
        id: this.#nextId(),
        nowMs,
      })
      return { ...made, assignments: [assignment] }
    })
    const issuer = draft.issuer ?? (await read.tenants.get(tenantId)).name
    const user =
      userId === undefined ? undefined : await read.userViews.find(tenantId, userId, nowMs)
    const account = user?.loginName ?? token.serial
    return { token, provisioning: await provision(token, secret, { issuer, account }) }
  }

  /** @returns the serial under which the token was stored. */
  async #insert(
    { otpTokens }: Stores,
    template: Omit<NewToken, 'serial' | 'identifier'>,
    { serial: wanted, identifier }: TokenDraft,
    product: Product,
  ): Promise<string> {
    if (wanted !== undefined) {
      const token = { ...template, serial: wanted, identifier: identifier ?? wanted }
      if (await otpTokens.insert(token)) return wanted
      const message = 'The product has a token with this serial.'
      throw new DomainError('already_exists', message, {
        faults: [{ pointer: '/serial', code: 'not_unique', message }],
      })
    }
    for (let attempt = 0; attempt < serialAttemptsMax; attempt++) {
      const serial = this.#drawSerial(product)
      const token = { ...template, serial, identifier: identifier ?? serial }
      if (await otpTokens.insert(token)) return serial
    }
    throw new DomainError('limit_reached', 'The product has too many tokens.')
  }

  /** Drawn, not counted: nobody queues for the next one, and a serial does not tell how many there are. */
  #drawSerial(product: Product): string {
    const bytes = Buffer.from(this.#randomness(6))
    const number = bytes.readUIntBE(0, 6) % 10 ** serialDigits
    const digits = String(number).padStart(serialDigits, '0')
    return isGeneric(product) ? `CS${digits}` : digits
  }
}
