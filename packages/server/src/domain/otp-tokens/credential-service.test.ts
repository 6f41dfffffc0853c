import { parseOtpauth } from '@countersign/protocol/otp/otpauth.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemRandomness } from '#custody/randomness.ts'
import { engines, platformAdmin, testCaller } from '#test/support/core.ts'
import {
  createTokenBench,
  rfcSecretHex,
  type TokenBench,
  tenantId,
} from '#test/support/otp-tokens.ts'
import { CredentialService } from './credential-service.ts'
import type { HeldToken } from './otp-token.ts'

describe.each(engines)('credentials on %s', (engine) => {
  let bench: TokenBench
  let credentials: CredentialService
  const bearer = testCaller(null, [], { type: 'ANONYMOUS', id: null, surface: 'dualshield' })
  const dayMs = 24 * 60 * 60 * 1000

  beforeAll(async () => {
    bench = await createTokenBench({ engine })
    const { storage, vault, settings, clock } = bench.core
    const randomness = systemRandomness
    credentials = new CredentialService({ storage, vault, settings, randomness, clock })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const addToken = () =>
    bench.addToken({
      product: { manufacturerCode: 'DN', productCode: 'MT' },
      type: 'TOTP',
      user: { id: 'jsmith' },
    })
  const issue = ({ id }: HeldToken, userId?: string) =>
    credentials.issueTicket(bench.admin, tenantId, { tokenId: id, userId })
  const redeem = (ticket: string) => credentials.redeem(bearer, ticket)
  const notFound = { code: 'ticket_not_found' }

  test('a ticket gives the credential once, and looking at it gives none', async () => {
    const token = await addToken()
    const { ticket, expiresAtMs } = await issue(token)
    expect(expiresAtMs).toBe(bench.core.clock() + dayMs)
    for (let times = 0; times < 2; times++) {
      expect(await credentials.describe(ticket)).toEqual({
        productName: 'MobileID',
        serial: token.serial,
        expiresAtMs,
      })
    }
    const { otpauthUri, secretBase32 } = await redeem(ticket)
    expect(secretBase32).toBe('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ')
    expect(parseOtpauth(otpauthUri)).toMatchObject({
      issuer: 'default',
      account: 'jsmith@example.com',
      period: 30,
      secret: new Uint8Array(Buffer.from(rfcSecretHex, 'hex')),
    })
    await expect(redeem(ticket)).rejects.toMatchObject(notFound)
    await expect(credentials.describe(ticket)).rejects.toMatchObject(notFound)
    const ofToken = (await bench.journal()).filter(({ target }) => target?.id === token.id)
    expect(ofToken.slice(2)).toMatchObject([
      { action: 'otp-token.ticket-issued', userId: 'jsmith' },
      { action: 'otp-token.credential-retrieved', userId: 'jsmith', detail: { by: 'TICKET' } },
    ])
    expect(JSON.stringify(ofToken)).not.toContain(ticket)
  })

  test('R4: of 20 who redeem one ticket at once, one gets the credential', async () => {
    const { ticket } = await issue(await addToken())
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => redeem(ticket)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(notFound)
    }
  })

  test('an assignment has one open ticket: the next one voids the one before', async () => {
    const token = await addToken()
    const tickets = await Promise.all([issue(token), issue(token), issue(token)])
    const outcomes = await Promise.allSettled(tickets.map(({ ticket }) => redeem(ticket)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('a ticket ends after 24 hours', async () => {
    const { ticket, expiresAtMs } = await issue(await addToken())
    bench.core.clock.set(expiresAtMs - 1)
    await credentials.describe(ticket)
    bench.core.clock.set(expiresAtMs)
    await expect(redeem(ticket)).rejects.toMatchObject(notFound)
    await expect(credentials.describe(ticket)).rejects.toMatchObject(notFound)
  })

  test('confine voids tickets for good; while it lasts the reason is told', async () => {
    const token = await addToken()
    const target = { tokenId: token.id }
    const { ticket } = await issue(token)
    await bench.tokens.confine(bench.admin, tenantId, token.id)
    const confined = { code: 'token_confined' }
    await expect(redeem(ticket)).rejects.toMatchObject(confined)
    await expect(credentials.describe(ticket)).rejects.toMatchObject(confined)
    await expect(issue(token)).rejects.toMatchObject(confined)
    await expect(credentials.retrieve(bench.admin, tenantId, target)).rejects.toMatchObject(
      confined,
    )
    await expect(credentials.drawQr(bench.admin, tenantId, target)).rejects.toMatchObject(confined)
    await bench.tokens.release(bench.admin, tenantId, token.id)
    await expect(redeem(ticket)).rejects.toMatchObject(notFound)
    const fresh = await issue(token)
    await expect(redeem(fresh.ticket)).resolves.toMatchObject({ token: { serial: token.serial } })
  })

  test('of confine and redeem at once, confine wins or comes after', async () => {
    for (let round = 0; round < 5; round++) {
      const token = await addToken()
      const { ticket } = await issue(token)
      await Promise.allSettled([
        redeem(ticket),
        bench.tokens.confine(bench.admin, tenantId, token.id),
      ])
      await expect(redeem(ticket)).rejects.toMatchObject({
        code: expect.stringMatching(/^(ticket_not_found|token_confined)$/),
      })
    }
  })

  test('conditions are looked at again when a ticket is redeemed, and a refusal spends nothing', async () => {
    const token = await addToken()
    const held = { tokenId: token.id, userId: 'jsmith' }
    const { ticket } = await issue(token)
    const { admin } = bench
    await bench.tokens.update(admin, tenantId, token.id, { status: 'DISABLED' })
    await expect(redeem(ticket)).rejects.toMatchObject({ code: 'token_not_active' })
    await bench.tokens.update(admin, tenantId, token.id, { status: 'ACTIVE' })
    await bench.assignments.lock(admin, tenantId, held)
    await expect(redeem(ticket)).rejects.toMatchObject({ code: 'assignment_not_active' })
    await bench.assignments.unlock(admin, tenantId, held)
    await bench.users.update(admin, tenantId, 'jsmith', { status: 'DISABLED' })
    await expect(redeem(ticket)).rejects.toMatchObject({ code: 'user_disabled' })
    await bench.users.update(admin, tenantId, 'jsmith', { status: 'ACTIVE' })
    await expect(redeem(ticket)).resolves.toMatchObject({ token: { id: token.id } })
  })

  test('who is unassigned, and what is deleted, leaves no ticket that works', async () => {
    const one = await addToken()
    const held = { tokenId: one.id, userId: 'jsmith' }
    const first = await issue(one)
    await bench.assignments.delete(bench.admin, tenantId, held)
    await bench.assignments.create(bench.admin, tenantId, one.id, { user: { id: 'jsmith' } })
    await expect(redeem(first.ticket)).rejects.toMatchObject(notFound)
    const second = await issue(one)
    await bench.tokens.delete(bench.admin, tenantId, one.id)
    await expect(redeem(second.ticket)).rejects.toMatchObject(notFound)
  })

  test('without a user, the token must have exactly one', async () => {
    const token = await addToken()
    await bench.assignments.create(bench.admin, tenantId, token.id, {
      user: { id: 'mjones' },
      shared: true,
    })
    await expect(issue(token)).rejects.toMatchObject({ code: 'ambiguous_reference' })
    const { ticket } = await issue(token, 'mjones')
    expect(parseOtpauth((await redeem(ticket)).otpauthUri).account).toBe('mjones@example.com')
    await expect(issue(await bench.addToken())).rejects.toMatchObject({ code: 'not_assigned' })
    await expect(issue(token, 'nobody')).rejects.toMatchObject({ code: 'not_assigned' })
  })

  test('a hardware token’s secret is never read back', async () => {
    const token = await bench.addToken({
      product: { manufacturerCode: 'DN', productCode: 'ST' },
      type: 'TOTP',
      user: { id: 'jsmith' },
    })
    await expect(issue(token)).rejects.toMatchObject({ code: 'not_supported' })
  })

  test('a link leads to our own address or to an origin on the tenant’s list', async () => {
    const token = await addToken()
    const request = (provisioningUrl: string) =>
      credentials.issueTicket(bench.admin, tenantId, { tokenId: token.id, provisioningUrl })
    await expect(request('https://evil.example/x')).rejects.toMatchObject({
      code: 'url_not_allowed',
    })
    const callbacks = { allowedOrigins: ['https://*.acme.example'] }
    await bench.core.settings.update(bench.admin, tenantId, { patch: { callbacks } })
    await expect(request('https://get.acme.example/x')).resolves.toMatchObject({
      ticket: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    })
  })

  test('agents get the credential or its picture, every time on record; nobody else does', async () => {
    const token = await addToken()
    const target = { tokenId: token.id }
    const first = await credentials.retrieve(bench.admin, tenantId, target)
    expect(await credentials.retrieve(bench.admin, tenantId, target)).toEqual(first)
    const png = await credentials.drawQr(bench.admin, tenantId, target)
    expect(Buffer.from(png).subarray(1, 4).toString()).toBe('PNG')
    const records = await bench.journal('otp-token.credential-retrieved')
    expect(records.filter((record) => record.target?.id === token.id)).toHaveLength(3)
    await expect(credentials.retrieve(bench.reader, tenantId, target)).rejects.toMatchObject({
      code: 'forbidden',
    })
    await expect(credentials.retrieve(bench.stranger, 'other', target)).rejects.toMatchObject({
      code: 'token_not_found',
    })
  })

  test('a disabled tenant’s tickets do not work; nonsense is no ticket', async () => {
    const { ticket } = await issue(await addToken())
    await bench.core.tenants.update(platformAdmin, tenantId, { status: 'DISABLED' })
    await expect(redeem(ticket)).rejects.toMatchObject(notFound)
    await bench.core.tenants.update(platformAdmin, tenantId, { status: 'ACTIVE' })
    await expect(redeem(`${ticket.slice(0, -1)}!`)).rejects.toMatchObject(notFound)
    await expect(redeem('')).rejects.toMatchObject(notFound)
    await expect(redeem(ticket)).resolves.toBeDefined()
  })
})
