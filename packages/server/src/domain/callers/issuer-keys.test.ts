import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AddressResolver } from '#delivery/address-resolver.ts'
import { DocumentHttp } from '#delivery/document-http.ts'
import {
  createReadyTestCore,
  engines,
  platformAdmin,
  refusal,
  type TestCore,
  testCaller,
  testPublicUrl,
  waitingRecords,
} from '#test/support/core.ts'
import { loopbackAllowed } from '#test/support/delivery.ts'
import {
  type IdentityProvider,
  publicJwkOf,
  startIdentityProvider,
} from '#test/support/identity-provider.ts'
import { OutboundRule } from '../tenants/outbound-rule.ts'
import { FailureLimiter } from './failure-limiter.ts'
import { IssuerAuthenticator } from './issuer-authenticator.ts'
import { IssuerSignatures } from './issuer-key.ts'
import { IssuerKeys } from './issuer-keys.ts'
import type { PublicJwk } from './public-jwk.ts'
import { RefusalJournal } from './refusal-journal.ts'

const admin = testCaller('acme', ['tenant:write'])
const origin = { address: '192.0.2.1', surface: 'ast', requestId: null } as const
const secondMs = 1_000
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const outageMsMax = 24 * hourMs

interface Process {
  /** 'ok', or the code of the refusal. */
  show(token: string, tenantId?: string): Promise<string>
  readonly failures: readonly unknown[]
}

