/**
 * Key cabinets: polls with nothing to tell against empty requests of an account in the same run, the part of a process
 * that 10,000 cabinets take, and how long a large access list takes to be stored and digested.
 *
 *     node bench/cabinets.ts [--json] [--rounds 3] [--seconds 2] [--cabinets 10000]
 */
import { lockListDigest, userListDigest } from '../packages/protocol/cabinet/access-list.ts'
import { defaultCabinetConfig } from '../packages/server/src/domain/cabinets/cabinet.ts'
import { Caller } from '../packages/server/src/domain/callers/caller.ts'
import { TemporaryFolder } from './support/databases.ts'
import { GetGenerator, type GetResult } from './support/get-job.ts'
import { tenantId, withCore } from './support/installation.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'
import { Server } from './support/server.ts'

const options = readOptions({ rounds: 3, seconds: 2, cabinets: 10_000 })
const { rounds: roundCount = 3, seconds = 2, cabinets: cabinetCount = 10_000 } = options.numbers
const connections = 64
const pollingSeconds = 150
const registeredAtOnce = 500
const aclUsers = 1_000
const aclLocks = 500

const serialOf = (number: number): string => (0x0203_cc1f_0000_0000n + BigInt(number)).toString(16)
const serials = Array.from({ length: cabinetCount }, (_, number) => serialOf(number))

/** A tenant with cabinets that carry nothing, and an account that reads and writes lists. */
async function makeCabinets(databaseUrl: string): Promise<string> {
  return withCore(databaseUrl, async ({ core, platform }) => {
    await platform.ensurePlatform()
    await core.tenants.create(Caller.system(), { id: tenantId, name: 'Benchmark' })
    const { secret } = await core.serviceAccounts.create(Caller.system(), {
      id: 'bench-facility',
      tenantId,
      scopes: ['okms:write', 'acls:write'],
    })
    const caller = await core.authenticator.authenticate(
      { bearer: secret },
      { address: '127.0.0.1', surface: 'okm', requestId: null },
    )
    const rest = { config: defaultCabinetConfig, active: true, online: false, userData: {} }
    for (let start = 0; start < serials.length; start += registeredAtOnce) {
      const some = serials.slice(start, start + registeredAtOnce)
      await Promise.all(
        some.map((serial) =>
          core.cabinets.register(caller, tenantId, {
            id: serial,
            serial,
            subscribeUrls: {},
            ...rest,
          }),
        ),
      )
    }
    return secret
  })
}

interface Sample extends GetResult {
  /** Processor microseconds of the server for one request, what it writes behind it included. */
  readonly cpuUs: number
}

/** In step with the server in everything that it reports. */
function inStepQuery(): string {
  const query = new URLSearchParams({
    kasFirmware: '01932023020111482',
    kasDateTime: new Date().toISOString(),
    retailCfg: '2',
    configUrl: '/okm/api/v1/config',
    auditUrl: '/okm/api/v1/audit',
    assetList: lockListDigest([]),
    usersAssets: userListDigest([]),
    keyCheckoutWindowTime: '0',
    keyCheckoutWindowContact: '1',
    cacheMode: 'true',
    pollingInterval: String(pollingSeconds),
  })
  return `?${query}`
}

async function measure(
  server: Server,
  generator: GetGenerator,
  job: { path: string; serials: readonly string[]; query: string; apiKey?: string },
  expected: string,
): Promise<Sample> {
  const before = server.cpuSeconds() ?? Number.NaN
  const result = await generator.run({ port: server.port, connections, seconds, ...job })
  const cpuUs = (((server.cpuSeconds() ?? Number.NaN) - before) / result.sent) * 1e6
  if (result.statuses[expected] !== result.sent) {
    throw new Error(`Not all answers were ${expected}: ${JSON.stringify(result.statuses)}`)
  }
  return { ...result, cpuUs }
}

/** @returns seconds from the first byte sent to the answer. */
async function storeAcl(server: Server, apiKey: string, round: number): Promise<number> {
  const locks = Array.from({ length: aclLocks }, (_, lock) => serialOf(lock))
  const users = Array.from({ length: aclUsers }, (_, user) => ({
    user_id: user,
    pin_hash: `a1b2c3d4${round}`,
    auth_time: 8,
    permissions: locks.map((_lock, index) => [0, 1, 17][(user + index) % 3]),
  }))
  const body = JSON.stringify({ id: 'large', customer: tenantId, users, locks })
  const startedAt = performance.now()
  const response = await fetch(`http://127.0.0.1:${server.port}/okm/api/v1/acls`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body,
  })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`The list was answered ${response.status}.`)
  return (performance.now() - startedAt) / 1000
}

async function figures(server: Server, apiKey: string): Promise<Figure[]> {
  await using generator = new GetGenerator()
  const path = '/okm/api/v1/config/'
  const poll = () => measure(server, generator, { path, serials, query: inStepQuery() }, '204')
  const empty = { path: '/okm/api/v1/acls', serials: [], query: '', apiKey }
  note('warming up')
  await poll()
  await measure(server, generator, empty, '200')
  const rounds = await interleave(roundCount, {
    empty: () => measure(server, generator, empty, '200'),
    poll,
  })
  const calibration = calibrationRange(rounds)
  const ratios = rounds.map(({ samples }) => samples.poll.rate / samples.empty.rate)
  const rate = median(rounds.map(({ samples }) => samples.poll.rate))
  const cpuUs = median(rounds.map(({ samples }) => samples.poll.cpuUs))
  const emptyUs = median(rounds.map(({ samples }) => samples.empty.cpuUs))
  const shares = rounds.map(({ samples }) => cabinetCount / pollingSeconds / samples.poll.rate)
  const stored: number[] = []
  for (let round = 0; round < roundCount; round++)
    stored.push(await storeAcl(server, apiKey, round))
  return [
    {
      id: 'cabinets.poll',
      name: 'Polls with nothing to tell ÷ empty requests of an account',
      reached: median(ratios),
      rounds: ratios,
      unit: 'ratio',
      atLeast: 0.6,
      calibration,
      remark: `${Math.round(rate)} polls a second, ${Math.round(cpuUs)} µs of the processor each; an empty request ${Math.round(emptyUs)} µs`,
    },
    {
      id: 'cabinets.share',
      name: `Part of a process that ${cabinetCount} cabinets take, polling every ${pollingSeconds} s`,
      reached: median(shares),
      rounds: shares,
      unit: 'ratio',
      atMost: 0.02,
      calibration,
    },
    {
      id: 'cabinets.acl',
      name: `An access list of ${aclUsers} users and ${aclLocks} locks stored and digested`,
      reached: median(stored),
      rounds: stored,
      unit: 's',
      atMost: 1,
    },
  ]
}

{
  using folder = new TemporaryFolder()
  note(`registering ${cabinetCount} cabinets`)
  const databaseUrl = folder.sqliteUrl('cabinets.db')
  const apiKey = await makeCabinets(databaseUrl)
  await using server = await Server.start({ databaseUrl })
  print(await figures(server, apiKey), options)
}
