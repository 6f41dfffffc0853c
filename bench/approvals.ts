/**
 * Whole approvals (asked, retrieved, decided with a CMS signature, durable on SQLite, evidence stored) against raw
 * asynchronous P-256 verifications of the same moment; how long they take at half of that load; and how long the event
 * loop waits while signatures are judged, and while nothing is done. The devices sign in the same process, which costs the
 * server's rate what it costs them. Processor time moves less than time with what else the machine does.
 *
 *     node bench/approvals.ts [--json] [--rounds 5] [--seconds 2] [--phones 32]
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignatureJudge } from '../packages/server/src/domain/approvals/signature-judge.ts'
import { Caller } from '../packages/server/src/domain/callers/caller.ts'
import { Phone } from '../packages/server/test/support/phone.ts'
import { TemporaryFolder } from './support/databases.ts'
import { openServer } from './support/in-process.ts'
import { calibrationRange, type Figure, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'

const tenantId = 'acme'
/** The monitor of the event loop counts its own interval. */
const samplingMs = 1
const options = readOptions({ rounds: 5, seconds: 2, phones: 32 })
const { rounds: roundCount = 5, seconds = 2, phones: phoneCount = 32 } = options.numbers

using folder = new TemporaryFolder()
const { app, close } = await openServer(folder.sqliteUrl('bench.db'))
const { core } = app
const { storage } = app.composed
await core.tenants.create(Caller.system(), { id: tenantId, name: 'Acme' })
const backend = new Caller({
  type: 'SERVICE_ACCOUNT',
  id: 'backend',
  address: null,
  surface: 'ast',
  requestId: null,
  tenantId,
  scopes: ['tenant:write', 'ast:write'],
})
const host = { core, storage, clock: core.clock }
const phones: Phone[] = []
for (let index = 0; index < phoneCount; index++) {
  const { id: userId } = await core.users.create(backend, tenantId, { loginName: `user-${index}` })
  const phone = await Phone.enrol(host, backend, { tenantId, userId })
  await phone.certify()
  phones.push(phone)
}

/** From the question to the stored evidence. @returns milliseconds. */
async function approve(phone: Phone): Promise<number> {
  const startedAt = performance.now()
  const { id } = await core.approvals.create(backend, tenantId, {
    user: { id: phone.userId },
    text: 'Transfer of 500,00 EUR to Max Muster (DE89 3704 0044 0532 0130 00)',
    data: { amount: '500.00', currency: 'EUR' },
  })
  const item = await phone.retrieve(id)
  const { approval } = await phone.decide(id, await phone.bySignature(item))
  if (approval.status !== 'APPROVED') throw new Error(`The approval is ${approval.status}.`)
  return performance.now() - startedAt
}

/** Microseconds of one approval, round by round: of the whole process, and of the event loop's thread. */
const processorTimes: number[] = []
const loopTimes: number[] = []
/** Of the whole process, microseconds of one raw verification. */
const rawTimes: number[] = []

const sumOf = ({ user, system }: { user: number; system: number }): number => user + system

/**
 * Of this thread, to the microsecond: Linux brings it up to date only by ticks of some milliseconds, and when somebody asks for
 * the time of the whole process.
 */
function threadTime(): number {
  process.cpuUsage()
  return sumOf(process.threadCpuUsage())
}

/** Approvals a second, one for each phone always under way. */
async function approveAll(): Promise<number> {
  const before = process.cpuUsage()
  const loopBefore = threadTime()
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000
  let count = 0
  await Promise.all(
    phones.map(async (phone) => {
      for (; performance.now() < endsAt; count++) await approve(phone)
    }),
  )
  processorTimes.push(sumOf(process.cpuUsage(before)) / count)
  loopTimes.push((threadTime() - loopBefore) / count)
  return (count / (performance.now() - startedAt)) * 1000
}

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signed = Buffer.from('approval')
const signature = sign('sha256', signed, privateKey)

/** Verifications a second, as many always under way. */
async function verifyRaw(): Promise<number> {
  const before = process.cpuUsage()
  const startedAt = performance.now()
  const endsAt = startedAt + seconds * 1000
  let count = 0
  const one = () =>
    new Promise<void>((resolve, reject) => {
      verify('sha256', signed, publicKey, signature, (error, holds) =>
        holds ? resolve() : reject(error ?? new Error('The signature does not hold.')),
      )
    })
  await Promise.all(
    phones.map(async () => {
      for (; performance.now() < endsAt; count++) await one()
    }),
  )
  rawTimes.push(sumOf(process.cpuUsage(before)) / count)
  return (count / (performance.now() - startedAt)) * 1000
}

