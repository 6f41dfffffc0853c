import type { Randomness } from '#custody/randomness.ts'
import { newTicket, sha256Hex } from '#custody/secrets.ts'
import type { Vault } from '#custody/vault.ts'
import type { Caller } from '../callers/caller.ts'
import type { Clock } from '../clock.ts'
import { DomainError } from '../errors.ts'
import { drawQrPng } from '../qr-code.ts'
import type { Storage, Stores } from '../storage.ts'
import { isOriginAllowed } from '../tenants/outbound-rule.ts'
import { holdToken } from './assigning.ts'
import {
  type Credential,
  type CredentialTarget,
  credentialOf,
  requireRecipient,
} from './credential-delivery.ts'
import { type OtpToken, secretPlace, tokenNotFound, tokenTarget } from './otp-token.ts'
import type { Ticket } from './ticket-store.ts'
import { requireTokenAdmin } from './token-rights.ts'

/** A new link's secret part: 256 random bits in base64url, told once. */
export interface IssuedTicket {
  readonly ticket: string
  readonly expiresAtMs: number
}

/** What a link leads to, without any secret. */
export interface TicketDescription {
  readonly productName: string
  readonly serial: string
  readonly expiresAtMs: number
}

/** Which origins a tenant's links may have. */
export interface OriginSource {
  settingsOf(
    tenantId: string,
  ): Promise<{ readonly callbacks: { readonly allowedOrigins: readonly string[] } }>
}

const ticketLifeMs = 24 * 60 * 60 * 1000
const ticketPattern = /^[A-Za-z0-9_-]{43}$/

/** Hands out the credentials of software tokens: to agents, and to whoever bears a ticket. */
export class CredentialService {
  readonly #storage: Storage
  readonly #vault: Vault
  readonly #settings: OriginSource
  readonly #randomness: Randomness
  readonly #clock: Clock

  constructor(dependencies: {
    storage: Storage
    vault: Vault
    settings: OriginSource
    randomness: Randomness
    clock: Clock
  }) {
    this.#storage = dependencies.storage
    this.#vault = dependencies.vault
    this.#settings = dependencies.settings
    this.#randomness = dependencies.randomness
    this.#clock = dependencies.clock
  }

