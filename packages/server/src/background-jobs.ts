import { platformTenantId } from '#domain/callers/caller.ts'
import type { Storage } from '#domain/storage.ts'
import type { ComposedCore } from './compose-core.ts'
import type { Job } from './housekeeping.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const tenantsAtOnce = 100
/** Of audit records that belong to no tenant. */
const platformUploadDays = 30

/** What one process of the installation does beside serving. */
export function backgroundJobs(composed: ComposedCore): readonly Job[] {
  const { core, storage, retention, tenantPurge, otpListExpiry } = composed
  const { accessTokens, usage, refusals, holder, cabinets, userRecords } = composed
  return [
    { name: 'tenant-purge', everyMs: 5 * secondMs, run: () => tenantPurge.continueAll() },
    {
      name: 'idempotency-expiry',
      everyMs: minuteMs,
      run: () => core.idempotency.removeExpired(core.clock()),
    },
    { name: 'otp-list-expiry', everyMs: minuteMs, run: () => otpListExpiry.removeExpired() },
    {
      name: 'approval-deadlines',
      everyMs: secondMs,
      run: () => core.approvalEnding.expireDue(),
    },
    { name: 'approval-erasure', everyMs: minuteMs, run: () => core.approvalEnding.eraseDue() },
    { name: 'nonce-expiry', everyMs: minuteMs, run: () => core.nonceExpiry.removeExpired() },
    { name: 'device-expiry', everyMs: minuteMs, run: () => core.deviceExpiry.removeExpired() },
    {
      name: 'signer-closing',
      everyMs: 5 * secondMs,
      run: () => core.pki.signerClosing.closeDue(),
    },
    { name: 'access-token-keys', everyMs: minuteMs, run: () => accessTokens.maintainKeys(holder) },
    {
      name: 'checkpoints',
      everyMs: minuteMs,
      run: () => core.checkpoints.createHourly(chainIds(storage)),
    },
    {
      name: 'retention',
      everyMs: hourMs,
      async run() {
        for await (const tenantId of tenantIds(storage)) {
          const kept = (await core.settings.settingsOf(tenantId)).retention
          if (kept.auditDays !== null) await retention.apply(tenantId, kept.auditDays)
          await cabinets.uploadExpiry.removeUploads(tenantId, kept.webhookDeliveryDays)
          await composed.outboxRetention.apply(tenantId, kept.webhookDeliveryDays)
        }
        await cabinets.uploadExpiry.removeUploads(platformTenantId, platformUploadDays)
      },
    },
    { name: 'audit-event-feed', everyMs: secondMs, run: () => cabinets.eventFeed.run() },
    {
      name: 'audit-upload-repeats',
      everyMs: minuteMs,
      run: () => cabinets.uploadExpiry.removeSeen(),
    },
    // Each process has its own: what it may issue, and what it saw of its callers.
    { name: `issuance-${holder}`, everyMs: secondMs, run: () => core.pki.issuance.issueDue() },
    { name: `journal-users-${holder}`, everyMs: secondMs, run: () => userRecords.continueDue() },
    { name: `usage-${holder}`, everyMs: secondMs, run: () => usage.flush() },
    {
      name: `cabinet-contacts-${holder}`,
      everyMs: secondMs,
      run: () => cabinets.contacts.flush(),
    },
    { name: `refusals-${holder}`, everyMs: 10 * secondMs, run: () => refusals.flush() },
  ]
}

async function* chainIds(storage: Storage): AsyncGenerator<string> {
  yield platformTenantId
  yield* tenantIds(storage)
}

async function* tenantIds(storage: Storage): AsyncGenerator<string> {
  for (let afterNumber = 0; ; ) {
    const tenants = await storage.read.tenants.list({ afterNumber, limit: tenantsAtOnce })
    for (const { id } of tenants) yield id
    const last = tenants.at(-1)
    if (last === undefined) return
    afterNumber = last.number
  }
}
