import { expect, test } from 'vitest'
import { chainStart, recordHash } from './chain.ts'
import { ChainVerifier, parseExportLine } from './chain-verifier.ts'

/** platform.md, section 7. */
const first =
  '{"action":"user.created","actor":{"address":"127.0.0.1","id":"bootstrap","type":"SERVICE_ACCOUNT"},"at":"2026-11-21T10:00:00.000Z","detail":{"domain":"default","loginName":"jsmith"},"id":"01M7YRRT803X5F6QH2B98JHSFK","outcome":"SUCCESS","prevHash":"0000000000000000000000000000000000000000000000000000000000000000","requestId":"01M7YRRT808A9NYTDXX0X5X0P4","seq":1,"surface":"native","target":{"id":"jsmith","type":"user"},"tenantId":"acme","userId":"jsmith","v":1}'
const firstHash = '49bb7404e0783d040737c2957e53e2c06428c159e5f610fc9546586a7a559f43'
const second =
  '{"action":"verification.attempted","actor":{"address":null,"id":"vpn-gateway","type":"SERVICE_ACCOUNT"},"at":"2026-11-21T10:05:07.250Z","detail":{"application":"Müller VPN","failureCount":1,"reason":"WRONG_CODE","result":"REJECTED"},"id":"01M7YS269JA6VETBJV1CD9EGT2","outcome":"FAILURE","prevHash":"49bb7404e0783d040737c2957e53e2c06428c159e5f610fc9546586a7a559f43","requestId":"01M7YS269JEW7GS022JPJTMYM5","seq":2,"surface":"dualshield","target":null,"tenantId":"acme","userId":"jsmith","v":1}'
const secondHash = '59c52617c5104f01fa69d8f6de93e0fdd79e67ca81299066dbfaee263e149155'

function line(body: string, hash: string): string {
  return body.replace(',"id":"01M', `,"hash":"${hash}","id":"01M`)
}

function verify(lines: readonly string[]): ChainVerifier {
  const verifier = new ChainVerifier()
  for (const text of lines) {
    const record = parseExportLine(text)
    if (record === undefined) throw new Error(`no record: ${text.slice(0, 40)}`)
    verifier.add(record)
  }
  return verifier
}

test('the published records have the published hashes', () => {
  expect(recordHash(first)).toBe(firstHash)
  expect(recordHash(second)).toBe(secondHash)
  expect(chainStart).toHaveLength(64)
})

test('R14: an export alone is enough to find the chain whole', () => {
  const verifier = verify([line(first, firstHash), line(second, secondHash)])
  expect(verifier.faults).toEqual([])
  expect(verifier).toMatchObject({ checkedCount: 2, firstSeq: 1, lastSeq: 2, lastHash: secondHash })
})

test('a changed, missing, swapped or repeated record is a fault at its place', () => {
  const one = line(first, firstHash)
  const two = line(second, secondHash)
  expect(verify([one.replace('jsmith"},"hash', 'jsmit"},"hash'), two]).faults).toEqual([
    { seq: 1, code: 'HASH_MISMATCH' },
  ])
  expect(verify([one, one]).faults).toEqual([{ seq: 1, code: 'GAP' }])
  expect(verify([two, one]).faults).toEqual([{ seq: 1, code: 'GAP' }])
  const rewritten = second.replace('WRONG_CODE', 'WRONG_PIN').replace(firstHash, 'f'.repeat(64))
  expect(verify([one, line(rewritten, recordHash(rewritten))]).faults).toEqual([
    { seq: 2, code: 'PREV_HASH_MISMATCH' },
  ])
})

test('a line that is not in canonical form is no record', () => {
  const one = line(first, firstHash)
  expect(parseExportLine(one)).toBeDefined()
  expect(parseExportLine(` ${one}`)).toBeUndefined()
  expect(parseExportLine(one.replace('"seq":1,', '"seq":1,"seq":1,'))).toBeUndefined()
  expect(parseExportLine(one.replace('"seq":1', '"seq":1.0'))).toBeUndefined()
  expect(parseExportLine(one.replace('user.created', 'user.\\u0063reated'))).toBeUndefined()
  expect(parseExportLine(one.slice(0, -1))).toBeUndefined()
  expect(parseExportLine('null')).toBeUndefined()
})