describe.each(engines)('keys of trusted issuers on %s', (engine) => {
  let core: TestCore
  let documents: DocumentHttp
  let realm: IdentityProvider
  let count = 0
  /** The issuer of this test. */
  let id: string

  beforeAll(async () => {
    core = await createReadyTestCore({ engine, outboundAllow: loopbackAllowed })
    documents = new DocumentHttp({
      rule: new OutboundRule(loopbackAllowed),
      resolver: new AddressResolver(async () => []),
    })
    for (const tenant of ['acme', 'other']) {
      await core.tenants.create(platformAdmin, { id: tenant, name: tenant })
    }
  })
  afterAll(() => core[Symbol.asyncDispose]())
  beforeEach(async () => {
    realm = await startIdentityProvider(`realm-${++count}`)
    realm.clock = core.clock
    for (const { kid } of realm.keys) realm.withdraw(kid)
    realm.rotate('ES256')
    id = `realm-${count}`
    await core.trustedIssuers.create(admin, 'acme', {
      id,
      issuer: realm.issuer,
      jwksUri: realm.jwksUri,
      audiences: ['ast'],
    })
    return () => realm[Symbol.asyncDispose]()
  })

  /** A server over the same database that remembers nothing of another one. */
  function startProcess(changes: { outageMsMax?: number } = {}): Process {
    const { storage, clock } = core
    const failures: unknown[] = []
    const issuerKeys = new IssuerKeys({
      storage,
      clock,
      documents,
      outageMsMax,
      observer: { keysFetched() {}, fetchFailed: (_issuer, error) => void failures.push(error) },
      ...changes,
    })
    const authenticator = new IssuerAuthenticator({
      storage,
      clock,
      issuerKeys,
      signatures: new IssuerSignatures(),
      limiter: new FailureLimiter(0, clock),
      refusals: new RefusalJournal({ storage, clock }),
      ownIssuer: () => testPublicUrl,
      tokenChecked() {},
    })
    return {
      failures,
      async show(token, tenantId = 'acme') {
        try {
          const caller = await authenticator.authenticate(token, tenantId, origin)
          return caller === undefined ? 'unknown' : 'ok'
        } catch (error) {
          return (error as { code: string }).code
        }
      },
    }
  }
  const breakDown = () => realm.answerWith((response) => response.destroy())
  const keyChanges = async () =>
    (await waitingRecords(core, 'acme')).filter(
      ({ action, target }) => action === 'trusted-issuer.keys-changed' && target?.id === id,
    )

  test('fetched once, however many tokens come at once, and told to the journal once', async () => {
    const { show } = startProcess()
    const token = realm.token()
    const shown = await Promise.all(Array.from({ length: 30 }, () => show(token)))
    expect(new Set(shown)).toEqual(new Set(['ok']))
    expect(realm.fetchCount).toBe(1)
    core.clock.advance(4 * minuteMs)
    expect(await show(realm.token())).toBe('ok')
    expect(realm.fetchCount).toBe(1)
    expect(await keyChanges()).toMatchObject([
      {
        actor: { type: 'SYSTEM' },
        detail: { keys: [{ kty: 'EC', alg: 'ES256', kid: `${id}-2` }] },
      },
    ])
  })

  test('a new key counts with its first token, an old one as long as it is published', async () => {
    const { show } = startProcess()
    const old = realm.token()
    expect(await show(old)).toBe('ok')
    core.clock.advance(minuteMs)
    realm.rotate('ES256')
    const token = realm.token()
    expect(await Promise.all([show(token), show(token), show(token)])).toEqual(['ok', 'ok', 'ok'])
    expect(realm.fetchCount).toBe(2)
    expect(await show(old)).toBe('ok')
    expect(await keyChanges()).toHaveLength(2)
  })

  test('a new key counts also within a minute of the last fetch', async () => {
    const { show } = startProcess()
    expect(await show(realm.token())).toBe('ok')
    for (let count = 2; count <= 3; count++) {
      core.clock.advance(5 * secondMs)
      realm.rotate('ES256')
      expect(await show(realm.token())).toBe('ok')
      expect(realm.fetchCount).toBe(count)
    }
    core.clock.advance(5 * secondMs)
    realm.rotate('ES256')
    expect(await show(realm.token())).toBe('unauthenticated')
    core.clock.advance(45 * secondMs)
    expect(await show(realm.token())).toBe('ok')
    expect(realm.fetchCount).toBe(4)
  })

  test('unknown keys make it fetch three times in a minute at most, and once a minute in the long run', async () => {
    const { show } = startProcess()
    expect(await show(realm.token())).toBe('ok')
    const made = () => show(realm.token({}, { header: { kid: crypto.randomUUID() } }))
    const flood = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        core.clock.advance(secondMs)
        expect(await Promise.all([made(), made()])).toEqual(['unauthenticated', 'unauthenticated'])
      }
      return realm.fetchCount
    }
    expect(await flood(58)).toBe(3)
    expect(await flood(4 * 60)).toBe(7)
    // A clock that is set back stops nothing for longer than the burst is worth.
    core.clock.advance(-hourMs)
    expect(await flood(60)).toBeLessThanOrEqual(8)
    expect(await flood(3 * 60)).toBeGreaterThan(8)
  }, 30_000)

  test('a key that is taken back stops within ten minutes, also if nobody asked meanwhile', async () => {
    const { show } = startProcess()
    const token = realm.token({ exp: core.clock() / 1000 + 10_000 })
    expect(await show(token)).toBe('ok')
    for (const { kid } of realm.keys) realm.withdraw(kid)
    core.clock.advance(10 * minuteMs)
    expect(await show(token)).toBe('unauthenticated')
    expect(await show(token)).toBe('unauthenticated')
    expect(realm.fetchCount).toBe(2)
  })

  test('from five minutes on it is looked beside the request, which does not wait', async () => {
    const { show } = startProcess()
    const token = realm.token({ exp: core.clock() / 1000 + 10_000 })
    expect(await show(token)).toBe('ok')
    let answer = () => {}
    realm.answerWith((response) => {
      answer = () => response.end('{"keys":[]}')
    })
    core.clock.advance(5 * minuteMs)
    expect(await show(token)).toBe('ok')
    await expect.poll(() => realm.fetchCount).toBe(2)
    answer()
    await expect.poll(() => show(token)).toBe('unauthenticated')
  })

  test('an outage is survived with the last good keys, also over a restart, and not for ever', async () => {
    const before = startProcess()
    const token = realm.token({ exp: core.clock() / 1000 + 1_000_000 })
    expect(await before.show(token)).toBe('ok')
    breakDown()
    core.clock.advance(hourMs)
    expect(await before.show(token)).toBe('ok')
    expect(before.failures).toHaveLength(1)
    const after = startProcess()
    expect(await after.show(token)).toBe('ok')
    core.clock.advance(23 * hourMs)
    expect(await after.show(token)).toBe('ok')
    core.clock.advance(hourMs)
    expect(await after.show(token)).toBe('unavailable')
    expect(await startProcess().show(token)).toBe('unavailable')
    realm.answerWith(undefined)
    core.clock.advance(10_000)
    expect(await after.show(token)).toBe('ok')
  })

  test('with no time for outages old keys do not count', async () => {
    const { show } = startProcess({ outageMsMax: 0 })
    const token = realm.token({ exp: core.clock() / 1000 + 10_000 })
    expect(await show(token)).toBe('ok')
    breakDown()
    core.clock.advance(10 * minuteMs - 1)
    expect(await show(token)).toBe('ok')
    core.clock.advance(10_001)
    expect(await show(token)).toBe('unavailable')
  })

  test('during an outage few attempts are made, and an unknown key is undecided, not refused', async () => {
    const { show } = startProcess()
    expect(await show(realm.token())).toBe('ok')
    breakDown()
    core.clock.advance(minuteMs)
    const strange = realm.token({}, { header: { kid: 'new' } })
    for (let index = 0; index < 20; index++) expect(await show(strange)).toBe('unavailable')
    expect(realm.fetchCount).toBe(2)
    core.clock.advance(10_000)
    realm.answerWith(undefined)
    expect(await show(strange)).toBe('unauthenticated')
    expect(realm.fetchCount).toBe(3)
  })

  test('a first token during an outage is undecided; the next attempt follows soon', async () => {
    breakDown()
    const { show, failures } = startProcess()
    for (let index = 0; index < 5; index++) expect(await show(realm.token())).toBe('unavailable')
    expect(failures).toHaveLength(1)
    realm.answerWith(undefined)
    core.clock.advance(10_000)
    expect(await show(realm.token())).toBe('ok')
  })

  test.each([
    ['no JSON', '<html>'],
    ['no set', '{"keys":{}}'],
    ['a set that says something twice', '{"keys":[],"keys":[]}'],
    ['too many keys', JSON.stringify({ keys: Array.from({ length: 201 }, () => ({})) })],
    ['more than a quarter of a megabyte', `{"keys":[],"x":"${'x'.repeat(262_144)}"}`],
  ])('%s in place of keys changes nothing', async (_name, text) => {
    const { show } = startProcess()
    expect(await show(realm.token())).toBe('ok')
    realm.answerWith((response) => response.end(text))
    core.clock.advance(10 * minuteMs)
    expect(await show(realm.token())).toBe('ok')
    expect(realm.fetchCount).toBe(2)
    expect(await keyChanges()).toHaveLength(1)
  })

  test('what is disabled, changed or deleted stops at the next token in every process', async () => {
    const processes = [startProcess(), startProcess()]
    const token = realm.token()
    const shown = () => Promise.all(processes.map(({ show }) => show(token)))
    expect(await shown()).toEqual(['ok', 'ok'])
    const change = (changes: Parameters<typeof core.trustedIssuers.update>[3]) =>
      core.trustedIssuers.update(admin, 'acme', id, changes)
    await change({ enabled: false })
    expect(await shown()).toEqual(['unauthenticated', 'unauthenticated'])
    await change({ enabled: true, audiences: ['else'] })
    expect(await shown()).toEqual(['unauthenticated', 'unauthenticated'])
    await change({ audiences: ['ast'], algorithms: ['RS256'] })
    expect(await shown()).toEqual(['unauthenticated', 'unauthenticated'])
    await change({ algorithms: ['ES256'], issuer: `${realm.issuer}/else` })
    expect(await shown()).toEqual(['unknown', 'unknown'])
    await change({ issuer: realm.issuer })
    expect(await shown()).toEqual(['ok', 'ok'])
    await core.tenants.update(platformAdmin, 'acme', { status: 'DISABLED' })
    expect(await shown()).toEqual(['unauthenticated', 'unauthenticated'])
    await core.tenants.update(platformAdmin, 'acme', { status: 'ACTIVE' })
    await core.trustedIssuers.delete(admin, 'acme', id)
    expect(await shown()).toEqual(['unknown', 'unknown'])
    const of = { tenantId: 'acme', issuerId: id, jwksUri: realm.jwksUri }
    expect(await core.storage.read.issuerKeys.find(of)).toBeUndefined()
  })

  test('keys of another address, and given keys that are replaced, do not count', async () => {
    const { show } = startProcess()
    const token = realm.token()
    expect(await show(token)).toBe('ok')
    await using other = await startIdentityProvider('else')
    await core.trustedIssuers.update(admin, 'acme', id, { jwksUri: other.jwksUri })
    expect(await show(token)).toBe('unauthenticated')
    breakDown()
    const [key] = realm.keys
    const jwks = { keys: key === undefined ? [] : [publicJwkOf(key) as unknown as PublicJwk] }
    await core.trustedIssuers.update(admin, 'acme', id, { jwks })
    expect(await show(token)).toBe('ok')
    const fetchedCount = realm.fetchCount
    await core.trustedIssuers.update(admin, 'acme', id, { jwks: { keys: [] } })
    expect(await show(token)).toBe('unauthenticated')
    expect(realm.fetchCount).toBe(fetchedCount)
  })

  test('another tenant: forbidden for a token that counts, nothing for one that does not, also in an outage', async () => {
    const { show } = startProcess()
    expect(await show(realm.token(), 'other')).toBe('forbidden')
    expect(await show(realm.token({ aud: 'else' }), 'other')).toBe('unknown')
    breakDown()
    core.clock.advance(minuteMs)
    expect(await show(realm.token({}, { header: { kid: 'new' } }), 'other')).toBe('unknown')
    await core.trustedIssuers.update(admin, 'acme', id, { enabled: false })
    expect(await show(realm.token(), 'other')).toBe('unknown')
  })

  test('slow issuers of one tenant do not take the places of another one', async () => {
    const { show } = startProcess()
    realm.answerWith(() => {})
    const uri = (index: number) => `${realm.jwksUri}?${index}`
    for (let index = 0; index < 9; index++) {
      await core.trustedIssuers.create(admin, 'acme', {
        issuer: `${realm.issuer}/${index}`,
        jwksUri: uri(index),
        audiences: ['ast'],
      })
    }
    await using quick = await startIdentityProvider('quick')
    quick.clock = core.clock
    await core.trustedIssuers.create(platformAdmin, 'other', {
      issuer: quick.issuer,
      jwksUri: quick.jwksUri,
      audiences: ['ast'],
    })
    const waiting = Array.from({ length: 8 }, (_, index) =>
      show(realm.token({ iss: `${realm.issuer}/${index}` }, { header: { alg: 'ES256' } })),
    )
    await expect.poll(() => realm.fetchCount).toBe(8)
    expect(await show(realm.token({ iss: `${realm.issuer}/8` }))).toBe('unavailable')
    expect(await show(quick.token(), 'other')).toBe('ok')
    await realm[Symbol.asyncDispose]()
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 8 }, () => 'unavailable'))
  })

  test('an issuer of more bytes than an index holds is refused', async () => {
    const issuer = 'ä'.repeat(1_025)
    await expect(core.trustedIssuers.update(admin, 'acme', id, { issuer })).rejects.toThrow(
      refusal('invalid_request'),
    )
    const longest = 'ä'.repeat(1_024)
    await core.trustedIssuers.update(admin, 'acme', id, { issuer: longest })
  })
})
