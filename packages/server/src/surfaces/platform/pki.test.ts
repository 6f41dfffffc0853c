import { compactVerify, importJWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { createPlatformApi } from '#test/support/platform-api.ts'

describe('getTenantJwks', () => {
  test('200 the public keys that any JOSE library checks a checkpoint with', async () => {
    await using api = await createPlatformApi()
    await api.createTenant('acme')
    const auditor = await api.createAccount('acme', ['audit:read'])
    const checkpoint = await api.call('POST /api/v1/tenants/acme/audit/checkpoints', {
      as: auditor,
    })
    const { status, body, headers } = await api.call('GET /pki/acme/jwks', { as: null })
    expect(status).toBe(200)
    expect(headers['cache-control']).toContain('public')
    expect(Object.keys(body.keys[0]).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    const { payload, protectedHeader } = await compactVerify(
      checkpoint.body.jws,
      await importJWK(body.keys[0], 'ES256'),
    )
    expect(protectedHeader).toMatchObject({ typ: 'countersign-checkpoint+jws' })
    expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({ tenantId: 'acme', v: 1 })
    expect(await api.call('GET /pki/_platform/jwks', { as: null })).toMatchObject({ status: 200 })
    expect(await api.call('GET /pki/nobody/jwks', { as: null })).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    })
  })
})