/** Approvals begin at a steady rate, whether or not earlier ones are done. @returns p99, milliseconds. */
async function latencyAt(rate: number): Promise<number> {
  const work: Promise<number>[] = []
  const startedAt = performance.now()
  for (let begun = 0; begun < rate * seconds; ) {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * rate)
    for (; begun < due; begun++) work.push(approve(phones[begun % phoneCount] as Phone))
    await sleep(1)
  }
  const latencies = (await Promise.all(work)).sort((one, other) => one - other)
  return latencies[Math.floor(latencies.length * 0.99)] ?? 0
}

interface Waits {
  readonly p99Ms: number
  readonly maxMs: number
  /** Processor time of the longest turn of the event loop, whoever else has the processor meanwhile. */
  readonly turnMsMax: number
}

/** @returns the longest waits of the event loop while something goes on. */
async function waitsDuring(work: () => Promise<unknown>): Promise<Waits> {
  const delay = monitorEventLoopDelay({ resolution: samplingMs })
  let turnMsMax = 0
  let isWatching = true
  let last = threadTime()
  const watch = (): void => {
    const now = threadTime()
    turnMsMax = Math.max(turnMsMax, (now - last) / 1000)
    last = now
    if (isWatching) setImmediate(watch)
  }
  delay.enable()
  setImmediate(watch)
  await work()
  delay.disable()
  isWatching = false
  const waited = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - samplingMs)
  return { p99Ms: waited(delay.percentile(99)), maxMs: waited(delay.max), turnMsMax }
}

/** Signatures are judged one for each phone at a time, nothing else runs. */
async function judgeAll(): Promise<Waits> {
  const { signatureCertificates, verifier } = core.pki
  const judge = new SignatureJudge({ signatureCertificates, verifier, clock: core.clock })
  const work = await Promise.all(
    phones.map(async (phone) => {
      const { tenantId, userId } = phone
      const { id } = await core.approvals.create(backend, tenantId, {
        user: { id: userId },
        text: 'Transfer of 500,00 EUR',
      })
      const item = await phone.retrieve(id)
      const decision = await phone.bySignature(item)
      if (!('signedData' in decision) || item.delivery === undefined) throw new Error('Not shown.')
      const { bytes: content, retrievedAtMs } = item.delivery
      const expected = { tenantId, userId, deviceId: phone.id, content, retrievedAtMs }
      return { der: Buffer.from(decision.signedData, 'base64'), expected }
    }),
  )
  const endsAt = performance.now() + seconds * 1000
  return waitsDuring(() =>
    Promise.all(
      work.map(async ({ der, expected }) => {
        while (performance.now() < endsAt) await judge.check(der, expected)
      }),
    ),
  )
}

await approveAll()
const rounds = await interleave(roundCount, { raw: verifyRaw, approved: approveAll })
const ratios = rounds.map(({ samples: { raw, approved } }) => approved / raw)
const rates = rounds.map(({ samples }) => samples.approved)
const half = median(rates) / 2
const calm: number[] = []
const waits: Waits[] = []
const idle: Waits[] = []
for (let round = 0; round < roundCount; round++) {
  calm.push(await latencyAt(half))
  waits.push(await judgeAll())
  idle.push(await waitsDuring(() => sleep(seconds * 500)))
}

const figures: Figure[] = [
  {
    id: 'approvals.rate',
    name: 'whole approval, with CMS signature and evidence',
    reached: median(rates),
    unit: '/s',
    atLeast: 500,
    rounds: rates,
    calibration: calibrationRange(rounds),
    remark: `${median(ratios).toFixed(3)} of raw P-256 verifications (${Math.round(
      median(rounds.map(({ samples }) => samples.raw)),
    )}/s); ${(median(processorTimes) / 1000).toFixed(2)} ms of processor each, ${(
      median(loopTimes) / 1000
    ).toFixed(2)} of them on the event loop, device included: ${(
      median(processorTimes) / median(rawTimes)
    ).toFixed(1)} verifications`,
  },
  {
    id: 'approvals.p99',
    name: 'whole approval at half load, p99',
    reached: median(calm),
    unit: 'ms',
    atMost: 50,
    rounds: calm,
    remark: `${Math.round(half)} approvals/s`,
  },
  {
    id: 'approvals.event-loop',
    name: 'event loop while signatures are judged, delay p99',
    reached: median(waits.map(({ p99Ms }) => p99Ms)),
    unit: 'ms',
    atMost: 5,
    rounds: waits.map(({ p99Ms }) => p99Ms),
    remark: `longest ${median(waits.map(({ maxMs }) => maxMs)).toFixed(1)} ms, by processor time ${median(
      waits.map(({ turnMsMax }) => turnMsMax),
    ).toFixed(1)} ms; while nothing is done p99 ${median(idle.map(({ p99Ms }) => p99Ms)).toFixed(
      1,
    )} ms, longest ${median(idle.map(({ maxMs }) => maxMs)).toFixed(1)} ms`,
  },
]
print(figures, options)
await close()
