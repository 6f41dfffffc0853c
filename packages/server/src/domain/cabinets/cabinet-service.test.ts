import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, expectAll, refusal, testCaller, waitingRecords } from '#test/support/core.ts'
import { defaultCabinetConfig } from './cabinet.ts'
import {
  acme,
  beta,
  type CabinetBench,
  cabinetDraft,
  createCabinetBench,
  firstPage,
} from './cabinets.fixture.ts'

describe.each(engines)('key cabinets on %s', (engine) => {
  let bench: CabinetBench
  let serialCount = 0
  const newSerial = () => `02ff${String(++serialCount).padStart(12, '0')}`

  beforeAll(async () => {
    bench = await createCabinetBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  test('a registered cabinet is given back as it was written, and nobody else sees it', async () => {
    const { cabinets } = bench.services
    const draft = cabinetDraft({
      id: 'kept',
      serial: '02AB00000000000F',
      config: { ...defaultCabinetConfig, cacheMode: false, cardReader: { slot: [1, 'ü'] } },
      userData: { note: 'a\u0000b', odd: '\ud800' },
      subscribeUrls: { status: ['https://hooks.example.com/s'], other: [1] },
    })
    const cabinet = await cabinets.register(acme, 'acme', draft)
    expect(cabinet).toMatchObject({ ...draft, lastSyncAtMs: null, firmwareVersion: null })
    expect(await cabinets.get(acme, 'acme', 'kept')).toEqual(cabinet)
    await expect(cabinets.get(beta, 'beta', 'kept')).rejects.toThrow(refusal('cabinet_not_found'))
    await expect(cabinets.get(beta, 'acme', 'kept')).rejects.toThrow(refusal('tenant_not_found'))
  })

  test('an id is unique in its tenant, a serial on the server, whatever its case', async () => {
    const { cabinets } = bench.services
    const serial = `02ab${newSerial().slice(4)}`
    await cabinets.register(acme, 'acme', cabinetDraft({ id: 'one', serial }))
    const clashes = [
      cabinets.register(acme, 'acme', cabinetDraft({ id: 'one', serial: newSerial() })),
      cabinets.register(acme, 'acme', cabinetDraft({ id: 'two', serial })),
      cabinets.register(beta, 'beta', cabinetDraft({ id: 'two', serial: serial.toUpperCase() })),
    ]
    await expectAll(clashes, refusal('already_exists'))
    await cabinets.register(beta, 'beta', cabinetDraft({ id: 'one', serial: newSerial() }))
  })

  test('of twenty registrations of one serial in two tenants one succeeds', async () => {
    const { cabinets } = bench.services
    const serial = newSerial()
    const calls = Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0
        ? cabinets.register(acme, 'acme', cabinetDraft({ id: `race-${index}`, serial }))
        : cabinets.register(beta, 'beta', cabinetDraft({ id: `race-${index}`, serial })),
    )
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toEqual(refusal('already_exists'))
    }
  })

  test('replacing takes everything from the new text and keeps what calls told', async () => {
    const { cabinets } = bench.services
    const serial = newSerial()
    const seen = { lastSyncAtMs: 1_000, firmwareVersion: '017' }
    const first = cabinetDraft({ id: 'put', serial, userData: { a: 1 } })
    await cabinets.register(acme, 'acme', first, seen)
    const next = cabinetDraft({ id: 'put', serial: newSerial(), active: false })
    const replaced = await cabinets.replace(acme, 'acme', next)
    expect(replaced).toMatchObject({ ...next, ...seen })
    expect(await cabinets.get(acme, 'acme', 'put')).toEqual(replaced)
    await cabinets.register(beta, 'beta', cabinetDraft({ id: 'freed', serial }))
    await expect(
      cabinets.replace(acme, 'acme', cabinetDraft({ id: 'put', serial })),
    ).rejects.toThrow(refusal('already_exists'))
    await expect(
      cabinets.replace(acme, 'acme', cabinetDraft({ id: 'nobody', serial: newSerial() })),
    ).rejects.toThrow(refusal('cabinet_not_found'))
  })

  test('lists are in order of id, count everything, and end empty', async () => {
    const { cabinets } = bench.services
    const before = (await cabinets.list(beta, 'beta', firstPage)).totalCount
    for (const id of ['z', 'Z', 'ä', '10', '9']) {
      await cabinets.register(beta, 'beta', cabinetDraft({ id, serial: newSerial() }))
    }
    const pages = []
    for (let page = 1; page <= 20; page++) {
      pages.push(await cabinets.list(beta, 'beta', { page, resultsPerPage: 2 }))
    }
    const ids = pages.flatMap(({ items }) => items.map(({ id }) => id))
    expect(ids).toEqual(
      ids.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other))),
    )
    expect(ids).toEqual(expect.arrayContaining(['z', 'Z', 'ä', '10', '9']))
    expect(pages.map(({ totalCount }) => totalCount)).toEqual(pages.map(() => before + 5))
    expect(pages.at(-1)?.items).toEqual([])
    await cabinets.delete(beta, 'beta', '10')
    expect((await cabinets.list(beta, 'beta', firstPage)).totalCount).toBe(before + 4)
  })

  test('every fault is named, and addresses that may not be called are refused', async () => {
    const { cabinets } = bench.services
    const config = {
      ...defaultCabinetConfig,
      pollingIntervalSeconds: 4,
      checkoutWindowSeconds: 255,
    }
    const bad = cabinetDraft({ id: 'a/b', serial: 'x y', config })
    await expect(cabinets.register(acme, 'acme', bad)).rejects.toMatchObject({
      code: 'invalid_request',
      faults: [
        { pointer: '/id' },
        { pointer: '/serial' },
        { pointer: '/config/checkout_window' },
        { pointer: '/config/polling_interval' },
      ],
    })
    const inside = { status: ['https://fine.example.com/'], audit: ['http://10.0.0.7/x'] }
    await expect(
      cabinets.register(acme, 'acme', cabinetDraft({ serial: newSerial(), subscribeUrls: inside })),
    ).rejects.toMatchObject({
      code: 'url_not_allowed',
      faults: [{ pointer: '/subscribe_urls/audit/0' }],
    })
  })

  test('needs its scopes', async () => {
    const { cabinets } = bench.services
    const reader = testCaller('acme', ['okms:read'])
    const nobody = testCaller('acme', ['acls:write'])
    const draft = cabinetDraft({ id: 'kept' })
    const calls = [
      cabinets.register(reader, 'acme', draft),
      cabinets.replace(reader, 'acme', draft),
      cabinets.delete(reader, 'acme', 'kept'),
      cabinets.get(nobody, 'acme', 'kept'),
      cabinets.list(nobody, 'acme', firstPage),
    ]
    await expectAll(calls, refusal('forbidden'))
  })

  test('every change is in the journal', async () => {
    const { cabinets } = bench.services
    const serial = newSerial()
    await cabinets.register(acme, 'acme', cabinetDraft({ id: 'told', serial }))
    await cabinets.replace(acme, 'acme', cabinetDraft({ id: 'told', serial }))
    await cabinets.delete(acme, 'acme', 'told')
    const records = (await waitingRecords(bench.core, 'acme')).slice(-3)
    expect(records.map(({ action, target }) => [action, target?.id])).toEqual([
      ['cabinet.registered', 'told'],
      ['cabinet.replaced', 'told'],
      ['cabinet.deleted', 'told'],
    ])
  })
})
