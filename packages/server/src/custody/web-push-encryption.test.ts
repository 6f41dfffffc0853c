import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createWebPushBrowser } from '#test/support/web-push-browser.ts'
import { encryptWebPush, isPublicPoint, webPushBytesMax } from './web-push-encryption.ts'

const bytes = (text: string) => Buffer.from(text, 'base64url')

/** RFC 8291, appendix A. */
const vector = {
  plain: 'When I grow up, I want to be a watermelon',
  ownPrivate: bytes('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'),
  browserPrivate: bytes('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'),
  p256dh: bytes(
    'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
  ),
  auth: bytes('BTBZMqHH6r4Tts7J_aSIgg'),
  salt: bytes('DGv6ra1nlYgDCS1FRnbzlw'),
  body: 'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
}

describe('encryption for a browser', () => {
  test('gives the bytes of RFC 8291, appendix A', () => {
    const { plain, p256dh, auth, salt, ownPrivate, body } = vector
    const encrypted = encryptWebPush(Buffer.from(plain), { p256dh, auth }, salt, ownPrivate)
    expect(Buffer.from(encrypted).toString('base64url')).toBe(body)
  })

  test('a browser opens the vector, and what is made for it; nobody else does', () => {
    const { plain, browserPrivate, auth, body } = vector
    const published = createWebPushBrowser({ privateKey: browserPrivate, auth })
    expect(published.open(bytes(body)).toString()).toBe(plain)
    const [browser, other] = [createWebPushBrowser(), createWebPushBrowser()]
    const encrypted = encryptWebPush(Buffer.from('hello'), browser.keys, randomBytes(16))
    expect(browser.open(encrypted).toString()).toBe('hello')
    expect(() => other.open(encrypted)).toThrow()
  })

  test('each message has a key of its own; the longest fits into 4,096 bytes, one more is refused', () => {
    const { keys, open } = createWebPushBrowser()
    const salt = randomBytes(16)
    const longest = Buffer.alloc(webPushBytesMax, 'x')
    const encrypted = encryptWebPush(longest, keys, salt)
    expect(encrypted).toHaveLength(4_096)
    expect(open(encrypted)).toEqual(longest)
    expect(encryptWebPush(longest, keys, salt)).not.toEqual(encrypted)
    expect(() => encryptWebPush(Buffer.alloc(webPushBytesMax + 1), keys, salt)).toThrow()
  })

  test('a point that is not on the curve is found, and never encrypted for', () => {
    const { keys } = createWebPushBrowser()
    const offCurve = Buffer.from(keys.p256dh)
    offCurve[64] = (offCurve[64] ?? 0) ^ 1
    for (const bad of [offCurve, keys.p256dh.subarray(1), Buffer.alloc(65), Buffer.alloc(65, 4)]) {
      expect(isPublicPoint(bad)).toBe(false)
      expect(() =>
        encryptWebPush(Buffer.from('x'), { ...keys, p256dh: bad }, randomBytes(16)),
      ).toThrow()
    }
    expect(isPublicPoint(keys.p256dh)).toBe(true)
  })
})
