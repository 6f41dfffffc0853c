import {
  type AccessList,
  type LockPermission,
  lockListDigest,
  userListDigest,
} from '@countersign/protocol/cabinet/access-list.ts'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemRandomness } from '#custody/randomness.ts'
import { statement } from '#storage/statement.ts'
import { engines, expectAll, refusal, testCaller, waitingRecords } from '#test/support/core.ts'
import { Stores } from '../storage.ts'
import { PlatformSecret } from '../tenants/platform-secret.ts'
import type { AclDraft } from './acl.ts'
import { aclContentPlace, encodeAclContent } from './acl-content.ts'
import {
  acme,
  benchParts,
  beta,
  type CabinetBench,
  cabinetDraft,
  cabinetUser,
  createCabinetBench,
  device,
  firstPage,
  vectorAcl,
} from './cabinets.fixture.ts'
import type { CabinetParts } from './compose-cabinets.ts'
import { ListDigester } from './list-digester.ts'
import { mergeAcls } from './merge.ts'

describe.each(engines)('access lists on %s', (engine) => {
  let bench: CabinetBench
  let count = 0
  const newId = () => `n${++count}`

  beforeAll(async () => {
    bench = await createCabinetBench({ engine })
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  async function newCabinet(): Promise<{ id: string; serial: string }> {
    const id = newId()
    const serial = `04ff-${engine}-${id}`
    await bench.services.cabinets.register(acme, 'acme', cabinetDraft({ id, serial }))
    return { id, serial }
  }

  async function linked(cabinetId: string, draft: AclDraft): Promise<string> {
    await bench.services.cabinetAcls.put(acme, 'acme', draft)
    const pair = { aclId: draft.id, cabinetId }
    return (await bench.services.cabinetAclLinks.create(acme, 'acme', pair)).id
  }

  /** What the cabinet takes over from this process when it holds nothing. */
  async function heldBy(serial: string, parts: CabinetParts = bench): Promise<AccessList> {
    const caller = device(serial)
    let held: AccessList = { locks: [], users: [] }
    for (let round = 0; round < 10; round++) {
      const report = {
        assetList: lockListDigest(held.locks),
        usersAssets: userListDigest(held.users),
      }
      const urls = { configUrl: '/c', auditUrl: '/a', isBurntInPath: false }
      const answer = await parts.services.cabinetPolls.poll(caller, { serial, report, ...urls })
      if (answer === undefined) return held
      if (answer.name === 'assetList') held = { ...held, locks: answer.value }
      else if (answer.name === 'usersAssets') held = { ...held, users: answer.value }
      else throw new Error(`Not asked for: ${answer.name}`)
    }
    throw new Error('The cabinet never gets in step.')
  }

  test('a list is given back as it was written, and nobody else sees it', async () => {
    const { cabinetAcls } = bench.services
    const draft = vectorAcl({ id: newId(), locks: ['0A', '0b', '0C'] })
    const { acl, isNew } = await cabinetAcls.put(acme, 'acme', draft)
    expect(isNew).toBe(true)
    expect(acl).toMatchObject(draft)
    expect(await cabinetAcls.get(acme, 'acme', draft.id)).toEqual(acl)
    await expect(cabinetAcls.get(beta, 'beta', draft.id)).rejects.toThrow(refusal('acl_not_found'))
    const again = await cabinetAcls.put(acme, 'acme', { ...draft, users: [], userData: {} })
    expect(again).toMatchObject({ isNew: false, acl: { users: [], userData: {} } })
    expect(await cabinetAcls.get(acme, 'acme', draft.id)).toEqual(again.acl)
    await expect(cabinetAcls.replace(acme, 'acme', { ...draft, id: newId() })).rejects.toThrow(
      refusal('acl_not_found'),
    )
  })

  test('lists are paged in order of id, whole', async () => {
    const { cabinetAcls } = bench.services
    for (const id of ['b', 'a', 'C']) await cabinetAcls.put(beta, 'beta', vectorAcl({ id }))
    const one = await cabinetAcls.list(beta, 'beta', { page: 1, resultsPerPage: 2 })
    const two = await cabinetAcls.list(beta, 'beta', { page: 2, resultsPerPage: 2 })
    expect([...one.items, ...two.items].map(({ id }) => id)).toEqual(['C', 'a', 'b'])
    expect([one.totalCount, two.totalCount]).toEqual([3, 3])
    expect(one.items[0]?.users).toEqual(vectorAcl().users)
    const beyond = await cabinetAcls.list(beta, 'beta', { page: 3, resultsPerPage: 2 })
    expect(beyond).toEqual({ items: [], totalCount: 3 })
  })

  test('PIN hashes are nowhere in the database in the clear, and not in the journal', async () => {
    const pinHash = 'c0ffee11deadbeef'
    const id = newId()
    const { id: cabinetId, serial } = await newCabinet()
    await linked(cabinetId, vectorAcl({ id, users: [cabinetUser({ pinHash })] }))
    await heldBy(serial)
    const rows = await bench.core.test.database.reader.all(readEverything, { id, cabinetId })
    const [row] = rows
    expect(rows).toHaveLength(1)
    expect(Buffer.from(row?.sealed_content ?? []).includes(pinHash)).toBe(false)
    expect(row?.userDigestMac).not.toBe(userListDigest([cabinetUser({ pinHash })]))
    expect(row?.cabinetMac).toBe(row?.userDigestMac)
    const records = await waitingRecords(bench.core, 'acme')
    expect(JSON.stringify(records)).not.toContain(pinHash)
  })

  test.each([
    ['/locks', { locks: ['b', 'a', 'c'] }],
    ['/locks', { locks: ['a', 'A', 'b'] }],
    ['/locks', { locks: ['a', 'b c', 'd'] }],
    ['/users/0/permissions', { users: [cabinetUser({ permissions: [1, 0] })] }],
    [
      '/users/0/permissions',
      { users: [cabinetUser({ permissions: [1, 0, 2 as LockPermission] })] },
    ],
    ['/users/1/user_id', { users: [cabinetUser(), cabinetUser()] }],
    ['/users/0/user_id', { users: [cabinetUser({ userId: 2 ** 32 })] }],
    ['/users/0/pin_hash', { users: [cabinetUser({ pinHash: 'a|b' })] }],
    ['/users/0/auth_time', { users: [cabinetUser({ authTimeHours: 2 })] }],
    ['/users/0/sounder_delay', { users: [cabinetUser({ sounderDelaySeconds: 121 })] }],
    ['/users/0/sounder_duration', { users: [cabinetUser({ sounderDurationSeconds: 256 })] }],
    ['/users/0/sounder_volume', { users: [cabinetUser({ sounderVolume: 3 })] }],
    ['/id', { id: 'a/b' }],
  ] as const)('a fault at %s is refused and changes nothing: %j', async (pointer, changes) => {
    const { cabinetAcls } = bench.services
    const before = (await cabinetAcls.list(acme, 'acme', firstPage)).totalCount
    await expect(
      cabinetAcls.put(acme, 'acme', vectorAcl({ id: newId(), ...changes })),
    ).rejects.toMatchObject({ code: 'invalid_request', faults: [{ pointer }] })
    expect((await cabinetAcls.list(acme, 'acme', firstPage)).totalCount).toBe(before)
  })

  test('a pair is linked once, also when linked twenty times at once', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const { id: cabinetId } = await newCabinet()
    const acl = vectorAcl({ id: newId() })
    await cabinetAcls.put(acme, 'acme', acl)
    const pair = { aclId: acl.id, cabinetId }
    const calls = Array.from({ length: 20 }, () => cabinetAclLinks.create(acme, 'acme', pair))
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const [missing, code] of [
      [{ ...pair, aclId: 'no' }, 'acl_not_found'],
      [{ ...pair, cabinetId: 'no' }, 'cabinet_not_found'],
      [{ aclId: 'no/such', cabinetId: 'a b' }, 'acl_not_found'],
    ] as const) {
      await expect(cabinetAclLinks.create(acme, 'acme', missing)).rejects.toThrow(refusal(code))
    }
    await expect(cabinetAclLinks.create(beta, 'beta', pair)).rejects.toThrow(
      refusal('acl_not_found'),
    )
  })

  test('links are listed in order, fetched by id, and go with their cabinet or list', async () => {
    const { cabinets, cabinetAcls, cabinetAclLinks } = bench.services
    const [one, two] = [await newCabinet(), await newCabinet()]
    const acl = vectorAcl({ id: newId() })
    const linkId = await linked(one.id, acl)
    await cabinetAclLinks.create(acme, 'acme', { aclId: acl.id, cabinetId: two.id })
    expect(await cabinetAclLinks.get(acme, 'acme', linkId)).toEqual({
      tenantId: 'acme',
      id: linkId,
      aclId: acl.id,
      cabinetId: one.id,
    })
    await expect(cabinetAclLinks.get(beta, 'beta', linkId)).rejects.toThrow(
      refusal('acl_link_not_found'),
    )
    const all = await cabinetAclLinks.list(acme, 'acme', { page: 1, resultsPerPage: 1000 })
    const keys = all.items.map(({ aclId, cabinetId }) => `${aclId}\n${cabinetId}`)
    expect(keys).toEqual(keys.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(all.totalCount).toBe(keys.length)
    await cabinets.delete(acme, 'acme', one.id)
    await expect(cabinetAclLinks.delete(acme, 'acme', linkId)).rejects.toThrow(
      refusal('acl_link_not_found'),
    )
    await cabinetAcls.delete(acme, 'acme', acl.id)
    const left = await cabinetAclLinks.list(acme, 'acme', firstPage)
    expect(left.totalCount).toBe(all.totalCount - 2)
    expect(await heldBy(two.serial)).toEqual({ locks: [], users: [] })
  })

  test('several lists are merged; a list that is unlinked counts no more', async () => {
    const { cabinetAclLinks } = bench.services
    const { id, serial } = await newCabinet()
    const one = vectorAcl({ id: newId() })
    const two = vectorAcl({
      id: newId(),
      locks: ['0000051a00000006'],
      users: [cabinetUser({ pinHash: 'newer', permissions: [17] })],
    })
    await linked(id, one)
    bench.core.clock.advance(1)
    const linkId = await linked(id, two)
    const merged = mergeAcls([
      { ...one, writtenAtMs: 1 },
      { ...two, writtenAtMs: 2 },
    ])
    expect(await heldBy(serial)).toEqual(merged)
    expect(merged.users[0]).toMatchObject({ pinHash: 'newer', permissions: [1, 17, 0, 17] })
    await cabinetAclLinks.delete(acme, 'acme', linkId)
    expect(await heldBy(serial)).toEqual(mergeAcls([{ ...one, writtenAtMs: 1 }]))
  })

  test('a change of a list does not touch cabinets that do not carry it', async () => {
    const { cabinetAcls } = bench.services
    const [carrier, other] = [await newCabinet(), await newCabinet()]
    const acl = vectorAcl({ id: newId() })
    await linked(carrier.id, acl)
    await linked(other.id, vectorAcl({ id: newId() }))
    const { rights } = bench.core.storage.read.cabinets
    const versions = async () =>
      Promise.all(
        [carrier, other].map(
          async ({ id }) => (await rights.listCarried({ tenantId: 'acme', id }))?.version ?? 0,
        ),
      )
    const [before = 0, otherBefore = 0] = await versions()
    await cabinetAcls.put(acme, 'acme', { ...acl, users: [] })
    expect(await versions()).toEqual([before + 1, otherBefore])
  })

  test('a cabinet never carries more than can be merged', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const { id } = await newCabinet()
    const many = (prefix: string, users: number, locks: number): AclDraft => ({
      id: newId(),
      users: Array.from({ length: users }, (_, userId) =>
        cabinetUser({ userId, permissions: new Array<LockPermission>(locks).fill(1) }),
      ),
      locks: Array.from(
        { length: locks },
        (_, lock) => `${prefix}${String(lock).padStart(5, '0')}`,
      ),
      userData: {},
    })
    const wide = many('a', 1, 5_000)
    await linked(id, wide)
    const tall = many('b', 1_000, 1)
    await cabinetAcls.put(acme, 'acme', tall)
    await expect(
      cabinetAclLinks.create(acme, 'acme', { aclId: tall.id, cabinetId: id }),
    ).rejects.toThrow(refusal('limit_reached'))
    const small = many('c', 1, 1)
    await linked(id, small)
    await expect(cabinetAcls.put(acme, 'acme', { ...tall, id: small.id })).rejects.toThrow(
      refusal('limit_reached'),
    )
    expect((await cabinetAcls.get(acme, 'acme', small.id)).users).toHaveLength(1)
  })

  test('lists and links that change at once never leave a digest of the past', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const otherProcess = benchParts(bench.core)
    const { id, serial } = await newCabinet()
    const [one, two] = [vectorAcl({ id: newId() }), vectorAcl({ id: newId() })]
    await linked(id, one)
    await linked(id, two)
    const acls = [one, two]
    for (let round = 0; round < 15; round++) {
      const hash = (name: string) => `${name}${round}`
      const write = (acl: AclDraft, pinHash: string, parts: CabinetParts) =>
        parts.services.cabinetAcls.put(acme, 'acme', {
          ...acl,
          users: [cabinetUser({ userId: acl === one ? 1 : 2, pinHash })],
        })
      const third = vectorAcl({ id: newId(), users: [cabinetUser({ userId: 3, pinHash: 'x' })] })
      await cabinetAcls.put(acme, 'acme', third)
      const [link] = await Promise.all([
        cabinetAclLinks.create(acme, 'acme', { aclId: third.id, cabinetId: id }),
        write(one, hash('a'), bench),
        write(two, hash('b'), otherProcess),
        cabinetAcls.put(acme, 'acme', {
          ...third,
          users: [cabinetUser({ userId: 3, pinHash: hash('c') })],
        }),
        heldBy(serial).catch(() => undefined),
        heldBy(serial, otherProcess).catch(() => undefined),
      ])
      for (const parts of [bench, otherProcess]) {
        const { users } = await heldBy(serial, parts)
        expect(users.map(({ userId, pinHash }) => [userId, pinHash])).toEqual([
          [1, hash('a')],
          [2, hash('b')],
          [3, hash('c')],
        ])
      }
      await Promise.all([
        cabinetAclLinks.delete(acme, 'acme', link.id),
        heldBy(serial).catch(() => undefined),
      ])
      const { users } = await heldBy(serial, otherProcess)
      expect(users.map(({ userId }) => userId)).toEqual([1, 2])
    }
    expect(acls).toHaveLength(2)
  })

  test('a link that is made while its list is being overwritten waits for it', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const { id, serial } = await newCabinet()
    const acl = vectorAcl({ id: newId(), users: [cabinetUser({ pinHash: 'before' })] })
    await cabinetAcls.put(acme, 'acme', acl)
    const { test: database, vault, clock, nextId } = bench.core
    const users = [cabinetUser({ pinHash: 'after' })]
    const sealedContent = await vault.seal(
      aclContentPlace('acme', acl.id),
      encodeAclContent({ users, locks: acl.locks }),
    )
    const digestKey = new PlatformSecret(
      { storage: bench.core.storage, vault, randomness: systemRandomness },
      'cabinet-digest-key',
    )
    const digests = await new ListDigester({ digestKey }).digestsOf({ locks: acl.locks, users })
    // What the service does, but for a pause before the commit.
    const overwriting = database.database.transaction(async (queries) => {
      const { acls, rights, tally } = new Stores(queries, clock, nextId).cabinets
      const version = await tally.lockRights('acme')
      const counts = { userCount: 1, lockCount: acl.locks.length }
      const written = { tenantId: 'acme', id: acl.id, version, userData: {}, nowMs: clock() }
      await acls.overwrite({ ...written, ...counts, ...digests, sealedContent })
      await rights.touchCarriers('acme', acl.id)
      if (engine === 'postgres') await queries.first(pause, {})
    })
    const pair = { aclId: acl.id, cabinetId: id }
    const linking = new Promise((resolve) => setTimeout(resolve, 100)).then(() =>
      cabinetAclLinks.create(acme, 'acme', pair),
    )
    await linking
    const during = await heldBy(serial)
    await overwriting
    expect((await heldBy(serial)).users[0]?.pinHash).toBe('after')
    expect(during.users[0]?.pinHash).toBe('after')
  })

  test('1,000 users with 500 locks are stored, digested and merged in under a second', async () => {
    const { id, serial } = await newCabinet()
    const locks = Array.from({ length: 500 }, (_, lock) => `07${String(lock).padStart(14, '0')}`)
    const values = [0, 1, 17] as const
    const users = Array.from({ length: 1_000 }, (_, userId) =>
      cabinetUser({
        userId,
        permissions: locks.map((_lock, index) => values[(userId + index) % 3] ?? 0),
      }),
    )
    const acl: AclDraft = { id: newId(), users, locks, userData: {} }
    const startedAt = performance.now()
    await linked(id, acl)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    expect(await heldBy(serial)).toEqual({ locks, users })
  })

  test('needs its scopes, and every change is in the journal', async () => {
    const { cabinetAcls, cabinetAclLinks } = bench.services
    const reader = testCaller('acme', ['acls:read', 'acl-okms:read'])
    const { id: cabinetId } = await newCabinet()
    const acl = vectorAcl({ id: newId() })
    const linkId = await linked(cabinetId, acl)
    const calls = [
      cabinetAcls.put(reader, 'acme', acl),
      cabinetAcls.replace(reader, 'acme', acl),
      cabinetAcls.delete(reader, 'acme', acl.id),
      cabinetAclLinks.create(reader, 'acme', { aclId: acl.id, cabinetId }),
      cabinetAclLinks.delete(reader, 'acme', linkId),
      cabinetAcls.get(testCaller('acme', ['okms:write']), 'acme', acl.id),
    ]
    await expectAll(calls, refusal('forbidden'))
    await cabinetAcls.replace(acme, 'acme', acl)
    await cabinetAclLinks.delete(acme, 'acme', linkId)
    await cabinetAcls.delete(acme, 'acme', acl.id)
    const records = (await waitingRecords(bench.core, 'acme')).slice(-5)
    expect(records.map(({ action }) => action)).toEqual([
      'cabinet-acl.created',
      'cabinet-acl.linked',
      'cabinet-acl.overwritten',
      'cabinet-acl.unlinked',
      'cabinet-acl.deleted',
    ])
  })
})

const readEverything = statement((db, p: { id: string; cabinetId: string }) =>
  db
    .selectFrom('cabinet_acl as acl')
    .crossJoin('cabinet_rights as rights')
    .select([
      'acl.sealed_content',
      'acl.user_digest_mac as userDigestMac',
      'rights.user_digest_mac as cabinetMac',
    ])
    .where('acl.tenant_id', '=', 'acme')
    .where('acl.id', '=', p.id)
    .where('rights.tenant_id', '=', 'acme')
    .where('rights.cabinet_id', '=', p.cabinetId),
)

const pause = statement((db, _: object) =>
  db.selectNoFrom(sql<string>`cast(pg_sleep(0.5) as text)`.as('slept')),
)
