/**
 * Enrolments of devices, durable: in a tenant without versions; with a version that checks integrity, a policy and a
 * registered value; and while a quorum forms, where every device brings one more vote. Codes, keys and statements are made
 * before the clock starts.
 *
 *     node bench/enrolment.ts [--json] [--rounds 9] [--devices 80] [--engines sqlite,postgres]
 */
import type { AppVersionDraft } from '../packages/server/src/domain/apps/app-version-service.ts'
import { quorumMax } from '../packages/server/src/domain/apps/registration-policy.ts'
import { Caller } from '../packages/server/src/domain/callers/caller.ts'
import type { Core } from '../packages/server/src/domain/core.ts'
import type { EnrolmentRequest } from '../packages/server/src/domain/devices/enrolment-request.ts'
import { createTestKey } from '../packages/server/test/support/device-keys.ts'
import { hashOf, newJti, signJws } from '../packages/server/test/support/device-signing.ts'
import { PostgresServer, TemporaryFolder } from './support/databases.ts'
import { withCore } from './support/installation.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'

const atOnce = 16
const atLeast = 0.8
const app = {
  name: 'acme-bank',
  platform: 'Android',
  architecture: 'arm64',
  versionStr: '2.4.1',
  sdkVersion: '1.0.0',
  integrity: 'ab'.repeat(32),
}
const version: AppVersionDraft = {
  appName: app.name,
  platform: app.platform,
  versionStr: app.versionStr,
  registerUserId: 'nobody',
  isLocked: false,
  checksIntegrity: true,
}
const tenants = ['plain', 'ruled', 'voting'] as const
type Tenant = (typeof tenants)[number]
const origin = { surface: 'device', address: '198.51.100.7', requestId: null } as const
const admin = new Caller({
  type: 'SERVICE_ACCOUNT',
  id: 'backend',
  address: null,
  surface: 'ast',
  requestId: null,
  tenantId: null,
  scopes: ['platform:admin', 'tenant:write', 'ast:write'],
})

const options = readOptions({ rounds: 9, devices: 80 }, ['engines'])
const { rounds: roundCount = 9, devices: deviceCount = 80 } = options.numbers

async function fill(core: Core): Promise<void> {
  for (const tenantId of tenants) {
    await core.tenants.create(admin, { id: tenantId, name: tenantId })
    if (tenantId === 'plain') continue
    await core.apps.create(admin, tenantId, app.name, { categories: ['tms'] })
    await core.appVersions.create(admin, tenantId, version)
    const quorum = tenantId === 'ruled' ? 1 : quorumMax
    await core.policies.create(admin, tenantId, 'crowd', { type: 'quorum', quorum })
    await core.policies.assign(admin, tenantId, 'crowd', { appName: app.name })
  }
  // The first device of a tenant makes its signer; that of `ruled` registers the value.
  for (const tenantId of tenants) await enrol(core, [await request(core, tenantId)])
}

async function request(core: Core, tenantId: Tenant): Promise<EnrolmentRequest> {
  const { secret } = await core.enrolmentCodes.create(admin, tenantId, {})
  const [deviceKey, bioKey] = [createTestKey(), createTestKey()]
  const statement = {
    aud: core.deviceIssuer(),
    iat: Math.floor(Date.now() / 1000),
    jti: newJti(),
    codeHash: hashOf(secret.code),
    deviceJkt: deviceKey.thumbprint,
    bioJkt: bioKey.thumbprint,
  }
  return {
    code: secret.code,
    proof: signJws('keys', deviceKey, statement),
    bioProof: signJws('keys', bioKey, statement),
    app,
    device: { name: 'Phone' },
  }
}

interface Sample {
  /** Enrolments a second. */
  readonly rate: number
  /** Of the whole process for one enrolment: what another load on the machine does not change. */
  readonly processorMs: number
}

async function enrol(core: Core, requests: readonly EnrolmentRequest[]): Promise<Sample> {
  const waiting = [...requests]
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        await core.deviceEnrolments.enrol(next, origin, 'DEVICE')
      }
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return {
    rate: (requests.length / (performance.now() - startedAt)) * 1000,
    processorMs: (user + system) / 1000 / requests.length,
  }
}

async function enrolMany(core: Core, tenantId: Tenant): Promise<Sample> {
  const requests: EnrolmentRequest[] = []
  while (requests.length < deviceCount) requests.push(await request(core, tenantId))
  return enrol(core, requests)
}

function measure(engine: string, databaseUrl: string): Promise<Figure[]> {
  note(`${engine}: ${deviceCount} devices a round and tenant`)
  return withCore(databaseUrl, async ({ core, platform }) => {
    await platform.ensurePlatform()
    await fill(core)
    for (const tenantId of tenants) await enrolMany(core, tenantId)
    const rounds = await interleave(roundCount, {
      plain: () => enrolMany(core, 'plain'),
      ruled: () => enrolMany(core, 'ruled'),
      voting: () => enrolMany(core, 'voting'),
    })
    const calibration = calibrationRange(rounds)
    const middle = (tenantId: Tenant, name: keyof Sample) =>
      median(rounds.map(({ samples }) => samples[tenantId][name]))
    const spent = (tenantId: Tenant) =>
      `${Math.round(middle(tenantId, 'rate'))}/s, ${middle(tenantId, 'processorMs').toFixed(2)} ms of processor`
    const figure = (tenantId: 'ruled' | 'voting', name: string): Figure => {
      const ratios = rounds.map(({ samples }) => samples[tenantId].rate / samples.plain.rate)
      return {
        id: `enrolment.${engine}.${tenantId}`,
        name: `enrolment ${name} ÷ without rules, ${engine}`,
        reached: median(ratios),
        unit: 'ratio',
        rounds: ratios,
        calibration,
        remark: `${spent(tenantId)}; without rules ${spent('plain')}`,
      }
    }
    await core.pki.issuance.stop()
    return [
      { ...figure('ruled', 'with version, policy and integrity'), atLeast },
      figure('voting', 'while a quorum forms'),
    ]
  })
}

const engines = (options.texts.engines ?? 'sqlite,postgres').split(',')
const figures: Figure[] = []
if (engines.includes('sqlite')) {
  using folder = new TemporaryFolder()
  figures.push(...(await measure('sqlite', folder.sqliteUrl('enrolment.db'))))
}
if (engines.includes('postgres')) {
  await using postgres = await PostgresServer.start()
  const url = await postgres.createDatabase('countersign_bench')
  figures.push(...(await measure('postgres', url)))
}
print(figures, options)
