import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

test('requests are counted by surface and outcome, and timed by surface', async () => {
  const metrics = createMetrics()
  metrics.observeRequest('dualshield', 'ok', 0.004)
  metrics.observeRequest('dualshield', 'refused', 0.004)
  metrics.observeRequest('dualshield', 'refused', 2)
  const text = await metrics.render()
  expect(text).toContain('requests_total{surface="dualshield",outcome="ok"} 1')
  expect(text).toContain('requests_total{surface="dualshield",outcome="refused"} 2')
  expect(text).toContain('duration_seconds_bucket{le="0.005",surface="dualshield"} 2')
  expect(text).toContain('duration_seconds_count{surface="dualshield"} 3')
})

test('verifications are counted by result, database work by operation', async () => {
  const metrics = createMetrics()
  metrics.countVerification('ACCEPTED')
  metrics.countVerification('REJECTED')
  metrics.countVerification('REJECTED')
  metrics.observeDatabase('commit', 0.002)
  const text = await metrics.render()
  expect(text).toContain('countersign_verifications_total{result="REJECTED"} 2')
  expect(text).toContain('countersign_database_duration_seconds_count{operation="commit"} 1')
})

test('printed lists are counted by what happened to them', async () => {
  const metrics = createMetrics()
  metrics.countListChanges('created', 50)
  metrics.countListChanges('created', 1)
  metrics.countListChanges('renew_due', 1)
  const text = await metrics.render()
  expect(text).toContain('countersign_otp_lists_total{change="created"} 51')
  expect(text).toContain('countersign_otp_lists_total{change="renew_due"} 1')
})

test('attempts to deliver are counted by kind and outcome, and timed if anything was sent', async () => {
  const metrics = createMetrics()
  metrics.countDelivery('webhook', 'delivered', 0.02)
  metrics.countDelivery('webhook', 'failed', undefined)
  let age: number | undefined
  metrics.watchOldestDelivery(() => age)
  expect(await metrics.render()).toContain('countersign_outbox_oldest_seconds 0')
  age = 12.5
  const text = await metrics.render()
  expect(text).toContain('countersign_deliveries_total{kind="webhook",outcome="failed"} 1')
  expect(text).toContain('countersign_delivery_duration_seconds_count{kind="webhook"} 1')
  expect(text).toContain('countersign_outbox_oldest_seconds 12.5')
})

test('a queue shows its depth at the moment of the scrape; one that cannot tell is left out', async () => {
  const metrics = createMetrics()
  let depth = 3
  metrics.watchQueue('commit', () => depth)
  metrics.watchQueue('pin', () => Promise.resolve(7))
  metrics.watchQueue('journal', () => Promise.reject(new Error('no database')))
  expect(await metrics.render()).toContain('countersign_queue_depth{queue="commit"} 3')
  depth = 0
  const text = await metrics.render()
  expect(text).toContain('countersign_queue_depth{queue="commit"} 0')
  expect(text).toContain('countersign_queue_depth{queue="pin"} 7')
  expect(text).not.toContain('queue="journal"')
})

test('two servers in one process do not count for each other', async () => {
  const one = createMetrics()
  const other = createMetrics()
  one.countVerification('ACCEPTED')
  expect(await other.render()).not.toContain('result="ACCEPTED"')
})

test('the process shows memory and event-loop delay once it is watched', async () => {
  const metrics = createMetrics()
  expect(await metrics.render()).not.toContain('process_resident_memory_bytes')
  metrics.watchProcess()
  const text = await metrics.render()
  expect(text).toMatch(/^process_resident_memory_bytes \d+$/m)
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds \S+$/m)
  expect(metrics.contentType).toMatch(/^text\/plain; version=/)
})
