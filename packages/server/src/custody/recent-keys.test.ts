import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { RecentKeys } from './recent-keys.ts'

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

test('keeps what is used again, forgets what is not, and never keeps more than twice 1,000', () => {
  const keys = new RecentKeys()
  const loaded: string[] = []
  const use = (name: string) =>
    keys.get(name, () => {
      loaded.push(name)
      return publicKey
    })
  for (let index = 0; index < 10_000; index++) {
    use('often')
    expect(use(`key ${index}`)).toBe(publicKey)
    expect(keys.size).toBeLessThanOrEqual(2_000)
  }
  expect(loaded.filter((name) => name === 'often')).toHaveLength(1)
  use('key 0')
  expect(loaded.filter((name) => name === 'key 0')).toHaveLength(2)
})

test('what is no key is not kept', () => {
  const keys = new RecentKeys()
  expect(keys.get('none', () => undefined)).toBeUndefined()
  expect(keys.get('none', () => publicKey)).toBe(publicKey)
})
