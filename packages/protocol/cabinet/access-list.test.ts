import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type CabinetUser, lockListDigest, userListDigest } from './access-list.ts'

const locks = ['0000051a00000005', '0000051a00000007', '0000051a0000000b']

const users: readonly CabinetUser[] = [
  {
    userId: 1001,
    pinHash: 'a1b2c3d4',
    authTimeHours: 8,
    sounder: false,
    sounderDelaySeconds: 0,
    sounderDurationSeconds: 0,
    sounderVolume: 0,
    permissions: [1, 0, 17],
  },
  {
    userId: 1002,
    pinHash: '9f8e7d6c',
    authTimeHours: 12,
    sounder: true,
    sounderDelaySeconds: 30,
    sounderDurationSeconds: 60,
    sounderVolume: 2,
    permissions: [1, 1, 1],
  },
]

/** The bytes as the contract spells them, put together by nothing of ours. */
function sha256Of(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

describe('docs/contracts/okm.md, section 5', () => {
  test('the lock list of the test vector', () => {
    const digest = lockListDigest(locks)
    expect(digest).toBe('0dd2a7516a692b99c53c22ea75cc8996d585887064ad6a26918d64901c98e1f7')
    expect(digest).toBe(sha256Of('0000051a00000005\n0000051a00000007\n0000051a0000000b'))
  })

  test('the user lists of the test vector', () => {
    const digest = userListDigest(users)
    expect(digest).toBe('b623601feda4c7f978d4bff9065455df4d1c95981ffcc10858c86ca1ece80703')
    expect(digest).toBe(
      sha256Of('1001|a1b2c3d4|8|0|0|0|0|1,0,17\n1002|9f8e7d6c|12|1|30|60|2|1,1,1'),
    )
  })

  test('empty lists are the hash of no bytes', () => {
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    expect([lockListDigest([]), userListDigest([])]).toEqual([empty, empty])
  })

  test('a user without locks has an empty last column', () => {
    const [user] = users
    const alone = user === undefined ? [] : [{ ...user, permissions: [] }]
    expect(userListDigest(alone)).toBe(sha256Of('1001|a1b2c3d4|8|0|0|0|0|'))
  })
})
