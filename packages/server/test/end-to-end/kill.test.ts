import { describe, expect, test } from 'vitest'
import { engines } from '../support/core.ts'
import { runKills } from './kill-scenario.ts'

const kills = 3

describe.each(engines)('R10: kill -9 under load on %s', (engine) => {
  test('everything acknowledged is there, no accepted code is accepted again, the chain holds', async () => {
    const report = await runKills({ engine }, kills)
    expect(report.faults).toEqual([])
    expect(report.users).toBeGreaterThan(0)
    expect(report.accepted).toBeGreaterThan(0)
    expect(report.unanswered).toBeGreaterThan(0)
  }, 180_000)
})
