import { verify } from '@node-rs/argon2'
import { describe, expect, test } from 'vitest'
import { PinHasher } from './pin-hasher.ts'

const pepper = Buffer.alloc(32, 1)
const peppered = new PinHasher(async () => pepper)

describe('a PIN is kept', () => {
  test('memory-hard, with its own salt, and with a pepper that the hash does not show', async () => {
    const [one, other] = await Promise.all([peppered.hash('1234'), peppered.hash('1234')])
    expect(one).toMatch(/^p1\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(one).not.toBe(other)
    expect(await peppered.verify(one, '1234')).toBe(true)
    expect(await peppered.verify(one, '1235')).toBe(false)
  })

  test('so that whoever has the database alone finds no PIN that fits', async () => {
    const stored = (await peppered.hash('1234')).slice(2)
    expect(await verify(stored, '1234', { secret: pepper })).toBe(true)
    for (const secret of [undefined, Buffer.alloc(32), Buffer.alloc(0)]) {
      expect(await verify(stored, '1234', secret && { secret })).toBe(false)
    }
    expect(await new PinHasher(async () => Buffer.alloc(32, 2)).verify(`p1${stored}`, '1234')).toBe(
      false,
    )
    expect(await new PinHasher().verify(`p1${stored}`, '1234')).toBe(false)
  })

  test('R12: hashes of before there was a pepper still count', async () => {
    const former = await new PinHasher().hash('1234')
    expect(former).toMatch(/^\$argon2id\$/)
    expect(await peppered.verify(former, '1234')).toBe(true)
    expect(await peppered.verify(former, '1235')).toBe(false)
  })

  test('a PIN of nobody fits nothing', async () => {
    expect(await peppered.verify(undefined, 'a PIN that nobody has')).toBe(false)
  })
})
