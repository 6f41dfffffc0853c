import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startIdentityProvider } from '../support/identity-provider.ts'
import { createPlatformApi, type PlatformApi } from '../support/platform-api.ts'

test('a server that is started again while the identity provider is away takes its tokens', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-issuers-'))
  const env = {
    COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8',
    COUNTERSIGN_DATABASE_URL: `sqlite:${join(folder, 'test.db')}`,
  }
  await using realm = await startIdentityProvider()
  try {
    const first = await createPlatformApi(env)
    realm.clock = first.clock
    await first.createTenant('acme')
    const body = { issuer: realm.issuer, jwksUri: realm.jwksUri, audiences: ['ast'] }
    const made = await first.call('POST /api/v1/tenants/acme/trusted-issuers', { body })
    expect(made.status).toBe(201)
    const token = realm.token()
    expect(await readSigners(first, token)).toBe(200)
    expect(await readSigners(first, realm.token({ aud: 'else' }))).toBe(401)
    const metrics = await first.app.metrics.render()
    expect(metrics).toContain('countersign_issuer_tokens_total{outcome="accepted"} 1')
    expect(metrics).toContain('countersign_issuer_tokens_total{outcome="refused"} 1')
    expect(metrics).toContain('countersign_issuer_key_fetches_total{outcome="fetched"} 1')
    await first[Symbol.asyncDispose]()
    await realm[Symbol.asyncDispose]()

    await using second = await createPlatformApi(env)
    second.clock.advance(240_000)
    expect(await readSigners(second, token)).toBe(200)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

async function readSigners({ origin }: PlatformApi, bearer: string): Promise<number> {
  const headers = { authorization: `Bearer ${bearer}` }
  return (await fetch(`${origin}/ast/v2/tenants/acme/signers`, { headers })).status
}
