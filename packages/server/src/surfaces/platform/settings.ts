import type { SettingsView } from '#domain/tenants/settings-service.ts'
import type { Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { toInstant } from './wire.ts'

/** All settings of a tenant. */
export const getSettings: Endpoint<'getSettings'> = async ({ core, caller, params }) => ({
  status: 200,
  body: toSettings(await core.settings.get(caller, params.tenantId)),
})

/** Changes settings, member by member. */
export const updateSettings: Endpoint<'updateSettings'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const update = { patch: body, callbackSecret: body.okm?.callbackSecret }
  return {
    status: 200,
    body: toSettings(await core.settings.update(caller, params.tenantId, update)),
  }
}

function toSettings({ settings, updatedAtMs }: SettingsView): Schemas['Settings'] {
  return { ...settings, updatedAt: toInstant(updatedAtMs) }
}