  /**
   * Issues a ticket and voids the former one of the same assignment.
   *
   * @param target.provisioningUrl where the caller wants the link to lead; must be on the tenant's list of origins.
   * @throws DomainError `forbidden`, `tenant_not_found`, `token_not_found`, `url_not_allowed`, and as `requireRecipient`.
   */
  async issueTicket(
    caller: Caller,
    tenantId: string,
    target: CredentialTarget & { readonly provisioningUrl?: string | undefined },
  ): Promise<IssuedTicket> {
    requireTokenAdmin(caller, tenantId)
    await this.#requireAllowed(tenantId, target.provisioningUrl)
    const ticket = newTicket(this.#randomness)
    const nowMs = this.#clock()
    const expiresAtMs = nowMs + ticketLifeMs
    await this.#storage.transaction(async (stores) => {
      const token = await holdToken(stores, tenantId, target.tokenId)
      const { assignment } = await requireRecipient(stores, token, target.userId, nowMs)
      const { tokenId, userId } = assignment
      const ticketHash = sha256Hex(ticket)
      await stores.tickets.replace({ tenantId, ticketHash, tokenId, userId, expiresAtMs }, nowMs)
      await stores.journal.append(caller, tenantId, {
        action: 'otp-token.ticket-issued',
        target: tokenTarget(tokenId),
        userId,
        detail: { serial: token.serial },
      })
    })
    return { ticket, expiresAtMs }
  }

  /** The credential itself, for the calling agent. @throws as `issueTicket`. */
  async retrieve(caller: Caller, tenantId: string, target: CredentialTarget): Promise<Credential> {
    requireTokenAdmin(caller, tenantId)
    const secret = await this.#openSecret(tenantId, target.tokenId)
    return this.#storage.transaction(async (stores) => {
      const token = await holdToken(stores, tenantId, target.tokenId)
      const { user } = await requireRecipient(stores, token, target.userId, this.#clock())
      await recordRetrieval(stores, caller, token, { userId: user.id, by: 'AGENT' })
      return credentialOf(token, user, secret)
    })
  }

  /** The credential as a QR code, PNG. @throws as `issueTicket`. */
  async drawQr(caller: Caller, tenantId: string, target: CredentialTarget): Promise<Uint8Array> {
    const { otpauthUri } = await this.retrieve(caller, tenantId, target)
    return drawQrPng(otpauthUri)
  }

  /**
   * Tells what a ticket leads to and spends nothing, so that mail scanners and previews of links do no harm.
   *
   * @throws DomainError `ticket_not_found` for one that is unknown, spent, revoked or expired; `token_confined`.
   */
  async describe(ticket: string): Promise<TicketDescription> {
    const found = await this.#find(ticket)
    const { read } = this.#storage
    const token = await this.#requireOpen(read, found)
    const product = await read.products.find(found.tenantId, token.product.id)
    if (product === undefined) throw ticketNotFound()
    return { productName: product.name, serial: token.serial, expiresAtMs: found.expiresAtMs }
  }

  /**
   * Spends a ticket and gives the credential, once.
   *
   * @param caller whoever bears the ticket; needs no right but that.
   * @throws DomainError as `describe`, and as `requireRecipient`, whose conditions are looked at again; the ticket is not
   *   spent then.
   */
  async redeem(caller: Caller, ticket: string): Promise<Credential> {
    const found = await this.#find(ticket)
    const { tenantId, tokenId, userId } = found
    const nowMs = this.#clock()
    await this.#requireOpen(this.#storage.read, found)
    const secret = await this.#openSecret(tenantId, tokenId)
    return this.#storage.transaction(async (stores) => {
      if (!(await stores.otpTokens.hold(tenantId, tokenId))) throw ticketNotFound()
      const token = await this.#requireOpen(stores, found)
      const { user } = await requireRecipient(stores, token, userId, nowMs)
      if (!(await stores.tickets.spend(found, nowMs))) throw ticketNotFound()
      await recordRetrieval(stores, caller, token, { userId, by: 'TICKET' })
      return credentialOf(token, user, secret)
    })
  }

  async #find(ticket: string): Promise<Ticket> {
    const found = ticketPattern.test(ticket)
      ? await this.#storage.read.tickets.find(sha256Hex(ticket))
      : undefined
    if (found === undefined) throw ticketNotFound()
    return found
  }

  /** @returns the ticket's token. */
  async #requireOpen({ otpTokens, tenants }: Stores, ticket: Ticket): Promise<OtpToken> {
    const { tenantId, tokenId, state, expiresAtMs } = ticket
    const token = await otpTokens.find(tenantId, tokenId)
    const tenant = await tenants.find(tenantId)
    const isOver = state === 'SPENT' || expiresAtMs <= this.#clock()
    if (token === undefined || tenant?.status !== 'ACTIVE' || isOver) throw ticketNotFound()
    if (token.confined) {
      throw new DomainError('token_confined', 'The credential of this token is confined.')
    }
    if (state === 'REVOKED') throw ticketNotFound()
    return token
  }

  async #openSecret(tenantId: string, tokenId: string): Promise<Uint8Array> {
    const sealed = await this.#storage.read.otpTokens.findSealedSecret(tenantId, tokenId)
    if (sealed === undefined) throw tokenNotFound()
    return this.#vault.open(secretPlace(tenantId, tokenId), sealed)
  }

  async #requireAllowed(tenantId: string, url: string | undefined): Promise<void> {
    if (url === undefined) return
    const { callbacks } = await this.#settings.settingsOf(tenantId)
    if (isOriginAllowed(url, callbacks.allowedOrigins)) return
    throw new DomainError('url_not_allowed', 'The address is outside the allow-list.', {
      pointer: '/provisioningUrl',
    })
  }
}

async function recordRetrieval(
  { journal }: Stores,
  caller: Caller,
  { tenantId, id, serial }: OtpToken,
  { userId, by }: { userId: string; by: 'AGENT' | 'TICKET' },
): Promise<void> {
  await journal.append(caller, tenantId, {
    action: 'otp-token.credential-retrieved',
    target: tokenTarget(id),
    userId,
    detail: { serial, by },
  })
}

/** Unknown, spent, revoked and expired tickets are not told apart. */
function ticketNotFound(): DomainError {
  return new DomainError('ticket_not_found', 'The link is unknown or no longer valid.')
}
