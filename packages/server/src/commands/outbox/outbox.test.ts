import { describe, expect, test } from 'vitest'
import { createInstallation, documentOf, runCommand } from '#test/support/commands.ts'
import { createTestCore, engines } from '#test/support/core.ts'

interface Summary {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly target: string
}

const url = 'https://receiver.example/callbacks?key=credential-of-its-owner'

describe.each(engines)('outbox on %s', { timeout: 60_000 }, (engine) => {
  test('what was given up is shown without payloads, and tried again, beside a server', async () => {
    await using installation = await createInstallation(engine)
    const env = installation.env()
    const run = (...args: string[]) =>
      runCommand(['outbox', ...args, '--tenant', 'acme', '--json'], { env })
    await using server = await createTestCore({ url: installation.url })
    const append = (tenantId: string, kind: string) =>
      server.storage.transaction(({ outbox }) =>
        outbox.append(tenantId, {
          kind,
          target: url,
          orderKey: 'one',
          topic: 'okmStatus',
          envelope: '{"envelope":"hidden"}',
          payload: Buffer.from('payload-is-hidden'),
          lifetimeMs: 86_400_000,
        }),
      )
    const fail = async (tenantId: string, kind: string) => {
      const id = await append(tenantId, kind)
      await server.storage.transaction(async ({ outbox }) => {
        const message = await outbox.find({ tenantId, target: url, id })
        if (message === undefined) throw new Error('none')
        const attempt = { atMs: 0, statusCode: 500, error: null, durationMs: 1 }
        const end = { status: 'FAILED', tries: 3, attempts: [attempt], nowMs: 1 } as const
        expect(await outbox.finishClaimed(message, end)).toBe(true)
      })
      return id
    }
    const status = await fail('acme', 'okm-status')
    const audit = await fail('acme', 'okm-audit')
    const foreign = await fail('other', 'okm-status')
    const waiting = await append('acme', 'okm-status')
    const listed = async (...args: string[]) => {
      const end = await run('list', ...args)
      expect(end).toMatchObject({ code: 0, stderr: '' })
      expect(end.stdout).not.toMatch(/hidden|credential-of-its-owner/)
      return documentOf(end).messages as Summary[]
    }
    const idsOf = (messages: Summary[]) => messages.map(({ id }) => id).toSorted()

    expect(idsOf(await listed())).toEqual([status, audit, waiting].toSorted())
    expect(idsOf(await listed('--status', 'failed'))).toEqual([status, audit].toSorted())
    expect(await listed('--kind', 'okm-audit')).toMatchObject([
      { id: audit, status: 'FAILED', target: 'https://receiver.example/callbacks?...' },
    ])
    expect(await listed('--limit', '1')).toHaveLength(1)
    const plain = await runCommand(['outbox', 'list', '--tenant', 'acme'], { env })
    expect(plain.stdout).toContain(`${audit}  FAILED`)
    expect(plain.stdout).not.toMatch(/hidden|credential-of-its-owner/)

    expect(await run('redeliver')).toMatchObject({ code: 2 })
    expect(await run('redeliver', '--id', foreign)).toMatchObject({ code: 1 })
    expect(await run('redeliver', '--id', waiting)).toMatchObject({ code: 1 })
    expect(documentOf(await run('redeliver', '--kind', 'okm-audit'))).toMatchObject({
      redelivered: 1,
    })
    const { outbox } = server.storage.read
    const again = await outbox.find({ tenantId: 'acme', target: url, id: audit })
    expect(again).toMatchObject({ status: 'WAITING', tries: 0 })
    expect(Number(again?.deadlineMs) - Date.now()).toBeGreaterThan(86_000_000)
    expect(documentOf(await run('redeliver', '--all'))).toMatchObject({ redelivered: 1 })
    expect(documentOf(await run('redeliver', '--all'))).toMatchObject({ redelivered: 0 })
    expect(await outbox.find({ tenantId: 'other', target: url, id: foreign })).toMatchObject({
      status: 'FAILED',
    })
  })

  test('2 for values that are none', async () => {
    await using installation = await createInstallation(engine)
    for (const wrong of [
      ['--status', 'lost'],
      ['--limit', '0'],
      ['--limit', '10001'],
    ]) {
      const args = ['outbox', 'list', '--tenant', 'acme', ...wrong]
      expect(await runCommand(args, { env: installation.env() })).toMatchObject({ code: 2 })
    }
  })
})
