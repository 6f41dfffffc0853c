/**
 * Certificates: issued (request checked, linted, signed, stored durably on SQLite) against raw asynchronous P-256
 * signatures of the same moment; and what a revocation costs on a full revocation list.
 *
 *     node bench/certificates.ts [--json] [--rounds 5] [--seconds 2] [--devices 32]
 */
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { Caller } from '../packages/server/src/domain/callers/caller.ts'
import { shardSize } from '../packages/server/src/domain/certificates/certificate.ts'
import { createTestKey, csrOf } from '../packages/server/test/support/device-keys.ts'
import { TemporaryFolder } from './support/databases.ts'
import { openServer } from './support/in-process.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'

const tenantId = 'acme'
const revokedAtOnce = 256
const options = readOptions({ rounds: 5, seconds: 2, devices: 32 })
const { rounds: roundCount = 5, seconds = 2, devices: deviceCount = 32 } = options.numbers

using folder = new TemporaryFolder()
const { app, close } = await openServer(folder.sqliteUrl('bench.db'))
const { pki, tenants } = app.core
const system = Caller.system()
await tenants.create(system, { id: tenantId, name: 'Acme' })
const signer = await pki.signers.create(system, tenantId)
await pki.issuance.issueDue()

const { privateKey: rawKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** Signatures a second, 32 always under way. */
async function signRaw(): Promise<number> {
  const bytes = createHash('sha512').update('certificate').digest()
  const endsAt = performance.now() + seconds * 1000
  const startedAt = performance.now()
  let count = 0
  const one = () =>
    new Promise<void>((resolve, reject) => {
      sign('sha256', bytes, rawKey, (error) => (error === null ? resolve() : reject(error)))
    })
  await Promise.all(
    Array.from({ length: deviceCount }, async () => {
      for (; performance.now() < endsAt; count++) await one()
    }),
  )
  return (count / (performance.now() - startedAt)) * 1000
}

/** Devices make their keys and requests before anything is measured. */
async function prepareDevices(count: number) {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const key = createTestKey()
      const deviceId = app.composed.nextId()
      const caller = new Caller({
        type: 'DEVICE',
        id: deviceId,
        address: null,
        surface: 'device',
        requestId: null,
        tenantId,
        scopes: [],
      })
      const owner = {
        tenantId,
        deviceId,
        userId: deviceId,
        deviceKey: key.thumbprint,
        bioKey: null,
      }
      return { caller, owner, csr: await csrOf(key) }
    }),
  )
}

const ids: string[] = []

/** Certificates a second, from the request to the stored certificate. */
async function issue(): Promise<number> {
  const devices = await prepareDevices(seconds * 1_500)
  const startedAt = performance.now()
  let next = 0
  const requested: string[] = []
  await Promise.all(
    Array.from({ length: deviceCount }, async () => {
      for (let device = devices[next++]; device !== undefined; device = devices[next++]) {
        const { caller, owner, csr } = device
        const { id } = await pki.certificates.request(caller, owner, { profile: 'AST_DEVICE', csr })
        requested.push(id)
      }
    }),
  )
  await pki.issuance.issueDue()
  const elapsed = performance.now() - startedAt
  const last = await pki.certificates.get(system, tenantId, requested.at(-1) ?? '')
  if (last.status !== 'ISSUED') throw new Error('Not everything was issued.')
  ids.push(...requested)
  return (requested.length / elapsed) * 1000
}

const rounds = await interleave(roundCount, { raw: signRaw, issued: issue })
const ratios = rounds.map(({ samples: { raw, issued } }) => issued / raw)

/** Milliseconds until the list of the first part has what was just revoked. */
async function renewList(): Promise<number> {
  const startedAt = performance.now()
  await pki.revocationLists.get(tenantId, signer.id, 0)
  return performance.now() - startedAt
}
async function revoke(from: number, to: number): Promise<void> {
  await Promise.all(
    ids
      .slice(from, to)
      .map((id) => pki.certificates.revoke(system, tenantId, { id, reason: 'SUPERSEDED' })),
  )
}
const listed = Math.min(ids.length, shardSize - 1) - 10
for (let from = 0; from < listed; from += revokedAtOnce) {
  await revoke(from, Math.min(listed, from + revokedAtOnce))
}
const wholeMs = await renewList()
const singles: number[] = []
for (let index = 0; index < 9; index++) {
  await revoke(listed + index, listed + index + 1)
  singles.push(await renewList())
}
note(`  a list of ${listed} from nothing: ${wholeMs.toFixed(1)} ms`)

const rates = (name: 'raw' | 'issued') => median(rounds.map(({ samples }) => samples[name]))
const figures: Figure[] = [
  {
    id: 'certificates.issue',
    name: 'certificate issued ÷ raw P-256 signature',
    reached: median(ratios),
    unit: 'ratio',
    atLeast: 0.05,
    rounds: ratios,
    calibration: calibrationRange(rounds),
    remark: `${Math.round(rates('issued'))} certificates/s, ${Math.round(rates('raw'))} signatures/s`,
  },
  {
    id: 'certificates.revoke',
    name: 'list with one more revocation',
    reached: median(singles),
    unit: 'ms',
    atMost: 20,
    rounds: singles,
    remark: `${listed} entries before, ${wholeMs.toFixed(1)} ms from nothing`,
  },
]
print(figures, options)
await close()
