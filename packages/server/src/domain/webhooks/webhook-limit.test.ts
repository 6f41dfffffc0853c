import { expect, test } from 'vitest'
import { systemRandomness } from '#custody/randomness.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  testCaller,
} from '#test/support/core.ts'
import { OutboundRule } from '../tenants/outbound-rule.ts'
import { endpointsPerTenantMax } from './webhook-endpoint.ts'
import { WebhookService } from './webhook-service.ts'

test.each(engines)(
  'R4: of endpoints that are created at once beside the last but one, one is, on %s',
  async (engine) => {
    await using core = await createReadyTestCore({ engine })
    const outbound = new OutboundRule({ hosts: [], ranges: [] })
    const webhooks = new WebhookService({ ...core, outbound, randomness: systemRandomness })
    const tenantId = 'acme'
    await core.tenants.create(platformAdmin, { id: tenantId, name: tenantId })
    const admin = testCaller(tenantId, ['tenant:write', 'tenant:read'])
    const create = () => webhooks.create(admin, tenantId, { url: 'https://portal.example/events' })
    for (let n = 1; n < endpointsPerTenantMax; n++) await create()
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, create))
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(outcomes.length - 1)
    for (const outcome of refused) {
      expect(outcome).toMatchObject({ reason: refusal('limit_reached') })
    }
    const { items } = await webhooks.list(admin, tenantId, { limit: 200 })
    expect(items).toHaveLength(endpointsPerTenantMax)
  },
  60_000,
)
