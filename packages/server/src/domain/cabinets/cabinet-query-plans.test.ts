import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StatementWatch } from '#test/storage/query-plans.ts'
import { createReadyTestCore, platformAdmin, type TestCore } from '#test/support/core.ts'
import {
  acme,
  benchParts,
  cabinetDraft,
  device,
  firmwareWriter,
  firstPage,
  vectorAcl,
} from './cabinets.fixture.ts'
import type { CabinetParts } from './compose-cabinets.ts'

const watch = new StatementWatch()
let core: TestCore
let parts: CabinetParts

beforeAll(async () => {
  core = await createReadyTestCore({ observer: watch })
  parts = benchParts(core)
  await core.tenants.create(platformAdmin, { id: 'acme', name: 'Acme' })
  await parts.services.cabinets.register(acme, 'acme', cabinetDraft())
  await parts.services.cabinetAcls.put(acme, 'acme', vectorAcl())
})
afterAll(() => core[Symbol.asyncDispose]())

/** How SQLite would run the statements that `work` runs, and how many those are. */
async function plansOf(work: () => Promise<unknown>): Promise<{ plans: string[]; count: number }> {
  const plans = await watch.plansOf(core.test.url, work)
  return { plans: plans.flatMap(({ accesses }) => accesses), count: plans.length }
}

/** Reads a table from end to end, or sorts what it has read. */
const grows = /^SCAN (?!CONSTANT)|TEMP B-TREE/
const { serial, id } = cabinetDraft()
const request = { serial, isBurntInPath: false, configUrl: '/c', auditUrl: '/a', report: {} }

describe('no statement reads a number of rows that grows with the tenant', () => {
  test('a poll with nothing to tell is one statement', async () => {
    await parts.services.cabinetPolls.poll(device(serial), request)
    const { plans, count } = await plansOf(() =>
      parts.services.cabinetPolls.poll(device(serial), request),
    )
    expect(count).toBe(1)
    expect(plans.filter((plan) => !plan.startsWith('SEARCH'))).toEqual([])
    expect(plans[0]).toContain('cabinet_serial (folded_serial=?)')
  })

  test.each<[string, () => Promise<unknown>]>([
    [
      'linking',
      () => {
        const pair = { aclId: vectorAcl().id, cabinetId: id }
        return parts.services.cabinetAclLinks.create(acme, 'acme', pair)
      },
    ],
    [
      'overwriting a list',
      () => parts.services.cabinetAcls.put(acme, 'acme', vectorAcl({ users: [] })),
    ],
    ['a list that grows', () => parts.services.cabinetAcls.put(acme, 'acme', vectorAcl())],
    [
      'a poll behind a change',
      () => {
        const report = { assetList: 'x', usersAssets: 'x' }
        return parts.services.cabinetPolls.poll(device(serial), { ...request, report })
      },
    ],
    ['a page of cabinets', () => parts.services.cabinets.list(acme, 'acme', firstPage)],
    ['a page of lists', () => parts.services.cabinetAcls.list(acme, 'acme', firstPage)],
    ['a page of links', () => parts.services.cabinetAclLinks.list(acme, 'acme', firstPage)],
    [
      'firmware',
      async () => {
        const entry = { type: 'OKM', version: '1', url: 'https://x.example/1' } as const
        await parts.services.cabinetFirmware.create(firmwareWriter, entry)
        await parts.services.cabinetFirmware.list(firmwareWriter, firstPage)
        await parts.services.cabinetFirmware.list(firmwareWriter, { ...firstPage, type: 'OKM' })
        await parts.services.cabinetPolls.poll(device(serial), request)
      },
    ],
    [
      'an unknown cabinet',
      () => parts.services.cabinetPolls.poll(device('new'), { ...request, serial: 'new' }),
    ],
    ['noted calls', () => parts.contacts.flush()],
    [
      'a subscription',
      async () => {
        const draft = { startAtMs: 0, fetchLimit: 10, readIntervalSeconds: 1 }
        const endpointUrl = 'https://hooks.example.com/audit'
        await parts.services.auditSubscriptions.subscribe(acme, 'acme', { ...draft, endpointUrl })
        await parts.services.auditSubscriptions.get(acme, 'acme')
      },
    ],
    [
      'an upload',
      () =>
        parts.services.cabinetAudit.upload(device(serial), serial, {
          kind: 'binary',
          contentType: 'application/octet-stream',
          bytes: Buffer.alloc(40),
        }),
    ],
    ['the reading of events', () => parts.eventFeed.run()],
    [
      'what is over',
      async () => {
        await parts.uploadExpiry.removeSeen()
        await parts.uploadExpiry.removeUploads('acme', 1)
      },
    ],
    ['unlinking with the cabinet', () => parts.services.cabinets.delete(acme, 'acme', id)],
    ['removing a list', () => parts.services.cabinetAcls.delete(acme, 'acme', vectorAcl().id)],
  ])('%s', async (_, work) => {
    const { plans } = await plansOf(work)
    expect(plans.length).toBeGreaterThan(0)
    expect(plans.filter((plan) => grows.test(plan))).toEqual([])
  })
})
