import { execFileSync } from 'node:child_process'
import { createHash, createPublicKey, verify, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ApprovalBench, createApprovalBench, tenantId } from '#test/support/approvals.ts'
import { platformAdmin } from '#test/support/core.ts'
import { loopbackAllowed, startDispatcher, until } from '#test/support/delivery.ts'
import type { Phone } from '#test/support/phone.ts'
import { type Received, startReceiver } from '#test/support/receiver.ts'
import { portalOf } from './nonce.ts'
import type { ShownNonce } from './nonce-service.ts'

describe('callbacks of nonces', () => {
  let bench: ApprovalBench
  let phone: Phone
  beforeAll(async () => {
    bench = await createApprovalBench('sqlite', { outboundAllow: loopbackAllowed })
    phone = await bench.enrol(await bench.createUser())
    await phone.certify()
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const allowOnly = (...allowedOrigins: string[]) =>
    bench.core.settings.update(bench.admin, tenantId, { patch: { callbacks: { allowedOrigins } } })

  /** A nonce of a portal, which is redeemed at once. */
  async function redeemAt(callbackUrl: string): Promise<ShownNonce> {
    await allowOnly(new URL(callbackUrl).origin)
    const made = await bench.core.nonces.create(bench.ast, tenantId, {
      form: 'default',
      action: 'LOGIN_NONCE',
      portalSessionId: 'session',
      callbackUrl,
      tms: undefined,
    })
    await redeem(made)
    return made
  }

  async function redeem({ shown, nonce }: ShownNonce): Promise<void> {
    const session = await phone.session({ factor: 'pin', verifiedAtMs: bench.clock() })
    await bench.core.nonceRedemptions.redeem(session, { nonce: shown, action: nonce.action })
  }

  const kinds = () => [bench.core.nonceCallbacks]
  const start = (options?: Parameters<typeof startDispatcher>[2]) =>
    startDispatcher(bench, kinds(), options)

  /** What the outbox has for a portal. */
  async function messagesFor({ nonce }: ShownNonce) {
    const target = { tenantId, target: portalOf(nonce) }
    const { outbox } = bench.storage.read
    return (await outbox.listLog(target, {}, { beforeId: 'Z', limit: 10 })).messages
  }

  test('are signed by the tenant’s ACTIVE signer, as node:crypto and openssl see it, over the very bytes', async () => {
    await using receiver = await startReceiver()
    await using _dispatcher = start()
    const { shown } = await redeemAt(receiver.url)
    await receiver.waitFor(1)
    const [received] = receiver.received
    if (received === undefined) throw new Error('Nothing came.')
    expect(received.headers['content-type']).toBe('application/json')
    expect(JSON.parse(received.body.toString())).toEqual({
      timestamp: bench.clock(),
      nonce: shown,
      portalSessionId: 'session',
      loginEvent: { astClientId: phone.id, userId: phone.userId },
    })
    const { header, leaf, root } = verified(received)
    const jwk = createPublicKey(leaf.publicKey.export({ format: 'pem', type: 'spki' })).export({
      format: 'jwk',
    })
    const thumbprint = createHash('sha256')
      .update(JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }))
      .digest('base64url')
    expect(header).toEqual({
      alg: 'ES256',
      typ: 'nonce-callback+jws',
      kid: thumbprint,
      x5c: [leaf, root].map(({ raw }) => raw.toString('base64')),
    })
    const anchor = await bench.core.pki.roots.anchor(tenantId)
    expect(root.raw.equals(anchor)).toBe(true)
    openssl(leaf, root)
    const changed = { ...received, body: Buffer.from(received.body.toString().replace('s', 'S')) }
    expect(() => verified(changed)).toThrow('The signature')
  })

  test('are checked by the lines that docs/surfaces/ast.md gives to portals', async () => {
    await using receiver = await startReceiver()
    await using _dispatcher = start()
    await redeemAt(receiver.url)
    await receiver.waitFor(1)
    const document = new URL('../../../../../docs/surfaces/ast.md', import.meta.url)
    const [, lines = ''] = /```js\n(.*?)```/s.exec(readFileSync(document, 'utf8')) ?? []
    const portal = await import(`data:text/javascript,${encodeURIComponent(lines)}`)
    const isGenuine = portal.isGenuine as (header: string, body: Buffer, root: unknown) => boolean
    const [{ headers, body } = { headers: {}, body: Buffer.of() }] = receiver.received
    const signature = (headers as Record<string, string>)['countersign-signature'] ?? ''
    const root = new X509Certificate(await bench.core.pki.roots.anchor(tenantId))
    vi.useFakeTimers({ toFake: ['Date'], now: bench.clock() })
    try {
      expect(isGenuine(signature, body, root)).toBe(true)
      expect(isGenuine(signature, Buffer.concat([body, Buffer.from(' ')]), root)).toBe(false)
      await bench.core.tenants.create(platformAdmin, { id: 'shop', name: 'Shop' })
      const other = new X509Certificate(await bench.core.pki.roots.anchor('shop'))
      expect(isGenuine(signature, body, other)).toBe(false)
    } finally {
      vi.useRealTimers()
    }
  })

  test('come again five seconds after a failure, with the same body and a signature that holds', async () => {
    await using receiver = await startReceiver(500)
    await using _dispatcher = start()
    const made = await redeemAt(receiver.url)
    await attemptsOf(made, 1)
    expect((await messagesFor(made))[0]).toMatchObject({ tries: 1, status: 'WAITING' })
    receiver.answerWith(200)
    bench.clock.advance(4_900)
    await until(async () => (await messagesFor(made))[0]?.claim === 1)
    bench.clock.advance(700)
    await receiver.waitFor(2)
    const [first, second] = receiver.received
    expect(second?.body).toEqual(first?.body)
    if (second !== undefined) verified(second)
    await until(async () => (await messagesFor(made)).length === 0)
  })

  test('follow no redirect; a connection that is closed or reset is a failure too', async () => {
    await using elsewhere = await startReceiver()
    await using receiver = await startReceiver((_received, response) => {
      response.writeHead(307, { location: elsewhere.url }).end()
    })
    await using dispatcher = start()
    const made = await redeemAt(receiver.url)
    await attemptsOf(made, 1)
    receiver.answerWith((_received, _response, request) => request.socket.destroy())
    bench.clock.advance(5_600)
    await attemptsOf(made, 2)
    receiver.answerWith((_received, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('half')
      setImmediate(() => response.destroy())
    })
    expect((await messagesFor(made))[0]?.attempts).toMatchObject([
      { statusCode: 307, error: 'REDIRECT' },
      { statusCode: null, error: 'CONNECTION' },
    ])
    // The status counts, whatever becomes of a body that nobody reads.
    bench.clock.advance(11_200)
    await until(() => dispatcher.settled.length === 3)
    expect(dispatcher.settled.map(({ outcome }) => outcome)).toEqual([
      'retried',
      'retried',
      'delivered',
    ])
    expect(elsewhere.received).toEqual([])
  })

  test('are taken by whoever answers 200 with far too much', async () => {
    await using receiver = await startReceiver((_received, response) => {
      response.writeHead(200)
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      }
      response.on('drain', more)
      more()
    })
    await using dispatcher = start()
    await redeemAt(receiver.url)
    await until(() => dispatcher.settled.length === 1)
    expect(dispatcher.settled).toEqual([{ kind: 'nonce-callback', outcome: 'delivered' }])
  })

  test('have five seconds for an answer', async () => {
    const made = await redeemAt('http://127.0.0.1:1/callback')
    const [message] = await messagesFor(made)
    if (message === undefined) throw new Error('Nothing is to be sent.')
    const call = await bench.core.nonceCallbacks.prepare(message, bench.clock())
    expect(call).toMatchObject({ url: 'http://127.0.0.1:1/callback', timeoutMs: 5_000 })
    await settleAll()
  })

  test('go nowhere private, whatever the name said when the nonce was made', async () => {
    await using _receiver = await startReceiver()
    for (const address of ['10.0.0.7', '169.254.169.254', '::1', '::ffff:192.168.0.1']) {
      await using _dispatcher = start({
        allow: { hosts: [], ranges: [] },
        addresses: async () => ['203.0.113.9', address],
      })
      const made = await redeemAt('https://portal.example.com/callback')
      expect(await attemptsOf(made, 1)).toMatchObject([{ error: 'ADDRESS_REFUSED' }])
      await settleAll()
    }
  })

  test('are not sent to an address that has been taken from the list since', async () => {
    await using receiver = await startReceiver()
    const made = await redeemAt(receiver.url)
    await allowOnly('https://another.example.com')
    await using _dispatcher = start()
    expect(await attemptsOf(made, 1)).toMatchObject([{ error: 'ADDRESS_REFUSED' }])
    expect(receiver.received).toEqual([])
    await settleAll()
  })

  test('end with the nonce; an operator who asks for one again later sends nothing', async () => {
    await using receiver = await startReceiver(503)
    await using _dispatcher = start()
    const made = await redeemAt(receiver.url)
    await attemptsOf(made, 1)
    bench.clock.advance(300_000)
    await until(async () => (await messagesFor(made))[0]?.status === 'FAILED')
    receiver.answerWith(200)
    const [message] = await messagesFor(made)
    if (message === undefined) throw new Error('The failure was not kept.')
    await bench.storage.transaction(({ outbox }) =>
      outbox.restart(message, { deadlineMs: bench.clock() + 86_400_000 }),
    )
    await until(async () => (await messagesFor(made))[0]?.status === 'FAILED')
    expect(receiver.received).toHaveLength(1)
  })

  test('are tried for 30 seconds at least when the nonce is redeemed in its last moment', async () => {
    await using receiver = await startReceiver(500)
    await allowOnly(new URL(receiver.url).origin)
    const made = await bench.core.nonces.create(bench.ast, tenantId, {
      form: 'short',
      action: 'LOGIN_NONCE',
      portalSessionId: undefined,
      callbackUrl: receiver.url,
      tms: undefined,
    })
    bench.clock.advance(119_999)
    await redeem(made)
    await using _dispatcher = start()
    await attemptsOf(made, 1)
    receiver.answerWith(204)
    bench.clock.advance(5_600)
    await receiver.waitFor(2)
    const { portalSessionId } = JSON.parse(receiver.received[1]?.body.toString() ?? '')
    expect(portalSessionId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/)
  })

  test('are never sent without a signature: no signer, no call', async () => {
    await using receiver = await startReceiver()
    const made = await redeemAt(receiver.url)
    await bench.core.pki.signers.revoke(bench.admin, tenantId, 'current')
    await using dispatcher = start()
    await until(() => dispatcher.settled.length + dispatcher.failures.length > 0)
    expect(receiver.received).toEqual([])
    expect((await messagesFor(made))[0]).toMatchObject({ tries: 0, status: 'WAITING' })
    await bench.core.pki.signers.create(bench.admin, tenantId, {})
    await bench.core.pki.issuance.issueDue()
    bench.clock.advance(10_000)
    await receiver.waitFor(1)
    for (const received of receiver.received) verified(received)
  })

  /** What has been tried of the callback, once it is written down. */
  async function attemptsOf(made: ShownNonce, count: number) {
    await until(async () => (await messagesFor(made))[0]?.attempts.length === count)
    return (await messagesFor(made))[0]?.attempts
  }

  /** Ends what waits, so that no other test has to do with it. */
  async function settleAll(): Promise<void> {
    bench.clock.advance(400_000)
    await using dispatcher = start()
    await until(async () => (await bench.storage.read.outbox.countWaiting()) === 0)
    expect(dispatcher.failures).toEqual([])
  }
})

