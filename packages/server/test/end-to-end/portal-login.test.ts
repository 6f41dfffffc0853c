import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { documentOf, runCommand } from '#test/support/commands.ts'
import { createPhoneScene, type PhoneScene } from '#test/support/phone-scene.ts'
import { type Receiver, startReceiver } from '#test/support/receiver.ts'

/** A portal as somebody writes it who has nothing but HTTP, and a phone that is a process of its own. */
describe('login at a portal by a nonce', () => {
  let scene: PhoneScene
  let portal: Receiver
  let token = ''
  let userId = ''
  let folder = ''
  beforeAll(async () => {
    scene = await createPhoneScene({ env: { COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8' } })
    portal = await startReceiver()
    folder = mkdtempSync(join(tmpdir(), 'countersign-portal-'))
    writeFileSync(join(folder, 'pin'), '1234\n')
    const callbacks = { allowedOrigins: [new URL(portal.url).origin] }
    await scene.call('PATCH', '/tenants/acme/settings', { callbacks })
    const account = { tenantId: 'acme', scopes: ['ast:write'] }
    token = String((await scene.call('POST', '/service-accounts', account)).secret)
    const end = await phone(await scene.newCode(), '--enrol', '-', '--count', '0')
    expect(end, end.stderr).toMatchObject({ code: 0 })
    userId = (documentOf(end).phones as { userId: string }[])[0]?.userId ?? ''
  }, 60_000)
  afterAll(async () => {
    await scene[Symbol.asyncDispose]()
    await portal[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  const phone = (stdin: string, ...args: readonly string[]) =>
    runCommand(['simulate', 'phone', '--json', '--state', 'phones', '--pin-file', 'pin', ...args], {
      stdin,
      cwd: folder,
    })

  async function ast(path: string, body?: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${scene.url}/ast/v1/tenants/acme${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    expect(response.ok).toBe(true)
    return (await response.json()) as Record<string, unknown>
  }

  test('by the QR code: the phone shows the portal, the portal hears who it is', async () => {
    const payload = { callbackUrl: portal.url, portalSessionId: 'browser-1' }
    const { nonce } = await ast('/nonces', { action: 'LOGIN_NONCE', payload })
    const qr = new URLSearchParams({
      v: '1',
      server: scene.url,
      tenant: 'acme',
      nonce: String(nonce),
      action: 'LOGIN_NONCE',
    })
    const text = `countersign://nonce?${qr}`
    const end = await phone(text, '--redeem', '-', '--approve-all')
    expect(end, end.stderr).toMatchObject({ code: 0 })
    const origin = new URL(portal.url).origin
    expect(documentOf(end).redemptions).toEqual([
      { phone: 'phone', portal: origin, action: 'LOGIN_NONCE', status: 'REDEEMED' },
    ])
    expect(end.stderr).toContain(`│ ${origin}`)
    await portal.waitFor(1)
    expect(JSON.parse(portal.received[0]?.body.toString() ?? '')).toMatchObject({
      nonce,
      portalSessionId: 'browser-1',
      loginEvent: { userId },
    })
  })

  test('by a short code with a transaction, which the same phone signs', async () => {
    const tms = { tmsData: { text: 'Log in at Acme on host-7' } }
    const { nonce } = await ast('/nonces?type=short', {
      action: 'TMS_NONCE',
      payload: { callbackUrl: portal.url, tms },
    })
    const typed = String(nonce)
      .toLowerCase()
      .replace(/(.{4})/, '$1-')
    const end = await phone('', '--redeem', typed, '--tms', '--approve-all')
    expect(end, end.stderr).toMatchObject({ code: 0 })
    const [redemption] = documentOf(end).redemptions as { approvalId: string }[]
    expect(documentOf(end).decisions).toMatchObject([
      { approvalId: redemption?.approvalId, text: 'Log in at Acme on host-7', status: 'APPROVED' },
    ])
    expect(await ast(`/tms/${redemption?.approvalId}/result`)).toMatchObject({
      info: { status: 'ACCEPTED' },
      signedData: expect.stringMatching(/^MI/),
    })
  })

  test('a person who does not want to is not logged in, and the code is still good', async () => {
    const payload = { callbackUrl: portal.url }
    const { nonce } = await ast('/nonces', { action: 'LOGIN_NONCE', payload })
    const declined = await phone('', '--redeem', String(nonce), '--reject-all')
    expect(documentOf(declined).redemptions).toMatchObject([{ status: 'DECLINED' }])
    const told = () => portal.received.filter(({ body }) => body.includes(String(nonce)))
    expect(told()).toEqual([])
    const redeemed = await phone('', '--redeem', String(nonce), '--approve-all')
    expect(documentOf(redeemed).redemptions).toMatchObject([{ status: 'REDEEMED' }])
  })
})
