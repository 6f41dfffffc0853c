import { describe, expect, test } from 'vitest'
import { allRows, createInstallation, runCommand, writeKeyFile } from '#test/support/commands.ts'
import { engines } from '#test/support/core.ts'
import { createListBench } from '#test/support/otp-lists.ts'

describe.each(engines)('printed lists after a rewrap on %s', { timeout: 60_000 }, (engine) => {
  test('their keys are sealed again, and codes of sheets printed before are accepted', async () => {
    await using installation = await createInstallation(engine)
    const url = await installation.emptyDatabase(engine)
    const masterKey = writeKeyFile(installation.keyFile, 7)
    const methodRows = async () => (await allRows(url)).otp_list_method
    let codes: readonly { readonly otp: string }[]
    let before: string[] | undefined
    {
      await using bench = await createListBench({ url, masterKey })
      await bench.addMethod()
      codes = (await bench.addList({ user: 'jsmith' })).codes
      expect((await bench.verifyList(codes[0]?.otp)).refusal).toBeUndefined()
      before = await methodRows()

      const args = ['rewrap', '--data-keys', '--settle-seconds', '0']
      expect(await runCommand(args, { env: installation.env(url) })).toMatchObject({ code: 0 })
      // The server that ran all the time, and one that comes later.
      expect((await bench.verifyList(codes[1]?.otp)).refusal).toBeUndefined()
      expect((await bench.verifyList(codes[0]?.otp)).refusal).toBeDefined()
    }
    const after = await methodRows()
    expect(after).toHaveLength(1)
    expect(after).not.toEqual(before)
    const newKeyFile = installation.path('next.key')
    writeKeyFile(newKeyFile, 9)
    const env = installation.env(url)
    const steps = [
      { args: ['rewrap', '--new-key-file', newKeyFile], env },
      { args: ['rewrap', '--finish'], env: { ...env, COUNTERSIGN_MASTER_KEY_FILE: newKeyFile } },
    ]
    for (const step of steps) {
      expect(await runCommand(step.args, { env: step.env })).toMatchObject({ code: 0 })
    }
    const newKey = writeKeyFile(installation.path('same.key'), 9)
    await using later = await createListBench({ url, masterKey: newKey, isFilled: true })
    expect((await later.verifyList(codes[2]?.otp)).refusal).toBeUndefined()
  })
})
