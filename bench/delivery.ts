/**
 * Deliveries a second to a local receiver on SQLite, alone and with a million messages waiting for one that is dead; and
 * what those cost in memory.
 *
 *     node bench/delivery.ts [--json] [--messages 20000] [--waiting 1000000]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { composeCore } from '../packages/server/src/compose-core.ts'
import { MasterKey } from '../packages/server/src/custody/master-key.ts'
import { systemRandomness } from '../packages/server/src/custody/randomness.ts'
import { AddressResolver } from '../packages/server/src/delivery/address-resolver.ts'
import { Dispatcher } from '../packages/server/src/delivery/dispatcher.ts'
import { OutboundHttp } from '../packages/server/src/delivery/outbound-http.ts'
import { AddressRange } from '../packages/server/src/domain/address-range.ts'
import { Caller } from '../packages/server/src/domain/callers/caller.ts'
import { openDatabase } from '../packages/server/src/storage/database.ts'
import { calibrate } from './support/calibration.ts'
import { TemporaryFolder } from './support/databases.ts'
import { makeInstallation, masterKeyText, tenantId } from './support/installation.ts'
import { note, print, readOptions } from './support/report.ts'

const options = readOptions({ messages: 20_000, waiting: 1_000_000 })
const { messages: messageCount = 20_000, waiting: waitingCount = 1_000_000 } = options.numbers
const eventsAtOnce = 500
const receiverProgram = fileURLToPath(new URL('./support/webhook-receiver.ts', import.meta.url))
const children: ChildProcess[] = []

async function startReceiver(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [receiverProgram, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return `http://127.0.0.1:${line.toString().trim()}/hook`
}

/** Memory after the garbage is gone, as far as it goes by itself. */
function memoryMib(): number {
  return process.memoryUsage().rss / 2 ** 20
}

// As the server does (`main.ts`): else what is measured is how far V8 lets garbage pile up.
setFlagsFromString('--heap-growing-percent=20')

using folder = new TemporaryFolder()
const databaseUrl = folder.sqliteUrl('delivery.db')
await makeInstallation(databaseUrl, { tokenCount: 0 })
const database = openDatabase(databaseUrl)
const range = AddressRange.parse('127.0.0.0/8')
const composed = composeCore({
  database,
  masterKey: new MasterKey(Buffer.from(masterKeyText, 'base64')),
  clock: Date.now,
  randomness: systemRandomness,
  publicUrl: () => 'http://127.0.0.1',
  outboundAllow: { hosts: [], ranges: range === undefined ? [] : [range] },
  authFailuresPerMinute: 0,
  adminToken: undefined,
  observer: { countVerification() {}, backgroundFailed: (_work, error) => note(String(error)) },
})
const { core, storage } = composed
const admin = new Caller({
  type: 'SERVICE_ACCOUNT',
  id: 'bench',
  address: null,
  surface: 'native',
  requestId: null,
  tenantId,
  scopes: ['tenant:write'],
})

async function writeEvents(): Promise<void> {
  for (let written = 0; written < messageCount; written += eventsAtOnce) {
    await storage.transaction(async ({ events }) => {
      for (let index = 0; index < eventsAtOnce; index++) {
        const user = { id: `user-${written + index}`, loginName: 'somebody', displayName: null }
        await events.append(tenantId, { type: 'user.created', data: { user } })
      }
    })
  }
}

/** Delivers what was written; messages a second, and the most memory meanwhile. */
async function deliver(): Promise<{ perSecond: number; peakMib: number; cpuMicroseconds: number }> {
  let delivered = 0
  let peakMib = 0
  const dispatcher = new Dispatcher({
    storage,
    http: new OutboundHttp({
      rule: composed.outbound,
      resolver: new AddressResolver(async () => []),
      clock: Date.now,
    }),
    kinds: composed.deliveryKinds,
    clock: Date.now,
    randomness: systemRandomness,
    observer: {
      messageSettled: (_kind, outcome) => {
        if (outcome === 'delivered') delivered += 1
      },
      deliveryFailed: (work, error) => note(`${work}: ${String(error)}`),
    },
  })
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  dispatcher.start()
  while (delivered < messageCount) {
    await sleep(50)
    peakMib = Math.max(peakMib, memoryMib())
  }
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  await dispatcher.stop()
  const cpuMicroseconds = (cpu.user + cpu.system) / messageCount
  return { perSecond: messageCount / seconds, peakMib, cpuMicroseconds }
}

/** A million at once, as years of requests would leave them. */
function leaveWaiting(endpointId: string): void {
  const direct = new DatabaseSync(databaseUrl.slice('sqlite:'.length))
  direct.exec('pragma busy_timeout = 60000')
  direct
    .prepare(
      `insert into outbox
       with recursive n(i) as (select 1 union all select i + 1 from n where i < ${waitingCount})
       select ?, ?, printf('00000000000000000%09d', i), 'webhook', ?, '', 'user.created', 'WAITING', i, i,
         ${Date.now() + 86_400_000}, 0, 0, '', '', cast('{"type":"user.created"}' as blob), i, null from n`,
    )
    .run(tenantId, endpointId, `${tenantId}/webhook/${endpointId}`)
  direct.close()
}

try {
  const calibration = calibrate()
  await core.webhooks.create(admin, tenantId, {
    url: await startReceiver(),
    eventTypes: ['user.created'],
  })
  await writeEvents()
  note('delivering')
  const alone = await deliver()
  note(`${Math.round(alone.perSecond)}/s; now beside ${waitingCount} that wait for a dead receiver`)
  const dead = await core.webhooks.create(admin, tenantId, {
    url: await startReceiver('hang'),
    eventTypes: ['user.deleted'],
  })
  leaveWaiting(dead.endpoint.id)
  await writeEvents()
  const beside = await deliver()
  print(
    [
      {
        id: 'delivery.sqlite',
        name: 'Webhooks to a local receiver, SQLite',
        reached: alone.perSecond,
        unit: '/s',
        atLeast: 2_000,
        calibration: [calibration, calibrate()],
        remark: `${Math.round(alone.cpuMicroseconds)} µs of processor time each, all threads`,
      },
      {
        id: 'delivery.beside-dead',
        name: `The same beside ${waitingCount} messages for a dead receiver`,
        reached: beside.perSecond / alone.perSecond,
        unit: 'ratio',
        atLeast: 0.7,
      },
      {
        id: 'delivery.memory',
        name: `Memory that ${waitingCount} waiting messages add`,
        reached: Math.max(0, beside.peakMib - alone.peakMib),
        unit: 'MiB',
        atMost: 40,
        remark: `${Math.round(alone.peakMib)} MiB at most without, ${Math.round(beside.peakMib)} MiB with them`,
      },
    ],
    options,
  )
} finally {
  for (const child of children) child.kill()
  await database.close()
}
