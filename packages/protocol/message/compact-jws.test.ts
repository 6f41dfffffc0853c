import { expect, test } from 'vitest'
import { readCompactJws } from './compact-jws.ts'

const encode = (text: string) => Buffer.from(text).toString('base64url')
const header = encode('{"alg":"ES256"}')
const payload = encode('{"sub":"alice"}')

test('header, claims and what is signed are read from their canonical spelling', () => {
  expect(readCompactJws(`${header}.${payload}.AQID`)).toEqual({
    header: { alg: 'ES256' },
    claims: { sub: 'alice' },
    payload: Uint8Array.from(Buffer.from('{"sub":"alice"}')),
    signingInput: `${header}.${payload}`,
    signature: Uint8Array.of(1, 2, 3),
  })
  expect(readCompactJws(`${header}.${payload}.`)?.signature).toHaveLength(0)
})

test.each([
  ['nothing', ''],
  ['two parts', `${header}.${payload}`],
  ['four parts', `${header}.${payload}.AQID.`],
  ['R16: a padded part', `${header}=.${payload}.AQID`],
  ['R16: a blank', `${header}.${payload}.AQ ID`],
  ['R16: last bits that say nothing', `${header}.${payload}.AQIDBB`],
  ['no header', `.${payload}.AQID`],
  ['no payload', `${header}..AQID`],
  ['a header that is a list', `${encode('[]')}.${payload}.AQID`],
  ['a payload that is null', `${header}.${encode('null')}.AQID`],
  ['a member named twice', `${header}.${encode('{"sub":"a","sub":"b"}')}.AQID`],
  [
    'a payload that is no UTF-8',
    `${header}.${Buffer.of(0x22, 0xff, 0x22).toString('base64url')}.AQID`,
  ],
  ['16 KiB and more', `${header}.${encode(JSON.stringify({ sub: 'a'.repeat(12_300) }))}.AQID`],
])('%s is no compact JWS', (_, text) => {
  expect(readCompactJws(text)).toBeUndefined()
})
