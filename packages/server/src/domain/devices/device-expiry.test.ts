import { expect, test } from 'vitest'
import { testCaller } from '#test/support/core.ts'
import { createPlatformApi } from '#test/support/platform-api.ts'
import { enrolDevice } from '#test/support/test-device.ts'

test('what has expired goes, in all tenants; what still counts stays', async () => {
  await using api = await createPlatformApi()
  const { core, composed } = api.app
  const { read } = composed.storage
  for (const tenantId of ['acme', 'shop']) {
    await api.createTenant(tenantId)
    const device = await enrolDevice(api, { tenantId })
    await device.login()
    const dpop = { jti: 'D'.repeat(22) }
    await device.call('GET /device', { dpop })
    await core.deviceExpiry.removeExpired()
    expect((await device.call('GET /device', { dpop })).body.code).toBe('replayed')
    await core.devices.disconnect(testCaller(tenantId, ['tenant:write']), tenantId, device.id)
    const events = () => read.deviceEvents.listAfter({ tenantId, deviceId: device.id }, '', 10)
    api.clock.advance(86_400_000)
    await core.deviceExpiry.removeExpired()
    expect(await events()).toHaveLength(1)
    api.clock.advance(1)
    await core.deviceExpiry.removeExpired()
    expect(await events()).toEqual([])
    const { keyThumbprint } = await core.devices.get(
      testCaller(tenantId, ['tenant:read']),
      tenantId,
      device.id,
    )
    const proof = { tenantId, keyThumbprint, jti: dpop.jti, untilMs: api.clock() + 1 }
    const isNew = await composed.storage.transaction((stores) =>
      stores.deviceSessions.remember(proof),
    )
    expect(isNew).toBe(true)
  }
})
