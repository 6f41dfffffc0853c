import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PinHasher } from '#custody/pin-hasher.ts'
import { systemRandomness } from '#custody/randomness.ts'
import { Vault } from '#custody/vault.ts'
import { VerificationService } from '#domain/verification/verification-service.ts'
import { createPlace, type DatabasePlace } from '#test/storage/databases.ts'
import { createListBench, type ListBench, listTenant } from '#test/support/otp-lists.ts'
import { createTestStorage, type TestStorage, testMasterKey } from '#test/support/storage.ts'
import { defaultPolicy, rfcCodes } from '#test/support/tokens.ts'
import { OtpListService } from './otp-list-service.ts'

const racers = 30
const policy = {
  ...defaultPolicy,
  lockout: { ...defaultPolicy.lockout, tokenMaxFailures: 10_000 },
}

describe('R4: two servers on one PostgreSQL database', () => {
  let place: DatabasePlace
  let first: ListBench
  let second: TestStorage
  let servers: { verification: VerificationService; lists: OtpListService }[] = []

  beforeAll(async () => {
    place = await createPlace('postgres')
    first = await createListBench({ url: place.url })
    first.policy = policy
    second = await createTestStorage({ url: place.url, clock: first.core.clock })
    const { storage, clock, nextId } = second
    const vault = new Vault(testMasterKey(), storage.read.tenantKeys, systemRandomness)
    const base = { storage, vault, clock, nextId, randomness: systemRandomness }
    const policies = { settingsFor: async () => policy }
    servers = [
      first,
      {
        verification: new VerificationService({ ...base, pins: new PinHasher(), policies }),
        lists: new OtpListService(base),
      },
    ]
    await first.addMethod({ listSize: 10, otpWindowSize: 2, maxFailures: 100 })
    await first.addToken('jsmith')
  }, 60_000)
  afterAll(async () => {
    await second[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
  })

  const serverOf = (n: number) => {
    const server = servers[n % servers.length]
    if (server === undefined) throw new Error('There is no server.')
    return server
  }
  const verify = (n: number, code: string, methods: string[]) =>
    serverOf(n).verification.verify(first.admin, listTenant, {
      user: { id: 'jsmith' },
      code,
      methods,
    })

  test('of 30 requests with one code exactly one is accepted, code after code', async () => {
    const { codes } = await first.addList({ user: 'jsmith' })
    for (const { otp, index } of codes) {
      const outcomes = await Promise.all(
        Array.from({ length: racers }, (_, n) => verify(n, otp, ['list'])),
      )
      const accepted = outcomes.filter(({ result }) => result === 'ACCEPTED')
      expect(accepted.map(({ credential }) => credential)).toMatchObject([{ kind: 'LIST', index }])
    }
  })

  test('of 30 requests with a code of a token and one of a list, one of each is accepted', async () => {
    const { codes } = await first.addList({ user: 'jsmith' })
    const pair = [codes[0]?.otp ?? '', rfcCodes[0]]
    const outcomes = await Promise.all(
      Array.from({ length: racers }, (_, n) =>
        verify(n >> 1, pair[n % 2] ?? '', n % 3 === 0 ? ['token', 'list'] : ['list', 'token']),
      ),
    )
    const kinds = outcomes.flatMap(({ credential }) => (credential ? [credential.kind] : []))
    expect(kinds.toSorted()).toEqual(['LIST', 'TOKEN'])
  })

  test('while both give the user new lists and begin them, never two wait or two are in use', async () => {
    for (let round = 0; round < 8; round++) {
      const made = await Promise.all(Array.from({ length: 4 }, () => first.addList()))
      await Promise.all(
        made.flatMap(({ list, codes }, n) => [
          serverOf(n)
            .lists.associate(first.admin, listTenant, list.id, { id: 'jsmith' })
            .catch(() => undefined),
          verify(n + 1, codes[0]?.otp ?? '', ['list']),
          verify(n, codes[0]?.otp ?? '', ['list']),
          verify(n + 1, codes[1]?.otp ?? '', ['list']),
        ]),
      )
      const user = { id: 'jsmith' }
      const { items } = await first.lists.query(first.admin, listTenant, { user }, { limit: 20 })
      const count = (status: string) => items.filter((list) => list.status === status).length
      expect(count('ACTIVE')).toBeLessThanOrEqual(1)
      expect(count('ASSOCIATED')).toBeLessThanOrEqual(1)
      await first.users.locks.unlock(first.admin, listTenant, 'jsmith')
    }
  })
})
