import { lockListDigest, userListDigest } from '@countersign/protocol/cabinet/access-list.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines, platformAdmin, refusal, testCaller, waitingRecords } from '#test/support/core.ts'
import type { CabinetDraft } from './cabinet.ts'
import { defaultCabinetConfig } from './cabinet.ts'
import {
  acme,
  benchParts,
  beta,
  type CabinetBench,
  cabinetDraft,
  cabinetUser,
  createCabinetBench,
  device,
  firmwareWriter,
  vectorAcl,
  vectorLocks,
} from './cabinets.fixture.ts'
import { statusesWaitingMax } from './callback-messages.ts'
import type { PollAnswer, PollReport } from './poll.ts'

const urls = { configUrl: '/okm/api/v1/config', auditUrl: '/okm/api/v1/audit' }
const emptyLists = { assetList: lockListDigest([]), usersAssets: userListDigest([]) }

describe.each(engines)('polls of key cabinets on %s', (engine) => {
  let bench: CabinetBench
  let serialCount = 0

  beforeAll(async () => {
    bench = await createCabinetBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  const newSerial = () => `03ff${String(++serialCount).padStart(12, '0')}`

  function poll(serial: string, report: PollReport = {}, isBurntInPath = false) {
    const request = { serial, isBurntInPath, report, ...urls }
    return bench.services.cabinetPolls.poll(device(serial), request)
  }

  async function registered(changes: Partial<CabinetDraft> = {}): Promise<CabinetDraft> {
    const serial = newSerial()
    const draft = cabinetDraft({ id: `okm-${serial}`, serial, ...changes })
    await bench.services.cabinets.register(acme, 'acme', draft)
    return draft
  }

  test('status callbacks: for each URL the last of a cabinet wait, however often it calls', async () => {
    const status = ['https://one.example/s', 'https://two.example/s']
    const { serial } = await registered({ subscribeUrls: { status } })
    const beside = await registered({ subscribeUrls: { status } })
    const { outbox } = bench.core.storage.read
    const before = await outbox.countWaiting()
    await poll(beside.serial)
    for (let count = 0; count < statusesWaitingMax; count++) await poll(serial)
    const full = before + 2 * (statusesWaitingMax + 1)
    expect(await outbox.countWaiting()).toBe(full)
    await Promise.all(Array.from({ length: 20 }, () => poll(serial)))
    await poll(serial)
    expect(await outbox.countWaiting()).toBe(full)
  }, 30_000)

  /** What a cabinet holds that takes over whatever it is answered. */
  async function untilSettled(serial: string, report: PollReport): Promise<PollAnswer[]> {
    const answers: PollAnswer[] = []
    let held = report
    for (let round = 0; round < 30; round++) {
      const answer = await poll(serial, held)
      if (answer === undefined) return answers
      answers.push(answer)
      if (answer.name === 'assetList') held = { ...held, assetList: lockListDigest(answer.value) }
      else if (answer.name === 'usersAssets') {
        held = { ...held, usersAssets: userListDigest(answer.value) }
      } else if ('value' in answer) held = { ...held, [answer.name]: answer.value }
    }
    throw new Error('The cabinet never gets in step.')
  }

  test('an unknown serial is remembered, answered nothing, and keeps its call when registered', async () => {
    const serial = newSerial()
    expect(await poll(serial, { kasFirmware: '01932023020111483', configUrl: '/x' })).toBe(
      undefined,
    )
    const calledAtMs = bench.core.clock()
    expect(await poll(serial, { configUrl: '/x' }, true)).toBe(undefined)
    await bench.contacts.flush()
    const draft = cabinetDraft({ id: `claimed-${serial}`, serial: serial.toUpperCase() })
    const cabinet = await bench.services.cabinets.register(acme, 'acme', draft)
    expect(cabinet).toMatchObject({
      lastSyncAtMs: calledAtMs,
      firmwareVersion: '01932023020111483',
    })
    expect(await poll(serial, { configUrl: '/x' })).toEqual({
      name: 'configUrl',
      value: urls.configUrl,
    })
    const records = await waitingRecords(bench.core, '_platform')
    expect(records.filter(({ target }) => target?.id === serial)).toHaveLength(1)
  })

  test('twenty first polls and two registrations of one serial end with one cabinet', async () => {
    const serial = newSerial()
    const polls = Array.from({ length: 20 }, () => poll(serial))
    const draft = cabinetDraft({ id: `first-${serial}`, serial })
    const calls = Promise.allSettled([
      bench.services.cabinets.register(acme, 'acme', draft),
      bench.services.cabinets.register(beta, 'beta', draft),
    ])
    await Promise.all(polls)
    const outcomes = await calls
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await poll(serial, { retailCfg: 1 })).toEqual({ name: 'retailCfg', value: 2 })
  })

  test('no more unknown serials are remembered than there is room for', async () => {
    const { tally, registered: store } = bench.core.storage.read.cabinets
    const room = (await tally.get('_platform', 'cabinet')) + 2
    const { services } = benchParts(bench.core, { unclaimedMax: room })
    const serials = Array.from({ length: 10 }, newSerial)
    for (const serial of serials) {
      const request = { serial, isBurntInPath: false, report: {}, ...urls }
      expect(await services.cabinetPolls.poll(device(serial), request)).toBe(undefined)
    }
    const owners = await Promise.all(serials.map((serial) => store.findOwner(serial)))
    expect(owners.filter((owner) => owner !== undefined)).toHaveLength(2)
    expect(await tally.get('_platform', 'cabinet')).toBe(room)
  })

  test('a poll is seen at once by this process, and by others once it is written', async () => {
    const { serial, id } = await registered()
    bench.core.clock.advance(1_000)
    await poll(serial, { kasFirmware: '017' })
    const seen = { lastSyncAtMs: bench.core.clock(), firmwareVersion: '017' }
    expect(await bench.services.cabinets.get(acme, 'acme', id)).toMatchObject(seen)
    const other = benchParts(bench.core).services.cabinets
    expect(await other.get(acme, 'acme', id)).toMatchObject({ lastSyncAtMs: null })
    await bench.contacts.flush()
    expect(await other.get(acme, 'acme', id)).toMatchObject(seen)
    await poll(serial)
    expect(await bench.services.cabinets.get(acme, 'acme', id)).toMatchObject(seen)
  })

  test('what cannot be kept is not, and keeps nothing else from being written', async () => {
    const [one, two] = [await registered(), await registered()]
    await poll(one.serial, { kasFirmware: 'a\u0000b', installCode: '\ud800' })
    await poll(two.serial, { kasFirmware: '018', installCode: 'x'.repeat(65) })
    await bench.contacts.flush()
    const other = benchParts(bench.core).services.cabinets
    const lastSyncAtMs = bench.core.clock()
    const seen = { lastSyncAtMs, firmwareVersion: null }
    expect(await other.get(acme, 'acme', one.id)).toMatchObject(seen)
    expect(await other.get(acme, 'acme', two.id)).toMatchObject({ ...seen, firmwareVersion: '018' })
    expect(await poll('no serial/\u0000')).toBe(undefined)
  })

  test('nothing differs: nothing is answered', async () => {
    const { serial } = await registered()
    const inStep: PollReport = {
      ...urls,
      ...emptyLists,
      kasDateTimeMs: bench.core.clock() + 60_000,
      retailCfg: 2,
      keyCheckoutWindowTime: 0,
      keyCheckoutWindowContact: 1,
      cacheMode: true,
      pollingInterval: 150,
      kasFirmware: '017',
      installCode: '42',
    }
    expect(await poll(serial, inStep)).toBe(undefined)
    expect(await poll(serial, {})).toBe(undefined)
    expect(await poll(serial, { configUrl: `https://k.example${urls.configUrl}` })).toBe(undefined)
  })

  test('everything differs: each setting has its turn, in the order of the contract', async () => {
    const { serial } = await registered()
    const all: PollReport = {
      configUrl: '/a',
      auditUrl: '/b',
      kasDateTimeMs: bench.core.clock() - 60_001,
      retailCfg: 1,
      keyCheckoutWindowTime: 9,
      keyCheckoutWindowContact: 0,
      cacheMode: false,
      pinMode: true,
      auditEnabled: false,
      pollingInterval: 5,
      assetList: 'aa',
      usersAssets: 'bb',
    }
    const names = []
    for (let round = 0; round < 26; round++) names.push((await poll(serial, all))?.name)
    const inOrder = [
      'configUrl',
      'auditUrl',
      'kasDateTime',
      'retailCfg',
      'keyCheckoutWindowTime',
      'keyCheckoutWindowContact',
      'cacheMode',
      'pinMode',
      'auditEnabled',
      'pollingInterval',
      'assetList',
      'usersAssets',
    ]
    // Lists that the cabinet was never told come first, once.
    expect(names.slice(0, 2)).toEqual(['assetList', 'usersAssets'])
    expect(names.slice(2)).toEqual([...inOrder, ...inOrder])
  })

  test('the burnt-in path teaches the configured one', async () => {
    const { serial } = await registered()
    expect(await poll(serial, {}, true)).toEqual({ name: 'configUrl', value: urls.configUrl })
    expect(await poll(serial, {}, false)).toBe(undefined)
    expect(await poll(serial, { configUrl: urls.configUrl }, true)).toBe(undefined)
  })

  test('settings that a cabinet has no name for are told once after each change', async () => {
    const draft = await registered({
      config: { ...defaultCabinetConfig, pinMode: true, auditEnabled: false },
    })
    const { serial } = draft
    expect(await poll(serial)).toEqual({ name: 'pinMode', value: true })
    expect(await poll(serial)).toEqual({ name: 'auditEnabled', value: false })
    expect(await poll(serial)).toBe(undefined)
    await bench.services.cabinets.replace(acme, 'acme', { ...draft, config: defaultCabinetConfig })
    expect(await poll(serial)).toEqual({ name: 'pinMode', value: false })
    expect(await poll(serial)).toEqual({ name: 'auditEnabled', value: true })
    expect(await poll(serial)).toBe(undefined)
    expect(await poll(serial, { pinMode: true })).toEqual({ name: 'pinMode', value: false })
    expect(await poll(serial, { pinMode: true })).toEqual({ name: 'pinMode', value: false })
  })

  test('a cabinet takes over its lists, and each change of them, one after the other', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const { serial, id } = await registered()
    const acl = vectorAcl({ id: `lists-${serial}` })
    await cabinetAcls.put(acme, 'acme', acl)
    await cabinetAclLinks.create(acme, 'acme', { aclId: acl.id, cabinetId: id })
    expect(await untilSettled(serial, emptyLists)).toEqual([
      { name: 'assetList', value: vectorLocks },
      { name: 'usersAssets', value: acl.users },
    ])
    const [first] = acl.users
    await cabinetAcls.put(acme, 'acme', { ...acl, users: first === undefined ? [] : [first] })
    const held = {
      assetList: lockListDigest(vectorLocks),
      usersAssets: userListDigest(acl.users),
    }
    expect(await untilSettled(serial, held)).toEqual([{ name: 'usersAssets', value: [first] }])
    await cabinetAcls.delete(acme, 'acme', acl.id)
    expect(await untilSettled(serial, held)).toEqual([
      { name: 'assetList', value: [] },
      { name: 'usersAssets', value: [] },
    ])
  })

  test('a revocation overtakes a setting that the cabinet never takes over', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const { serial, id } = await registered()
    const acl = vectorAcl({ id: `revoke-${serial}` })
    await cabinetAcls.put(acme, 'acme', acl)
    await cabinetAclLinks.create(acme, 'acme', { aclId: acl.id, cabinetId: id })
    const usersAssets = userListDigest(acl.users)
    const stuck = { retailCfg: 1, pollingInterval: 5, usersAssets }
    for (let round = 0; round < 3; round++) await poll(serial, stuck)
    await cabinetAcls.put(acme, 'acme', { ...acl, users: [] })
    expect(await poll(serial, stuck)).toEqual({ name: 'usersAssets', value: [] })
    const rest = [await poll(serial, stuck), await poll(serial, stuck), await poll(serial, stuck)]
    expect(new Set(rest.map((answer) => answer?.name))).toEqual(
      new Set(['pollingInterval', 'retailCfg', 'usersAssets']),
    )
  })

  test('user lists are not sent to a cabinet that asks at every checkout', async () => {
    const { serial } = await registered({ config: { ...defaultCabinetConfig, cacheMode: false } })
    expect(await poll(serial, { usersAssets: 'aa' })).toBe(undefined)
    expect(await poll(serial, { assetList: 'aa' })).toEqual({ name: 'assetList', value: [] })
  })

  test('one user is fetched by number, or in PIN mode by the PIN of that user alone', async () => {
    const { cabinetAcls, cabinetAclLinks, cabinetPolls } = bench.services
    const { serial, id } = await registered({
      config: { ...defaultCabinetConfig, cacheMode: false, pinMode: true },
    })
    const acl = vectorAcl({
      id: `fetch-${serial}`,
      users: [
        cabinetUser(),
        cabinetUser({ userId: 7, pinHash: 'same' }),
        cabinetUser({ userId: 8, pinHash: 'same' }),
      ],
    })
    await cabinetAcls.put(acme, 'acme', acl)
    await cabinetAclLinks.create(acme, 'acme', { aclId: acl.id, cabinetId: id })
    const caller = device(serial)
    const expected = { locks: vectorLocks, user: cabinetUser() }
    expect(await cabinetPolls.fetchUser(caller, serial, { userId: 1001 })).toEqual(expected)
    expect(await cabinetPolls.fetchUser(caller, serial, { pinHash: 'a1b2c3d4' })).toEqual(expected)
    for (const selector of [{ userId: 9 }, { pinHash: 'same' }, { pinHash: 'A1b2c3d4' }]) {
      await expect(cabinetPolls.fetchUser(caller, serial, selector)).rejects.toThrow(
        refusal('cabinet_user_not_found'),
      )
    }
    const records = (await waitingRecords(bench.core, 'acme')).slice(-5)
    expect(records.map(({ outcome, detail }) => [outcome, detail.by])).toEqual([
      ['SUCCESS', 'USER_ID'],
      ['SUCCESS', 'PIN'],
      ['FAILURE', 'USER_ID'],
      ['FAILURE', 'PIN'],
      ['FAILURE', 'PIN'],
    ])
    expect(JSON.stringify(records)).not.toMatch(/a1b2c3d4|same/i)
    await expect(cabinetPolls.fetchUser(caller, newSerial(), { userId: 1 })).rejects.toThrow(
      refusal('cabinet_not_found'),
    )
    const other = await registered()
    await expect(
      cabinetPolls.fetchUser(caller, other.serial, { pinHash: 'a1b2c3d4' }),
    ).rejects.toThrow(refusal('invalid_request'))
  })

  test('the newest firmware is offered to whoever has an older one, never a downgrade', async () => {
    const { cabinetFirmware } = bench.services
    const { serial } = await registered()
    for (const version of ['100', '99', '0101']) {
      const url = `https://storage.example.com/okm-${version}.bin`
      await cabinetFirmware.create(firmwareWriter, { type: 'OKM', version, url })
    }
    const offer = { version: '0101', url: 'https://storage.example.com/okm-0101.bin' }
    expect(await poll(serial, { kasFirmware: '100' })).toEqual({
      name: 'kasFirmware',
      value: offer,
    })
    expect(await poll(serial, { kasFirmware: '0101' })).toBe(undefined)
    expect(await poll(serial, { kasFirmware: '0102' })).toBe(undefined)
    expect(await poll(serial, { batchKeyFirmware: '1' })).toBe(undefined)
  })

  test('the cabinets of a disabled tenant are refused', async () => {
    await bench.core.tenants.create(platformAdmin, { id: 'gone', name: 'gone' })
    const serial = newSerial()
    const owner = testCaller('gone', ['okms:write'])
    await bench.services.cabinets.register(owner, 'gone', cabinetDraft({ serial }))
    await bench.core.tenants.update(platformAdmin, 'gone', { status: 'DISABLED' })
    await expect(poll(serial)).rejects.toThrow(refusal('tenant_disabled'))
  })
})
