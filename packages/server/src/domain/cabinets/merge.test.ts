import { describe, expect, test } from 'vitest'
import { cabinetUser } from './cabinets.fixture.ts'
import { mergeAcls, type SourceAcl } from './merge.ts'

function acl(changes: Partial<SourceAcl>): SourceAcl {
  return { id: 'a', writtenAtMs: 1, users: [], locks: [], ...changes }
}

describe('merging access lists (docs/contracts/okm.md, section 5)', () => {
  test('nothing merges to nothing', () => {
    expect(mergeAcls([])).toEqual({ locks: [], users: [] })
  })

  test('locks are the union, in lower case, ascending', () => {
    const merged = mergeAcls([
      acl({ locks: ['0A', '0b'] }),
      acl({ id: 'b', locks: ['02', '0a', 'FF'] }),
    ])
    expect(merged.locks).toEqual(['02', '0a', '0b', 'ff'])
  })

  test('permissions follow the merged locks; dual authorization prevails; missing locks are 0', () => {
    const merged = mergeAcls([
      acl({ locks: ['2', '3'], users: [cabinetUser({ userId: 5, permissions: [17, 0] })] }),
      acl({
        id: 'b',
        locks: ['1', '2', '4'],
        users: [
          cabinetUser({ userId: 5, permissions: [1, 1, 0] }),
          cabinetUser({ userId: 3, permissions: [0, 0, 17] }),
        ],
      }),
    ])
    expect(merged.users.map(({ userId, permissions }) => [userId, permissions])).toEqual([
      [3, [0, 0, 0, 17]],
      [5, [1, 17, 0, 0]],
    ])
  })

  test('hours are the fewest, duration and volume the most', () => {
    const [user] = mergeAcls([
      acl({
        users: [
          cabinetUser({
            permissions: [],
            authTimeHours: 12,
            sounderDurationSeconds: 9,
            sounderVolume: 1,
          }),
        ],
      }),
      acl({
        id: 'b',
        users: [
          cabinetUser({
            permissions: [],
            authTimeHours: 4,
            sounderDurationSeconds: 3,
            sounderVolume: 2,
          }),
        ],
      }),
    ]).users
    expect(user).toMatchObject({ authTimeHours: 4, sounderDurationSeconds: 9, sounderVolume: 2 })
  })

  test.each([
    [[false, 5], [false, 3], false, 0],
    [[true, 5], [false, 3], true, 5],
    [[true, 5], [true, 30], true, 5],
    [[true, 0], [true, 30], true, 0],
    [[false, 7], [true, 30], true, 30],
  ] as const)('sounder %j and %j give %s after %i s', (one, other, sounder, delay) => {
    const sources = [one, other].map(([isOn, seconds], index) =>
      acl({
        id: String(index),
        users: [cabinetUser({ permissions: [], sounder: isOn, sounderDelaySeconds: seconds })],
      }),
    )
    expect(mergeAcls(sources).users[0]).toMatchObject({ sounder, sounderDelaySeconds: delay })
  })

  test.each([
    ['the list written last', { id: 'a', writtenAtMs: 2 }, { id: 'b', writtenAtMs: 1 }, 'first'],
    ['the greater id of two', { id: 'a', writtenAtMs: 1 }, { id: 'b', writtenAtMs: 1 }, 'second'],
  ])('the PIN hash is that of %s', (_, one, other, pinHash) => {
    const first = acl({ ...one, users: [cabinetUser({ permissions: [], pinHash: 'first' })] })
    const second = acl({ ...other, users: [cabinetUser({ permissions: [], pinHash: 'second' })] })
    expect(mergeAcls([first, second]).users[0]?.pinHash).toBe(pinHash)
    expect(mergeAcls([second, first]).users[0]?.pinHash).toBe(pinHash)
  })

  test('what is merged is left as it was', () => {
    const source = acl({ locks: ['1'], users: [cabinetUser({ permissions: [1] })] })
    const before = structuredClone(source)
    mergeAcls([source, acl({ id: 'b', locks: ['1'], users: [cabinetUser({ permissions: [17] })] })])
    expect(source).toEqual(before)
  })
})
