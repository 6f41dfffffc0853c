/**
 * R11: a million revoked certificates. Every list stays small, whatever was revoked before, costs what was added, and is read
 * by openssl; and when the signer itself is revoked, its last lists have them all.
 *
 *     npm run proof:revocations -- [--revoked 1000000] [--engine sqlite|postgres]
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { lastShardOf, shardSize } from '#domain/certificates/certificate.ts'
import { createCertificateBench, tenantId } from '../support/certificates.ts'
import { withPostgres } from './server-postgres.ts'

const { values } = parseArgs({
  options: { revoked: { type: 'string', default: '1000000' }, engine: { type: 'string' } },
})
const revokedCount = Number(values.revoked)
const listBytesMax = 256 * 1024
const oneMoreMsMax = 500
const atOnce = 512

/** What went wrong, of one engine. */
async function prove(engine: 'sqlite' | 'postgres', url?: string): Promise<string[]> {
  const faults: string[] = []
  const folder = mkdtempSync(join(tmpdir(), 'countersign-revocations-'))
  await using bench = await createCertificateBench(url === undefined ? {} : { url })
  const { core, admin } = bench
  const { pki, storage } = core
  const { id: issuerId } = await pki.signers.get(admin, tenantId, 'current')
  const issued = await bench.issue(bench.createDevice())

  const fillAt = performance.now()
  const nowMs = core.clock()
  // The one that was issued has the first place.
  for (let number = 1; number <= revokedCount; number += atOnce) {
    const count = Math.min(atOnce, revokedCount - number + 1)
    await storage.transaction(async ({ pki: { issuance, issuers, revocations } }) => {
      await issuers.takeNumbers(tenantId, issuerId, count)
      for (let place = number; place < number + count; place++) {
        const serial = `7f${randomBytes(15).toString('hex')}`
        const shard = Math.floor(place / shardSize)
        await issuance.insertIssued({
          tenantId,
          serial,
          certificateId: serial,
          issuerId,
          shard,
          der: new Uint8Array(),
          notBeforeMs: nowMs,
          notAfterMs: nowMs,
          nowMs,
        })
        const revoked = { serial, reason: 'SUPERSEDED', atMs: nowMs } as const
        await revocations.revoke({ tenantId, issuerId, shard }, revoked)
      }
    })
  }
  const fillMs = performance.now() - fillAt

  const lastShard = lastShardOf(revokedCount + 1)
  const measure = async () => {
    let entries = 0
    let bytesMax = 0
    let msMax = 0
    for (let shard = 0; shard <= lastShard; shard++) {
      const startedAt = performance.now()
      const der = await pki.revocationLists.get(tenantId, issuerId, shard)
      msMax = Math.max(msMax, performance.now() - startedAt)
      bytesMax = Math.max(bytesMax, der.length)
      const path = join(folder, 'list.crl')
      writeFileSync(path, der)
      const text = execFileSync(
        'openssl',
        ['crl', '-inform', 'DER', '-in', path, '-noout', '-text'],
        {
          encoding: 'utf8',
          maxBuffer: 64 * 1024 * 1024,
        },
      )
      entries += text.match(/Serial Number:/g)?.length ?? 0
    }
    return { entries, bytesMax, msMax: Math.round(msMax) }
  }
  const all = await measure()
  if (all.entries !== revokedCount) faults.push(`The lists have ${all.entries} entries.`)
  if (all.bytesMax > listBytesMax) faults.push(`A list has ${all.bytesMax} bytes.`)

  await pki.certificates.revoke(admin, tenantId, { id: issued.id, reason: 'KEY_COMPROMISE' })
  const oneAt = performance.now()
  await pki.revocationLists.get(tenantId, issuerId, 0)
  const oneMoreMs = Math.round(performance.now() - oneAt)
  if (oneMoreMs > oneMoreMsMax) faults.push(`One more revocation cost ${oneMoreMs} ms.`)

  core.clock.advance(60_000)
  await pki.signers.revoke(admin, tenantId, issuerId)
  const closingAt = performance.now()
  await pki.signerClosing.closeDue()
  const closingMs = Math.round(performance.now() - closingAt)
  const last = await measure()
  if (last.entries !== revokedCount + 1) faults.push(`The last lists have ${last.entries} entries.`)

  rmSync(folder, { recursive: true, force: true })
  const peakMib = Math.round(process.resourceUsage().maxRSS / 1024)
  const said = { engine, revokedCount, lists: lastShard + 1, fillMs: Math.round(fillMs) }
  process.stdout.write(
    `${JSON.stringify({ ...said, ...all, oneMoreMs, closingMs, peakMib, faultCount: faults.length })}\n`,
  )
  return faults
}

for (const engine of ['sqlite', 'postgres'] as const) {
  if (values.engine !== undefined && values.engine !== engine) continue
  const faults =
    engine === 'sqlite' ? await prove(engine) : await withPostgres(({ url }) => prove(engine, url))
  for (const fault of faults) process.stderr.write(`${fault}\n`)
  if (faults.length > 0) process.exitCode = 1
}