/** As a portal checks a callback, with nothing of ours. @throws when the signature does not hold. */
function verified({ headers, body }: Received): {
  readonly header: { readonly x5c: readonly string[] }
  readonly leaf: X509Certificate
  readonly root: X509Certificate
} {
  const [protectedPart = '', payload, signature = ''] = (
    headers['countersign-signature'] ?? ''
  ).split('.')
  if (payload !== '') throw new Error('The payload is not detached.')
  const header = JSON.parse(Buffer.from(protectedPart, 'base64url').toString())
  const [leaf, root] = header.x5c.map(
    (der: string) => new X509Certificate(Buffer.from(der, 'base64')),
  )
  const holds = verify(
    'sha256',
    Buffer.from(`${protectedPart}.${body.toString('base64url')}`),
    { key: leaf.publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  if (!holds) throw new Error('The signature does not hold.')
  return { header, leaf, root }
}

/** @throws unless openssl builds the chain from the signer to the root. */
function openssl(leaf: X509Certificate, root: X509Certificate): void {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-callback-'))
  try {
    writeFileSync(join(folder, 'root.pem'), root.toString())
    writeFileSync(join(folder, 'signer.pem'), leaf.toString())
    // The test's clock stands still.
    const atSeconds = String(Math.floor(Date.parse('2026-11-21T12:00:00Z') / 1000))
    const files = ['-CAfile', join(folder, 'root.pem'), join(folder, 'signer.pem')]
    execFileSync('openssl', ['verify', '-attime', atSeconds, '-x509_strict', ...files])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
