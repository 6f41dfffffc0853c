/**
 * Printed lists on SQLite: verification of their codes through `verifyCode` compared with HOTP codes, and lists made durably.
 *
 *     node bench/lists.ts [--json] [--rounds 5] [--seconds 2] [--users 4000] [--lists 1000]
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ComposedCore } from '../packages/server/src/compose-core.ts'
import { Caller } from '../packages/server/src/domain/callers/caller.ts'
import { calibrate } from './support/calibration.ts'
import { serialOf, userOf } from './support/codes.ts'
import { TemporaryFolder } from './support/databases.ts'
import { makeInstallation, tenantId, withCore } from './support/installation.ts'
import { LoadGenerator } from './support/load.ts'
import type { ListCodes } from './support/load-job.ts'
import { calibrationRange, type Figure, note, print, readOptions } from './support/report.ts'
import { interleave, median } from './support/rounds.ts'
import { Target } from './support/target.ts'

const method = 'otp.1'
const listSize = 50
/** Users who get their list in one turn. */
const usersAtOnce = 200
const creationRounds = 3

const options = readOptions({ rounds: 5, seconds: 2, users: 4_000, lists: 1_000 })
const { rounds: roundCount = 5, seconds = 2, users: userCount = 4_000 } = options.numbers
const { lists: listCount = 1_000 } = options.numbers

/** One list for every owner of a token, and a file of their codes. */
async function addLists({ core }: ComposedCore, path: string): Promise<ListCodes> {
  const caller = Caller.system()
  // Wrong codes are measured too: they must not lock the lists.
  await core.otpListMethods.create(caller, tenantId, { name: method, listSize, maxFailures: 100 })
  const codes = new Uint32Array(userCount * listSize)
  for (let start = 0; start < userCount; start += usersAtOnce) {
    const numbers = Array.from({ length: Math.min(usersAtOnce, userCount - start) }, (_, n) => n)
    await Promise.all(
      numbers.map(async (n) => {
        const user = { id: userOf(serialOf(start + n)) }
        const [made] = await core.otpLists.create(caller, tenantId, { method, user })
        for (const [index, { otp }] of (made?.codes ?? []).entries()) {
          codes[(start + n) * listSize + index] = Number(otp)
        }
      }),
    )
  }
  writeFileSync(path, codes)
  return { path, listSize }
}

async function measureVerification(folder: TemporaryFolder): Promise<Figure[]> {
  note(`making ${userCount} tokens, and as many with a list beside them`)
  const size = { tokenCount: userCount }
  const plain = await makeInstallation(folder.sqliteUrl('tokens.db'), size)
  const listed = await makeInstallation(folder.sqliteUrl('lists.db'), size)
  const lists = await withCore(listed.databaseUrl, (composed) =>
    addLists(composed, join(folder.path, 'codes')),
  )
  await using generator = new LoadGenerator()
  await using tokenTarget = await Target.start(plain, generator)
  await using listTarget = await Target.start(listed, generator)
  note('warming up')
  await tokenTarget.fresh({ seconds: 2 })
  await listTarget.fresh({ seconds: 2, lists })
  const rounds = await interleave(roundCount, {
    hotp: () => tokenTarget.fresh({ seconds }),
    list: () => listTarget.fresh({ seconds, lists }),
  })
  const ratios = rounds.map(({ samples }) => samples.list.rate / samples.hotp.rate)
  const cpu = rounds.map(
    ({ samples }) => (samples.hotp.cpuUs ?? Number.NaN) / (samples.list.cpuUs ?? Number.NaN),
  )
  const rateOf = (name: 'hotp' | 'list') =>
    Math.round(median(rounds.map(({ samples }) => samples[name].rate)))
  const common = { unit: 'ratio', calibration: calibrationRange(rounds) } as const
  return [
    {
      id: 'lists.verify',
      name: 'Verification of a list code ÷ of a HOTP code, sqlite',
      reached: median(ratios),
      rounds: ratios,
      atLeast: 0.8,
      ...common,
      remark: `list ${rateOf('list')}/s, HOTP ${rateOf('hotp')}/s`,
    },
    ...(cpu.every(Number.isFinite)
      ? [
          {
            id: 'lists.verify.cpu',
            name: 'Processor time of a HOTP code ÷ of a list code, sqlite',
            reached: median(cpu),
            rounds: cpu,
            ...common,
          },
        ]
      : []),
  ]
}

async function measureCreation(folder: TemporaryFolder): Promise<Figure> {
  note(`making ${listCount} lists of ${listSize}`)
  const { databaseUrl } = await makeInstallation(folder.sqliteUrl('creation.db'), { tokenCount: 0 })
  return withCore(databaseUrl, async ({ core }) => {
    const caller = Caller.system()
    await core.otpListMethods.create(caller, tenantId, { name: method, listSize })
    const calibrations: number[] = []
    const rates: number[] = []
    for (let round = 0; round < creationRounds; round++) {
      calibrations.push(calibrate())
      const startedAt = performance.now()
      await core.otpLists.create(caller, tenantId, { method, count: listCount })
      rates.push(listCount / ((performance.now() - startedAt) / 1000))
    }
    return {
      id: 'lists.create',
      name: `Lists of ${listSize} codes made durably, ${listCount} at once, sqlite`,
      reached: median(rates),
      rounds: rates,
      unit: '/s',
      atLeast: 50,
      calibration: [Math.min(...calibrations), Math.max(...calibrations)] as const,
    }
  })
}

{
  using folder = new TemporaryFolder()
  const creation = await measureCreation(folder)
  print([...(await measureVerification(folder)), creation], options)
}
